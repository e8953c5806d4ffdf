package worker

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	results chan Ending // what the next start that ends returns
	stop    func()      // drains, and returns when Run has
}

func newHarness(t *testing.T, maxRecordings int) *harness {
	t.Helper()
	h := idleHarness(t, maxRecordings)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx, context.Background()) })
	h.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(func() { h.stop() })
	return h
}

// idleHarness has a worker that takes nothing off the queues: the test calls it.
func idleHarness(t *testing.T, maxRecordings int) *harness {
	t.Helper()
	client, urls, stopQueues, err := sqs.Local(t.Context(), "starts", "controls")
	require.NoError(t, err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	h := &harness{client: client, begun: make(chan command.Command, 10), results: make(chan Ending)}
	h.Worker = &Worker{
		Starts: &queue.Queue{Client: client, URL: urls[0]}, Controls: &queue.Queue{Client: client, URL: urls[1]},
		MaxRecordings: maxRecordings, Hold: MaxHold, Log: log,
		Ready: func() bool { return true },
		Doubt: func(string) {},
		Carry: Carry{Stop: func(context.Context, command.Command) error { return nil }},
		Start: func(_ context.Context, c command.Command, b *Baton) Ending {
			h.begun <- c
			select {
			case ending := <-h.results:
				return ending
			case <-b.Relinquished():
				return Ending{Outcome: Offered}
			}
		},
	}
	t.Cleanup(stopQueues)
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
	return [2]string{out.Attributes["ApproximateNumberOfMessages"],
		out.Attributes["ApproximateNumberOfMessagesNotVisible"]}
}

func (h *harness) eventually(t *testing.T, visible, inFlight string) {
	t.Helper()
	require.Eventually(t, func() bool { return h.counts(t) == [2]string{visible, inFlight} }, 10*time.Second,
		10*time.Millisecond,
		"never %s visible and %s in flight", visible, inFlight)
}

func TestStartStaysInFlightWhileItRunsAndGoesWhenItIsDone(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	require.Equal(t, "room", (<-h.begun).Room)
	h.eventually(t, "0", "1")
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

func TestFullWorkerLeavesStartsToOthers(t *testing.T) {
	h := newHarness(t, 1)
	h.send(t, "one")
	first := <-h.begun
	h.send(t, "two")
	h.eventually(t, "1", "1")
	h.results <- Ending{Outcome: Done}
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

// Starts for people who never come would fill a recorder.
func TestAStartThatOnlyWaitsTakesNoPlace(t *testing.T) {
	h := newHarness(t, 1)
	ends := map[string]chan Ending{"absent": make(chan Ending), "present": make(chan Ending)}
	h.Start = func(_ context.Context, c command.Command, _ *Baton) Ending {
		h.begun <- c
		return <-ends[c.Room]
	}
	h.send(t, "absent")
	<-h.begun
	absent := h.holds.batons[0]
	absent.Rest()
	h.send(t, "present")
	<-h.begun
	h.eventually(t, "0", "2")
	require.False(t, absent.Wake(), "the place is taken")

	ends["present"] <- Ending{Outcome: Done}
	require.Eventually(t, absent.Wake, 10*time.Second, time.Millisecond)
	ends["absent"] <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

func TestPlacesAreBounded(t *testing.T) {
	all := newPlaces(2)
	var waiting []*place
	for range 2 * waitingPerPlace {
		p, ok := all.take()
		require.True(t, ok)
		p.rest()
		waiting = append(waiting, p)
	}
	require.Equal(t, 2, all.free())
	first, _ := all.take()
	second, _ := all.take()
	first.rest()
	require.Zero(t, all.free(), "too many wait: it keeps its place")
	_, ok := all.take()
	require.False(t, ok)
	require.False(t, waiting[0].wake())

	second.leave()
	require.True(t, waiting[0].wake())
	first.rest()
	require.Equal(t, 1, all.free())
	for _, p := range append(waiting, first) {
		p.leave()
	}
	require.Equal(t, 2, all.free())
	require.Empty(t, all.waiting)
}

func TestLostStartIsLeftToItsNewOwner(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.results <- Ending{Outcome: Left, Owner: h.messages()[0]}
	h.stop()
	require.Equal(t, [2]string{"0", "1"}, h.counts(t))
}

func TestFailedStartComesBack(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.results <- Ending{Outcome: TryAgain}
	again := <-h.begun // after two seconds
	require.Equal(t, "room", again.Room)
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

// Another recorder may have taken the message for a duplicate's, and deleted it, before this one's part is done.
func TestStartThatFailsAfterItsMessageHasGoneComesBackAsANewMessage(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	for _, m := range h.holds.batons[0].held() {
		require.NoError(t, h.Starts.Delete(t.Context(), m))
	}
	h.results <- Ending{Outcome: TryAgain}
	select {
	case again := <-h.begun:
		require.Equal(t, "room", again.Room)
	case <-time.After(visibility / 2):
		require.Fail(t, "the attempt that had ended has kept the new message, until nobody renewed that any more")
	}
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

func TestHoldingIsRenewed(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	// nearly over
	failed, err := h.Starts.Hide(t.Context(), slices.Collect(maps.Keys(h.holds.receipts(h.Hold))), time.Second)
	require.NoError(t, err)
	require.Empty(t, failed)
	h.holds.batons[0].renewed(time.Time{}, map[string]error{h.holds.batons[0].held()[0].Receipt: nil}) // long ago
	require.Empty(t, h.holds.batons[0].Message())
	h.renewAll(t.Context())
	require.NotEmpty(t, h.holds.batons[0].Message())
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
	for _, b := range h.holds.batons {
		for _, m := range b.held() {
			require.NoError(t, h.Starts.Delete(t.Context(), m)) // as if somebody else had carried it out
		}
	}
	h.renewAll(t.Context())
	require.Equal(t, c.Recording, <-doubts)
	require.Empty(t, h.holds.batons[0].Message())
	h.results <- Ending{Outcome: Done}
}

// Whoever leaves a recording to its owner deletes its own message if the owner holds another one. That had gone already
// when the owner did not hear from the queue for a while: then nothing led to the recording any more.
func TestMessageThatMayBeGoneIsNotSpokenOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBaton(nil, queue.Message{ID: "first", Receipt: "1", At: time.Now()}, "recording", nil)
		time.Sleep(visibility)
		require.Equal(t, "first", b.Message())
		time.Sleep(time.Second)
		require.Empty(t, b.Message(), "it is visible to others")

		b.renewed(time.Now(), map[string]error{"1": nil})
		require.Equal(t, "first", b.Message())
		b.renewed(time.Now(), map[string]error{"another": queue.ErrGone})
		require.Equal(t, "first", b.Message())
		b.renewed(time.Now(), map[string]error{"1": queue.ErrGone})
		require.Empty(t, b.Message())

		require.True(t, b.add(queue.Message{ID: "first", Receipt: "2", At: time.Now()}))
		require.Equal(t, "first", b.Message(), "it has come again")
	})
}

func TestMessageThatComesAgainWhileItIsHeldIsNotStartedTwice(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	// as if every renewal had been lost
	_, err := h.Starts.Hide(t.Context(), slices.Collect(maps.Keys(h.holds.receipts(h.Hold))), 0)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return h.holds.batons[0].Receives() == 2
	}, 10*time.Second, 10*time.Millisecond)
	require.Empty(t, h.begun)
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0") // by the newest receipt
}

func TestNearlyTwelveHoursInFlightAreHandedOver(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	h.holds.batons[0].messages[0].At = time.Now().Add(-MaxHold - time.Minute)
	h.holds.receipts(h.Hold)
	require.Equal(t, "room", (<-h.begun).Room, "taken up again with a fresh receipt")
}

func TestRetriesBackOff(t *testing.T) {
	require.Equal(t, 2*time.Second, retryAfter(1))
	require.Equal(t, 4*time.Second, retryAfter(2))
	require.Equal(t, 20*time.Second, retryAfter(100))
	longest := 0 * time.Second
	for n := range MaxReceives {
		longest += retryAfter(n + 1)
	}
	require.Greater(t, longest, 30*time.Minute, "a stop outlives an outage of the bucket")

	require.Equal(t, time.Second, noticeAfter(0))
	require.Equal(t, time.Second, noticeAfter(1))
	require.Equal(t, 8*time.Second, noticeAfter(4))
	longest = 0
	for n := range MaxReceives {
		longest += noticeAfter(n + 1)
	}
	require.Greater(t, longest, 22*time.Hour, "a notice outlives a receiver that is away for a day")
	require.Less(t, longest, 24*time.Hour)
}

// The queue hangs, and the recorder is about to be killed.
func TestLastCallsDoNotOutliveTheForcedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logrus.New()
		log.SetOutput(io.Discard)
		w := &Worker{Log: log}
		hangs := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		force, end := context.WithTimeout(t.Context(), time.Second)
		defer end()

		began := time.Now()
		w.settle(force, log, "delete", hangs)
		require.Equal(t, time.Second+hurriedCall, time.Since(began), "it had begun before")
		began = time.Now()
		w.settle(force, log, "delete", hangs)
		require.Equal(t, hurriedCall, time.Since(began))
		began = time.Now()
		w.settle(context.Background(), log, "delete", hangs)
		require.Equal(t, callTimeout, time.Since(began))
	})
}

// Receivers that do not answer hold up neither stops nor each other for ever, and what could not be told comes again.
func TestNoticesAreDeliveredBesideStops(t *testing.T) {
	h := newHarness(t, 1)
	stopped, told := make(chan string, 1), make(chan string, 10)
	hangs, answers := make(chan struct{}, 100), make(chan struct{})
	h.Carry.Stop = func(_ context.Context, c command.Command) error {
		stopped <- c.Room
		return nil
	}
	var failures atomic.Int32
	h.Carry.Notify = func(ctx context.Context, c command.Command) error {
		if c.Receiver == "hangs" {
			hangs <- struct{}{}
			select {
			case <-answers:
			case <-ctx.Done():
			}
			return errors.New("no answer")
		}
		if failures.Add(1) == 1 {
			return errors.New("once")
		}
		told <- c.Recording
		return nil
	}

	send := func(c command.Command) {
		body, err := c.Encode()
		require.NoError(t, err)
		require.NoError(t, h.Controls.Send(t.Context(), body))
	}
	for range maxNotices {
		send(command.NewNotify("RC_1", "hangs", time.Now()))
	}
	for range maxNotices {
		<-hangs
	}
	send(command.NewNotify("RC_2", "answers", time.Now())) // there is no place for it yet
	send(command.NewStop("room", "alice", time.Now()))
	require.Equal(t, "room", <-stopped)
	require.Empty(t, told)

	close(answers)
	require.Equal(t, "RC_2", <-told, "after a failure, too")
	h.stop()
	counts, err := h.client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &h.Controls.URL, AttributeNames: []types.QueueAttributeName{"All"},
	})
	require.NoError(t, err)
	visible, err := strconv.Atoi(counts.Attributes["ApproximateNumberOfMessages"])
	require.NoError(t, err)
	inFlight, err := strconv.Atoi(counts.Attributes["ApproximateNumberOfMessagesNotVisible"])
	require.NoError(t, err)
	require.Equal(t, maxNotices, visible+inFlight, "those that hang wait for their turn")
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

// A start that fails again and again ends in the dead-letter queue; before that, it is brought to an end.
func TestStartThatFailsForTheLastTimeIsGivenUp(t *testing.T) {
	h := idleHarness(t, 2)
	given := make(chan string, 1)
	h.GiveUp = func(_ context.Context, c command.Command, dead bool) error {
		require.False(t, dead)
		given <- c.Recording
		return nil
	}
	c := command.NewStart("room", "alice", time.Now())
	body, err := c.Encode()
	require.NoError(t, err)
	carry := func(receives int, endings ...Ending) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			p, _ := newPlaces(1).take()
			h.start(t.Context(), queue.Message{ID: "m", Body: body, Receives: receives}, p)
		}()
		for _, ending := range endings {
			<-h.begun
			h.results <- ending
		}
		<-done
	}

	carry(MaxReceives-1, Ending{Outcome: TryAgain})
	require.Empty(t, given)
	carry(MaxReceives, Ending{Outcome: TryAgain}, Ending{Outcome: Done})
	require.Equal(t, c.Recording, <-given)
}

// A start comes in two messages when its sender did not hear that the first had arrived. Either may be the one that is
// left when the other has gone: both are held, and both go.
func TestAStartInTwoMessagesIsCarriedOutOnceAndHeldByBoth(t *testing.T) {
	h := newHarness(t, 1)
	body, err := command.NewStart("room", "alice", time.Now()).Encode()
	require.NoError(t, err)
	h.receiveTwice(t, body)
	h.eventually(t, "0", "2")
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

// A recorder that goes on by the other message must not be robbed of it, and the one that is left over must not take
// the recording back. What has come since may be all that is left of the owner's, which may have offered it: a
// recording had no message any more that way.
func TestWhatIsLeftToItsOwnerKeepsAMessage(t *testing.T) {
	for name, c := range map[string]struct {
		owner             func(messages []string) string
		visible, inFlight string
	}{
		"the owner holds the second message":       {func(m []string) string { return m[1] }, "0", "1"},
		"the owner holds the first message":        {func(m []string) string { return m[0] }, "1", "1"},
		"the owner's message has gone by an offer": {func([]string) string { return "gone" }, "1", "0"},
		"the owner's message is not known":         {func([]string) string { return "" }, "0", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 1)
			body, err := command.NewStart("room", "alice", time.Now()).Encode()
			require.NoError(t, err)
			h.receiveTwice(t, body)
			h.results <- Ending{Outcome: Left, Owner: c.owner(h.messages())}
			h.stop()
			require.Equal(t, [2]string{c.visible, c.inFlight}, h.counts(t))
		})
	}
}

// The second message may have been sent because something has changed since the first one was judged.
func TestOnlyTheMessageThatWasRefusedGoes(t *testing.T) {
	h := newHarness(t, 1)
	body, err := command.NewStart("room", "alice", time.Now()).Encode()
	require.NoError(t, err)
	h.receiveTwice(t, body)
	h.results <- Ending{Outcome: Refused}
	require.Equal(t, "room", (<-h.begun).Room)
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

// receiveTwice has a start come in two messages, the second when the first is held.
func (h *harness) receiveTwice(t *testing.T, body string) {
	t.Helper()
	require.NoError(t, h.Starts.Send(t.Context(), body))
	<-h.begun
	require.NoError(t, h.Starts.Send(t.Context(), body))
	second, err := h.Starts.Receive(t.Context(), 1, visibility)
	require.NoError(t, err)
	require.Len(t, second, 1)
	p, _ := newPlaces(1).take()
	h.start(t.Context(), second[0], p)
	require.Len(t, h.messages(), 2)
	require.Empty(t, h.begun)
}

func TestAnOfferedStartIsAnotherAttempt(t *testing.T) {
	h := newHarness(t, 2)
	h.send(t, "room")
	<-h.begun
	first := h.holds.batons[0]
	require.NoError(t, first.Offer(t.Context()))
	require.Equal(t, "room", (<-h.begun).Room)
	h.results <- Ending{Outcome: Done}
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}

// Whoever has got it meanwhile may have found nothing to do yet.
func TestAnOfferedStartThatFailsHereComesOnceMore(t *testing.T) {
	h := newHarness(t, 1)
	h.send(t, "room")
	<-h.begun
	require.NoError(t, h.holds.batons[0].Offer(t.Context()))
	h.results <- Ending{Outcome: TryAgain}
	for range 2 {
		require.Equal(t, "room", (<-h.begun).Room)
		h.results <- Ending{Outcome: Done}
	}
	h.eventually(t, "0", "0")
}

// messages are the ids of those that are held.
func (h *harness) messages() (ids []string) {
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	for _, b := range h.holds.batons {
		for _, m := range b.held() {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
