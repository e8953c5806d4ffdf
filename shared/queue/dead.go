package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// DeadLetters finds the queue to which SQS moves what has been received too often: the redrive policy names it, so that
// nobody has to configure it. Nil if there is none.
func (q *Queue) DeadLetters(ctx context.Context) (*Queue, error) {
	out, err := q.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &q.URL,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameRedrivePolicy},
	})
	if err != nil {
		return nil, fmt.Errorf("read redrive policy: %w", err)
	}
	policy := out.Attributes[string(types.QueueAttributeNameRedrivePolicy)]
	if policy == "" {
		return nil, nil
	}

	var redrive struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if err := json.Unmarshal([]byte(policy), &redrive); err != nil {
		return nil, fmt.Errorf("read redrive policy: %w", err)
	}
	// arn:PARTITION:sqs:REGION:ACCOUNT:NAME; SQS allows no queue of another account or region.
	name := redrive.Target[strings.LastIndexByte(redrive.Target, ':')+1:]
	found, err := q.Client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return nil, fmt.Errorf("find dead-letter queue: %w", err)
	}
	return &Queue{Client: q.Client, URL: aws.ToString(found.QueueUrl)}, nil
}
