package check

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

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
		// It is visible again at once. That it was received counts, once of a hundred times.
		_, err = q.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl:            &q.URL,
			MaxNumberOfMessages: 1,
			VisibilityTimeout:   0,
			WaitTimeSeconds:     0,
		})
		if err != nil {
			return queueFault(ctx, setting, "sqs:ReceiveMessage", q, err)
		}
		return attributes(setting, out.Attributes, hold)
	}}
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
	case f.code == noCredentials || strings.Contains(f.code, "Token") || f.code == "InvalidClientTokenId" ||
		f.code == "SignatureDoesNotMatch" || f.code == "InvalidAccessKeyId":
		setting, remedy = credentials()
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
