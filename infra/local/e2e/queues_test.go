package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
)

// messages counts those of a queue that wait, and those that a recorder holds.
func messages(t *testing.T, s *stack.Stack, queue string) (visible, held int) {
	t.Helper()

	out, err := s.SQSClient().GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	require.NoError(t, err)
	count := func(name types.QueueAttributeName) int {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		require.NoError(t, err)
		return n
	}
	return count(types.QueueAttributeNameApproximateNumberOfMessages),
		count(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
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

		dead, _ := messages(t, s, queue+"-dead")
		require.Zero(t, dead, "dead letters of %s; logs: %s", queue, s.Work)
	}
}
