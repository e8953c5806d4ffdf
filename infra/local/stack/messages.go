package stack

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Dead is the dead-letter queue of a queue.
func Dead(queue string) string { return queue + "-dead" }

// Messages counts those of a queue that wait, and those that a recorder holds.
func (s *Stack) Messages(ctx context.Context, queue string) (visible, held int, err error) {
	out, err := s.SQSClient().GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{
		QueueUrl:       &queue,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count messages: %w", err)
	}

	visible, err1 := strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)])
	held, err2 := strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)])
	return visible, held, errors.Join(err1, err2)
}
