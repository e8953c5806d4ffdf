package queue_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/shared/queue"
)

// A call that gets no answer holds up only the messages that it is about.
func TestHidingThatHangsHoldsUpNoOtherMessages(t *testing.T) {
	const messages = 2*queue.MaxBatch + 1
	queues := sqs.New("")
	var hung atomic.Pointer[string] // a receipt: calls that name it get no answer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the caller has gone
		}
		if receipt := hung.Load(); receipt != nil && bytes.Contains(body, []byte(*receipt)) {
			<-r.Context().Done()
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		queues.ServeHTTP(w, r)
	}))
	defer server.Close()
	queues.URL = server.URL
	client := awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	created, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("starts")})
	require.NoError(t, err)
	q := &queue.Queue{Client: client, URL: aws.ToString(created.QueueUrl)}
	var receipts []string
	for range messages {
		require.NoError(t, q.Send(t.Context(), "{}"))
	}
	for len(receipts) < messages {
		received, err := q.Receive(t.Context(), queue.MaxBatch, time.Minute)
		require.NoError(t, err)
		for _, m := range received {
			receipts = append(receipts, m.Receipt)
		}
	}
	hung.Store(&receipts[0])
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	failed, err := q.Hide(ctx, receipts, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, failed)
	out, err := client.GetQueueAttributes(t.Context(),
		&awssqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{"All"}})
	require.NoError(t, err)
	require.Equal(t, "11", out.Attributes["ApproximateNumberOfMessages"], "the other two calls")
	require.Equal(t, "10", out.Attributes["ApproximateNumberOfMessagesNotVisible"])
}
