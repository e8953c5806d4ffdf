package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
)

// messages counts those of a queue that wait, and those that a recorder holds.
func messages(t *testing.T, s *stack.Stack, queue string) (visible, held int) {
	t.Helper()

	visible, held, err := s.Messages(t.Context(), queue)
	require.NoError(t, err)
	return visible, held
}

// noMessages checks that the queues become empty, and that nothing has been given up. A message that a dead recorder
// held comes back after half a minute.
func noMessages(t *testing.T, s *stack.Stack) {
	t.Helper()

	for _, queue := range []string{s.StartQueue, s.ControlQueue} {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			visible, held := messages(t, s, queue)
			require.Zero(c, visible+held, queue)
		}, patience, 500*time.Millisecond, "messages are left over; logs: %s", s.Work)

		dead, _ := messages(t, s, stack.Dead(queue))
		require.Zero(t, dead, "dead letters of %s; logs: %s", queue, s.Work)
	}
}
