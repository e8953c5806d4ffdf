package check

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/recorder/worker"
	"livekit-recorder/shared/queue"
)

func redrive(receives int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":%d}`, receives)
}

func TestQueuesMustKeepMessagesLongEnough(t *testing.T) {
	good := redrive(worker.MaxReceives)
	for name, c := range map[string]struct {
		has   map[string]string
		state State
	}{
		"as the template makes it": {map[string]string{"RedrivePolicy": good, "MessageRetentionPeriod": "86400",
			"DelaySeconds": "0"}, OK},
		"a count in quotes":           {map[string]string{"RedrivePolicy": `{"maxReceiveCount":"100"}`}, OK},
		"gives up later":              {map[string]string{"RedrivePolicy": redrive(1000)}, OK},
		"gives up too early":          {map[string]string{"RedrivePolicy": redrive(worker.MaxReceives - 1)}, Wrong},
		"forgets what is being done":  {map[string]string{"RedrivePolicy": good, "MessageRetentionPeriod": "3600"}, Wrong},
		"keeps an order":              {map[string]string{"RedrivePolicy": good, "FifoQueue": "true"}, Wrong},
		"keeps what nobody can read":  {nil, Warning},
		"is late with every message":  {map[string]string{"RedrivePolicy": good, "DelaySeconds": "5"}, Warning},
		"has a policy that is no one": {map[string]string{"RedrivePolicy": "?"}, Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.state, attributes("START_QUEUE_URL", c.has, 12*time.Hour).State)
		})
	}
}

// A message that the check took would be late, and taken for one that a recorder may have died of.
func TestTheCheckTakesNoMessage(t *testing.T) {
	client, urls, stop, err := sqs.Local(t.Context(), "starts")
	require.NoError(t, err)
	defer stop()
	q := &queue.Queue{Client: client, URL: urls[0]}
	require.NoError(t, q.Send(t.Context(), "{}"))
	found := Run(t.Context(), []Check{Queue("start queue", "START_QUEUE_URL", q, time.Hour)})[0]
	require.Equal(t, Warning, found.State, "it has no dead-letter queue")

	received, err := q.Receive(t.Context(), 1, time.Minute)
	require.NoError(t, err)
	require.Len(t, received, 1)
	require.Equal(t, 1, received[0].Receives)
}

func TestAnswersOfSQSAreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		operation, code string // that fails, and how
		status          int
		state           State
		setting, tells  string
	}{
		"no such queue":  {"GetQueueAttributes", "QueueDoesNotExist", 400, Wrong, "QUEUE", "that is there, in us-east-1"},
		"may not look":   {"GetQueueAttributes", "AccessDeniedException", 400, Wrong, "QUEUE", "sqs:GetQueueAttributes"},
		"may not read":   {"ReceiveMessage", "AccessDeniedException", 400, Wrong, "QUEUE", "sqs:ReceiveMessage"},
		"unknown user":   {"GetQueueAttributes", "InvalidClientTokenId", 403, Wrong, "AWS credentials", "role"},
		"out of order":   {"GetQueueAttributes", "InternalFailure", 500, Away, "QUEUE", "network"},
		"cannot be read": {"ReceiveMessage", "ServiceUnavailable", 503, Away, "QUEUE", "network"},
	} {
		t.Run(name, func(t *testing.T) {
			queues := sqs.New("http://queues")
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Target") != "AmazonSQS."+c.operation {
					queues.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":"no"}`, c.code)
			}))
			defer server.Close()
			client := awssqs.New(awssqs.Options{
				Region:           "us-east-1",
				BaseEndpoint:     &server.URL,
				RetryMaxAttempts: 1,
				Credentials:      credentials.NewStaticCredentialsProvider("a", "b", ""),
			})
			created, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("starts")})
			require.NoError(t, err)

			q := &queue.Queue{Client: client, URL: aws.ToString(created.QueueUrl)}
			found := Run(t.Context(), []Check{Queue("start queue", "QUEUE", q, time.Hour)})[0]
			require.Equal(t, c.state, found.State, found.String())
			require.Equal(t, c.setting, found.Setting)
			require.Contains(t, found.Remedy, c.tells)
		})
	}
}
