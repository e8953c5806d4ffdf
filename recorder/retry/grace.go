package retry

import (
	"context"
	"time"
)

// WithGrace returns a context for what has to be tried even when ctx is done: it ends after most, and a moment of grace
// after ctx.
func WithGrace(ctx context.Context, most, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(grace):
			cancel()
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}
