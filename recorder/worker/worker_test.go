package worker

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

// harness is a worker with real queues, whose starts do what the test says.
type harness struct {
	*Worker
	client  *awssqs.Client
	begun   chan command.Command
	results chan error // what the next start that ends returns
	stop    func()     // drains, and returns when Run has
}

func newHarness(t *testing.T, maxRecordings int) *harness {
	t.Helper()
	client, urls, stopQueues, err := sqs.Local(t.Context(), "starts", "controls")
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	h := &harness{client: client, begun: make(chan command.Command, 10), results: make(chan error)}
	h.Worker = &Worker{
		Starts: &queue.Queue{Client: client, URL: urls[0]}, Controls: &queue.Queue{Client: client, URL: urls[1]},
		MaxRecordings: maxRecordings, Hold: MaxHold, Log: log,
		Stop: func(context.Context, command.Command) error { return nil },
		Start: func(ctx context.Context, c command.Command, offer func()) error {
			h.begun <- c
			select {
			case err := <-h.results:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	h.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(func() { h.stop(); stopQueues() })
	return h
}

func (h *harness) send(t *testing.T, room string) {
	t.Helper()
	body, err := command.NewStart(room, "alice", time.Now()).Encode()
	require.NoError(t, err)
	require.NoError(t, h.Starts.Send(t.Context(), body))
}

// counts are the start messages that are visible and in flight.
func (h *harness) counts(t *testing.T) [2]string {
	t.Helper()
	out, err := h.client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &h.Starts.URL, AttributeNames: []types.QueueAttributeName{"All"},
	})
	require.NoError(t, err)
	return [2]string{out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]}
}

func (h *harness) eventually(t *testing.T, visible, inFlight string) {
	t.Helper()
	require.Eventually(t, func() bool { return h.counts(t) == [2]string{visible, inFlight} }, 10*time.Second, 10*time.Millisecond,
		"never %s visible and %s in flight", visible, inFlight)
}

func TestStartStaysInFlightWhileItRunsAndGoesWhenItIsDone(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	require.Equal(t, "room", (<-h.begun).Room)
	h.eventually(t, "0", "1")
	h.results <- nil
	h.eventually(t, "0", "0")
}

func TestFullWorkerLeavesStartsToOthers(t *testing.T) {
	h := newHarness(t, 1)
	h.send(t, "one")
	first := <-h.begun
	h.send(t, "two")
	h.eventually(t, "1", "1")
	h.results <- nil
	require.NotEqual(t, first.Room, (<-h.begun).Room)
	h.eventually(t, "0", "1")
}

func TestDrainingMakesMessagesVisibleAtOnce(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.stop()
	require.Equal(t, [2]string{"1", "0"}, h.counts(t))
	again, err := h.Starts.Receive(t.Context(), 1, visibility)
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.Equal(t, 1, again[0].Receives, "as a new message: recordings can be handed over any number of times")
}

func TestLostStartIsLeftToItsNewOwner(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.results <- command.ErrLost
	h.stop()
	require.Equal(t, [2]string{"0", "1"}, h.counts(t))
}

func TestFailedStartComesBack(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.results <- errors.New("the bucket is away")
	again := <-h.begun // after two seconds
	require.Equal(t, "room", again.Room)
	h.results <- nil
	h.eventually(t, "0", "0")
}

func TestHoldingIsRenewed(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	failed, err := h.Starts.Hide(t.Context(), slices.Collect(maps.Keys(h.receipts())), time.Second) // nearly over
	require.NoError(t, err)
	require.Empty(t, failed)
	h.renewAll(t.Context())
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); { // the old timeout passes meanwhile
		require.Equal(t, [2]string{"0", "1"}, h.counts(t))
	}
	require.Empty(t, h.begun)
}

func TestMessageThatCannotBeHeldRaisesDoubt(t *testing.T) {
	h := newHarness(t, 2)
	doubts := make(chan string, 1)
	h.Doubt = func(recording string) { doubts <- recording }
	h.send(t, "room")
	c := <-h.begun
	h.mu.Lock()
	for _, held := range h.held {
		require.NoError(t, h.Starts.Delete(t.Context(), held.message)) // as if somebody else had carried it out
	}
	h.mu.Unlock()
	h.renewAll(t.Context())
	require.Equal(t, c.Recording, <-doubts)
	h.results <- nil
}

func TestMessageThatComesAgainWhileItIsHeldIsNotStartedTwice(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	_, err := h.Starts.Hide(t.Context(), slices.Collect(maps.Keys(h.receipts())), 0) // as if every renewal had been lost
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, held := range h.held {
			return held.message.Receives == 2
		}
		return false
	}, 10*time.Second, 10*time.Millisecond)
	require.Empty(t, h.begun)
	h.results <- nil
	h.eventually(t, "0", "0") // by the newest receipt
}

func TestNearlyTwelveHoursInFlightAreHandedOver(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.mu.Lock()
	for _, held := range h.held {
		held.message.At = time.Now().Add(-MaxHold - time.Minute)
	}
	h.mu.Unlock()
	h.receipts()
	require.Equal(t, "room", (<-h.begun).Room, "taken up again with a fresh receipt")
}

func TestRetriesBackOff(t *testing.T) {
	require.Equal(t, 2*time.Second, retryAfter(queue.Message{Receives: 1}))
	require.Equal(t, 4*time.Second, retryAfter(queue.Message{Receives: 2}))
	require.Equal(t, 20*time.Second, retryAfter(queue.Message{Receives: 100}))
	longest := 0 * time.Second
	for n := range MaxStopReceives {
		longest += retryAfter(queue.Message{Receives: n + 1})
	}
	require.Greater(t, longest, 30*time.Minute, "a stop outlives an outage of the bucket")
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

// A start that fails again and again ends in the dead-letter queue; before that, it is written down.
func TestStartThatFailsForTheLastTimeIsGivenUp(t *testing.T) {
	h := newHarness(t, 2)
	given := make(chan error, 1)
	h.GiveUp = func(_ context.Context, _ command.Command, err error) { given <- err }
	c := command.NewStart("room", "alice", time.Now())
	body, err := c.Encode()
	require.NoError(t, err)
	h.begin(queue.Message{ID: "m", Body: body, Receives: MaxReceives - 1}, h.results, errors.New("once more"))
	require.Empty(t, given)
	h.begin(queue.Message{ID: "m", Body: body, Receives: MaxReceives}, h.results, errors.New("broken"))
	require.ErrorContains(t, <-given, "broken")
}

// begin carries a start through that ends with a result.
func (h *harness) begin(m queue.Message, results chan error, result error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.start(context.Background(), m)
	}()
	<-h.begun
	results <- result
	<-done
}
