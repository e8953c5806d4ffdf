package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGrace(t *testing.T) {
	const most, grace = 20 * time.Second, 3 * time.Second
	for name, c := range map[string]struct {
		ends  time.Duration // of the context before, after it has begun
		lasts time.Duration
	}{
		"what nobody hurries":            {time.Hour, most},
		"what is to end while it runs":   {5 * time.Second, 5*time.Second + grace},
		"what is to end when it begins":  {0, grace},
		"what is to end when it is over": {most, most},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithTimeout(t.Context(), c.ends)
				defer end()
				longer, cancel := WithGrace(ctx, most, grace)
				defer cancel()
				began := time.Now()
				<-longer.Done()
				require.Equal(t, c.lasts, time.Since(began))
			})
		})
	}
}
