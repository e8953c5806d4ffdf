package participant

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A goodbye that never comes to its end holds nobody up for long, and nobody twice.
func TestHangingGoodbyeIsLeftAlone(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)

	p := &Participant{Options: Options{Goodbye: func() { <-hung }}}
	p.ctx, p.cancel = context.WithCancel(t.Context())

	left := make(chan struct{})
	go func() {
		defer close(left)

		p.Leave()
		p.Leave()
	}()

	select {
	case <-left:
		require.Error(t, p.ctx.Err(), "nothing is sent any more")
	case <-time.After(10 * leaveTimeout):
		t.Fatal("leaving waited for the goodbye")
	}
}
