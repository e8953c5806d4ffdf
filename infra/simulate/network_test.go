package simulate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/queue"
)

// tried is what came of one call: whether it was acted upon, how it ended, and how long that took.
type tried struct {
	acted bool
	err   error
	took  time.Duration
}

func try(t *testing.T, n *network, timeout time.Duration) (result tried) {
	t.Helper()
	c := &client{network: n, process: newProcess("RR_1", "host0", nil), service: S3, timeout: timeout}
	c.handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { result.acted = true })
	began := time.Now()
	response, err := c.Do(httptest.NewRequestWithContext(t.Context(), http.MethodPut, "https://s3.simulated/x",
		strings.NewReader("x")))
	if err == nil {
		require.NoError(t, response.Body.Close())
	}
	result.err, result.took = err, time.Since(began)
	return result
}

func TestCutsDoWhatTheirModesSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{dice: newDice(1)}
		works := try(t, n, 0)
		require.True(t, works.acted)
		require.NoError(t, works.err)

		end := n.begin("host0", S3, Refuses)
		refused := try(t, n, 0)
		require.False(t, refused.acted)
		require.ErrorIs(t, refused.err, syscall.ECONNREFUSED)
		require.Less(t, refused.took, time.Second)
		end()

		end = n.begin(everybody, S3, Silent)
		silent := try(t, n, 3*time.Second)
		require.False(t, silent.acted)
		require.ErrorIs(t, silent.err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, silent.took)
		end()

		end = n.begin("host0", S3, Deaf)
		time.AfterFunc(20*time.Second, end)
		deaf := try(t, n, 0)
		require.True(t, deaf.acted)
		require.ErrorIs(t, deaf.err, syscall.ECONNRESET)
		require.Less(t, deaf.took, 21*time.Second)

		defer n.begin("host1", S3, Refuses)()
		defer n.begin("host0", SQS, Refuses)()
		require.NoError(t, try(t, n, 0).err, "cuts of other hosts and services are none of ours")
	})
}

func TestALongPollTakesVirtualTimeAndMessagesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		queues, err := newQueues()
		require.NoError(t, err)
		n := &network{dice: newDice(1)}
		open := func(p *process) *queue.Queue {
			return &queue.Queue{URL: queueURL(startQueue), Client: sqsClient(&client{
				network: n, process: p, service: SQS, handler: queues, timeout: pollTimeout,
			})}
		}
		dying, other := newProcess("RR_1", "host0", over), newProcess("RR_2", "host1", over)
		began := time.Now()
		none, err := open(other).Receive(t.Context(), 1, 30*time.Second)
		require.NoError(t, err)
		require.Empty(t, none)
		require.InDelta(t, 20, time.Since(began).Seconds(), 1)

		require.NoError(t, open(other).Send(t.Context(), "hello"))
		got, err := open(dying).Receive(t.Context(), 1, 30*time.Second)
		require.NoError(t, err)
		require.Len(t, got, 1)
		dying.kill()
		back, err := open(other).Receive(t.Context(), 1, 30*time.Second)
		require.NoError(t, err)
		require.Empty(t, back, "it is invisible for 30 seconds")
		require.True(t, queues.redeliver(n.dice))
		back, err = open(other).Receive(t.Context(), 1, 30*time.Second)
		require.NoError(t, err)
		require.Len(t, back, 1)
		require.Equal(t, 2, back[0].Receives)
		require.True(t, queues.duplicate(n.dice))
		require.Equal(t, 2, queues.count(startQueue))
		require.Equal(t, 0, queues.count(startQueue+deadSuffix))
	})
}

func TestADeadProcessGetsNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		queues, err := newQueues()
		require.NoError(t, err)
		p := newProcess("RR_1", "host0", over)
		c := sqsClient(&client{network: &network{dice: newDice(1)}, process: p, service: SQS, handler: queues})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			url := queueURL(startQueue)
			_, err := c.ReceiveMessage(context.Background(), &awssqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
			require.Error(t, err)
		}()
		time.Sleep(5 * time.Second) // of virtual time: the poll is under way
		p.kill()
		time.Sleep(time.Hour)
		select {
		case <-ended:
			t.Fatal("a dead process got an answer")
		default:
		}
		close(over)
		<-ended
	})
}
