package sqs_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	standin "livekit-recorder/infra/local/sqs"
)

// restarted serves what is in a file, as after a restart.
func restarted(t *testing.T, path string) (*awssqs.Client, func(name string) *string) {
	t.Helper()
	handler, err := standin.NewKept("http://queues.example", path)
	require.NoError(t, err)
	require.NoError(t, handler.Ensure("starts", 2))
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)

	client := awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	return client, func(name string) *string { return aws.String("http://queues.example/000000000000/" + name) }
}

// take receives the only message of a queue, at once; none if there is none.
func take(t *testing.T, client *awssqs.Client, queue *string, hidden int32) *types.Message {
	t.Helper()
	out, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{
		QueueUrl: queue, VisibilityTimeout: hidden, WaitTimeSeconds: 1,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	require.NoError(t, err)
	if len(out.Messages) == 0 {
		return nil
	}
	require.Len(t, out.Messages, 1)
	return &out.Messages[0]
}

// giveBack lets others have a message at once.
func giveBack(t *testing.T, client *awssqs.Client, queue *string, m *types.Message) {
	t.Helper()
	_, err := client.ChangeMessageVisibility(t.Context(), &awssqs.ChangeMessageVisibilityInput{
		QueueUrl: queue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
	})
	require.NoError(t, err)
}

func TestMessagesOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.json")
	client, url := restarted(t, path)
	for _, body := range []string{"held", "waiting"} {
		_, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: url("starts"), MessageBody: &body})
		require.NoError(t, err)
	}
	held := take(t, client, url("starts"), 30)
	require.Equal(t, "held", *held.Body)

	client, url = restarted(t, path)
	waiting := take(t, client, url("starts"), 30)
	require.Equal(t, "waiting", *waiting.Body, "what nobody holds is there, and nothing else is")
	require.Equal(t, "1", waiting.Attributes["ApproximateReceiveCount"])

	// Whoever holds a message goes on holding it, and deletes it in the end.
	giveBack(t, client, url("starts"), held)
	again := take(t, client, url("starts"), 30)
	require.Equal(t, "held", *again.Body)
	require.Equal(t, "2", again.Attributes["ApproximateReceiveCount"], "receives are counted across restarts")
	for _, receipt := range []*string{again.ReceiptHandle, waiting.ReceiptHandle} {
		_, err := client.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{
			QueueUrl: url("starts"), ReceiptHandle: receipt,
		})
		require.NoError(t, err)
	}

	client, url = restarted(t, path)
	out, err := client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: url("starts"), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	require.NoError(t, err)
	require.Equal(t, "0", out.Attributes["ApproximateNumberOfMessages"])
	require.Equal(t, "0", out.Attributes["ApproximateNumberOfMessagesNotVisible"])
}

func TestDeadLettersOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.json")
	client, url := restarted(t, path)
	_, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{
		QueueUrl: url("starts"), MessageBody: aws.String("deadly"),
	})
	require.NoError(t, err)
	for range 2 {
		m := take(t, client, url("starts"), 30)
		require.NotNil(t, m)
		giveBack(t, client, url("starts"), m)
	}
	require.Nil(t, take(t, client, url("starts"), 30), "it was received as often as it may be")

	client, url = restarted(t, path)
	require.Equal(t, "deadly", *take(t, client, url("starts-dead"), 30).Body)
}

// Nobody is told that a message is there that would not be after a restart.
func TestWhatCannotBeKeptIsRefused(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "gone")
	require.NoError(t, os.Mkdir(directory, 0o755))
	client, url := restarted(t, filepath.Join(directory, "queues.json"))
	require.NoError(t, os.RemoveAll(directory))
	_, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{
		QueueUrl: url("starts"), MessageBody: aws.String("lost"),
	})
	require.ErrorContains(t, err, "InternalFailure")
}

func TestAFileThatCannotBeReadIsNotWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.json")
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o644))
	_, err := standin.NewKept("", path)
	require.ErrorContains(t, err, path)
}
