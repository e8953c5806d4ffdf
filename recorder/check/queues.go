package check

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"livekit-recorder/recorder/worker"
	"livekit-recorder/shared/queue"
)

// Queue finds out whether a queue is there, can be read, and keeps messages for as long as it must. Setting is the
// variable that names it, hold how long a message of it may be held.
func Queue(name, setting string, q *queue.Queue, hold time.Duration) Check {
	return Check{Name: name, Run: func(ctx context.Context) Finding {
		out, err := q.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl:       &q.URL,
			AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			return queueFault(ctx, setting, "sqs:GetQueueAttributes", q, err)
		}
		if err := mayReceive(ctx, q); err != nil {
			return queueFault(ctx, setting, "sqs:ReceiveMessage", q, err)
		}
		return attributes(setting, out.Attributes, hold)
	}}
}

// mayReceive asks for more messages at once than SQS gives, which it refuses: none is taken. One that was would be away
// for a while, and taken by somebody for one that a recorder may have died of, as everything that comes again. Whoever
// may not receive at all is refused with other words, as far as rights are looked at first.
func mayReceive(ctx context.Context, q *queue.Queue) error {
	out, err := q.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:            &q.URL,
		MaxNumberOfMessages: queue.MaxBatch + 1,
		VisibilityTimeout:   1,
	})
	if err == nil { // it is not SQS, and gives what it has
		for _, m := range out.Messages {
			taken := queue.Message{Receipt: aws.ToString(m.ReceiptHandle)}
			_ = q.Release(ctx, taken, 0) // or it comes back in a second
		}
		return nil
	}

	if f := faultOf(ctx, err); f.status == http.StatusBadRequest && !strings.Contains(f.code, "AccessDenied") {
		return nil
	}
	return err
}

// attributes finds out whether a queue is set up as it must be. What the service does not tell is taken to be right.
func attributes(setting string, has map[string]string, hold time.Duration) Finding {
	var redrive struct{ MaxReceiveCount json.Number }
	if policy := has["RedrivePolicy"]; policy != "" && json.Unmarshal([]byte(policy), &redrive) != nil {
		return wrong(setting, "set it anew", "the queue's redrive policy cannot be read")
	}
	receives, _ := strconv.Atoi(redrive.MaxReceiveCount.String()) // 0: nobody says
	retention, _ := strconv.Atoi(has["MessageRetentionPeriod"])
	delay, _ := strconv.Atoi(has["DelaySeconds"])

	switch {
	case has["FifoQueue"] == "true":
		return wrong(setting, "use a standard queue", "it is a FIFO queue")
	case receives > 0 && receives < worker.MaxReceives:
		return wrong(setting, "set maxReceiveCount of its redrive policy to "+strconv.Itoa(worker.MaxReceives),
			"it gives messages up after %d receives, before recorders do after %d", receives, worker.MaxReceives)
	case retention > 0 && time.Duration(retention)*time.Second < hold:
		return wrong(setting, "set its MessageRetentionPeriod to 86400, a day", "it deletes messages after %s, which may be "+
			"held for %s", time.Duration(retention)*time.Second, hold)
	case has["RedrivePolicy"] == "":
		return warning(setting, "give it a redrive policy with a dead-letter queue and maxReceiveCount "+
			strconv.Itoa(worker.MaxReceives), "it has no dead-letter queue: messages that nobody can read come again and again")
	case delay > 0:
		return warning(setting, "set its DelaySeconds to 0", "it delays every message by %d s", delay)
	}
	return ok("it is there, can be read, and keeps messages as it must")
}

func queueFault(ctx context.Context, setting, right string, q *queue.Queue, err error) Finding {
	f := faultOf(ctx, err)
	region := q.Client.Options().Region
	if f.State == Away {
		return Finding{
			State:   Away,
			Setting: setting,
			Remedy:  "see that this network leads to SQS in " + region,
			Detail:  f.text,
		}
	}

	remedy := "set it to the URL of a queue that is there, in " + region
	switch {
	case f.badCredentials():
		setting, remedy = awsCredentials()
	case f.status == http.StatusForbidden || strings.Contains(f.code, "AccessDenied"):
		remedy = "grant " + right + ", or correct the URL if this is somebody else's queue"
	}
	return wrong(setting, remedy, "%s", f.text)
}

// Distinct finds out whether two queues are two.
func Distinct(starts, controls string) Check {
	return Check{Name: "queues", Certain: true, Run: func(context.Context) Finding {
		if starts == controls {
			return wrong("START_QUEUE_URL, CONTROL_QUEUE_URL", "set them to two queues", "they are the same queue")
		}
		return ok("they are two")
	}}
}
