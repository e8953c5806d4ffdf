// Package queue speaks to one SQS queue.
package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Limits of SQS (developer guide, "Amazon SQS message quotas").
const (
	LongPoll    = 20 * time.Second // the longest that a receive may wait
	MaxBatch    = 10               // messages in one call
	MaxInFlight = 12 * time.Hour   // from a receive to the end of the last visibility timeout
)

// spare is how much longer than the queue may take to answer a call is waited for.
const spare = 5 * time.Second

// ErrGone says that a message has been deleted, or belongs to whoever has received it since.
var ErrGone = errors.New("the message is gone")

// goneCodes are what SQS says then: some of its endpoints the first, some the second.
var goneCodes = []string{"InvalidParameterValue", "ReceiptHandleIsInvalid"}

// Queue is one SQS queue.
type Queue struct {
	Client *sqs.Client
	URL    string
}

// Message is a received message. It is invisible to other receivers until its visibility timeout ends.
type Message struct {
	ID       string
	Body     string
	Receipt  string
	Receives int       // how often it has been received, this time included
	At       time.Time // when it was received: the 12 hours in flight begin here
	// Lay is how long it had been on the queue when it was received for the first time, if this is that time.
	Lay time.Duration
}

// Reach says whether the queue answers.
func (q *Queue) Reach(ctx context.Context) error {
	_, err := q.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &q.URL,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return fmt.Errorf("read queue's attributes: %w", err)
	}
	return nil
}

// Send puts a message on the queue.
func (q *Queue) Send(ctx context.Context, body string) error {
	if _, err := q.Client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: &body}); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// Receive waits up to [LongPoll] for up to limit messages (at most [MaxBatch]) and hides them for visibility.
func (q *Queue) Receive(ctx context.Context, limit int, visibility time.Duration) ([]Message, error) {
	return q.receive(ctx, limit, visibility, LongPoll)
}

// Look is the same without waiting.
func (q *Queue) Look(ctx context.Context, limit int, visibility time.Duration) ([]Message, error) {
	return q.receive(ctx, limit, visibility, 0)
}

func (q *Queue) receive(ctx context.Context, limit int, visibility, wait time.Duration) ([]Message, error) {
	// The call itself must be given longer than the server may take to answer it.
	ctx, cancel := context.WithTimeout(ctx, wait+spare)
	defer cancel()

	out, err := q.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:            &q.URL,
		MaxNumberOfMessages: int32(min(limit, MaxBatch)),
		WaitTimeSeconds:     int32(wait / time.Second),
		VisibilityTimeout:   int32(visibility / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameSentTimestamp,
			types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}

	now := time.Now()
	messages := make([]Message, len(out.Messages))
	for i, m := range out.Messages {
		receives, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]) // 0 when the service does not say
		messages[i] = Message{
			ID:       aws.ToString(m.MessageId),
			Body:     aws.ToString(m.Body),
			Receipt:  aws.ToString(m.ReceiptHandle),
			Receives: receives,
			At:       now,
			Lay:      lay(m.Attributes, receives),
		}
	}

	return messages, nil
}

// lay is how long a message had been there at its first receive, both by the service's clock. 0 if this is another one.
func lay(attributes map[string]string, receives int) time.Duration {
	sent, sentErr := strconv.ParseInt(attributes["SentTimestamp"], 10, 64)
	first, firstErr := strconv.ParseInt(attributes["ApproximateFirstReceiveTimestamp"], 10, 64)
	if receives != 1 || sentErr != nil || firstErr != nil {
		return 0
	}
	return time.Duration(first-sent) * time.Millisecond
}

// InFlight is about how many messages are received and neither deleted nor visible again.
func (q *Queue) InFlight(ctx context.Context) (int, error) {
	name := types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	out, err := q.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &q.URL,
		AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		return 0, fmt.Errorf("count messages in flight: %w", err)
	}

	n, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil {
		return 0, fmt.Errorf("count messages in flight: %w", err)
	}
	return n, nil
}

// Hide sets the visibility timeout of messages anew, from now on. It returns the errors by receipt of those that could
// not be hidden, [ErrGone] among them; err is set if calls failed as a whole. Calls are about [MaxBatch] messages each,
// and independent: one that hangs holds up no other.
func (q *Queue) Hide(ctx context.Context, receipts []string,
	visibility time.Duration) (failed map[string]error, err error) {
	failed = map[string]error{}
	var mu sync.Mutex // guards failed and err
	var calls sync.WaitGroup
	for batch := range slices.Chunk(receipts, MaxBatch) {
		calls.Go(func() {
			refused, callErr := q.hide(ctx, batch, visibility)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(failed, refused)
			err = errors.Join(err, callErr)
		})
	}

	calls.Wait()
	return failed, err
}

func (q *Queue) hide(ctx context.Context, receipts []string,
	visibility time.Duration) (failed map[string]error, err error) {
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.URL}
	for i, receipt := range receipts {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &receipt, VisibilityTimeout: int32(visibility / time.Second),
		})
	}

	out, err := q.Client.ChangeMessageVisibilityBatch(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("change visibility: %w", err)
	}

	failed = map[string]error{}
	for _, f := range out.Failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i < len(receipts) {
			err := fmt.Errorf("change visibility: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
			if slices.Contains(goneCodes, aws.ToString(f.Code)) {
				err = errors.Join(ErrGone, err)
			}
			failed[receipts[i]] = err
		}
	}

	return failed, nil
}

// Release makes a message visible again after a delay, for whoever polls next. The error is [ErrGone] if it is not
// there any more.
func (q *Queue) Release(ctx context.Context, m Message, after time.Duration) error {
	_, err := q.Client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.URL, ReceiptHandle: &m.Receipt, VisibilityTimeout: int32(after / time.Second),
	})
	var refusal smithy.APIError
	if errors.As(err, &refusal) && slices.Contains(goneCodes, refusal.ErrorCode()) {
		err = errors.Join(ErrGone, err)
	}
	if err != nil {
		return fmt.Errorf("release message: %w", err)
	}
	return nil
}

// Delete takes a message off the queue: its work is done, durably.
func (q *Queue) Delete(ctx context.Context, m Message) error {
	_, err := q.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: &m.Receipt})
	if err != nil {
		return fmt.Errorf("delete message: %w", err)
	}
	return nil
}
