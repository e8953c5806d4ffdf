package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

// joins are what the worker is asked to join, one after the other. Each waits for what it is to return.
type joins struct {
	begun   chan string
	results chan error
	running atomic.Int32
}

func (j *joins) join(ctx context.Context, c command.Command, _ bool) error {
	if j.running.Add(1) > 1 {
		return errors.New("two at once")
	}
	defer j.running.Add(-1)
	j.begun <- c.Recording
	select {
	case err := <-j.results:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func newJoins(h *harness) *joins {
	j := &joins{begun: make(chan string, 20), results: make(chan error)}
	h.Carry.Join = j.join
	return j
}

func (h *harness) sendJoin(t *testing.T, recording string) {
	t.Helper()
	body, err := command.NewJoin(recording, time.Now()).Encode()
	require.NoError(t, err)
	require.NoError(t, h.Controls.Send(t.Context(), body))
}

// controls is how many control messages there are, visible and in flight.
func (h *harness) controls(t *testing.T) (visible, inFlight string) {
	t.Helper()
	out, err := h.client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &h.Controls.URL, AttributeNames: []types.QueueAttributeName{"All"},
	})
	require.NoError(t, err)
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// One after the other, and nobody else gets the messages meanwhile.
func TestJoinsAreHeldAndDoneOneAfterTheOther(t *testing.T) {
	h := newHarness(t, 1)
	j := newJoins(h)
	h.sendJoin(t, "RC_1")
	h.sendJoin(t, "RC_2")
	first := <-j.begun
	require.Eventually(t, func() bool {
		visible, inFlight := h.controls(t)
		return visible == "0" && inFlight == "2"
	}, 10*time.Second, 10*time.Millisecond, "both wait here")
	require.Empty(t, j.begun)
	j.results <- nil
	require.NotEqual(t, first, <-j.begun)
	j.results <- nil
	require.Eventually(t, func() bool {
		visible, inFlight := h.controls(t)
		return visible == "0" && inFlight == "0"
	}, 10*time.Second, 10*time.Millisecond, "they are done")
}

// received takes a control message off the queue as the worker does.
func (h *harness) received(t *testing.T) queue.Message {
	t.Helper()
	messages, err := h.Controls.Receive(t.Context(), 1, visibility)
	require.NoError(t, err)
	require.Len(t, messages, 1)
	return messages[0]
}

func newLine() line { return line{make(chan struct{}, maxJoins), make(chan struct{}, 1)} }

// A recorder that is to end gives it back at once.
func TestAJoinThatIsCutOffIsForAnotherRecorder(t *testing.T) {
	h := idleHarness(t, 1)
	j := newJoins(h)
	h.sendJoin(t, "RC_1")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-j.begun; cancel() }()
	h.join(ctx, h.received(t), command.NewJoin("RC_1", time.Now()), newLine())
	visible, inFlight := h.controls(t)
	require.Equal(t, []string{"1", "0"}, []string{visible, inFlight})
}

func TestARecorderWithoutRoomJoinsNothing(t *testing.T) {
	h := idleHarness(t, 1)
	h.Ready = func() bool { return false }
	h.Carry.Join = func(context.Context, command.Command, bool) error { return errors.New("it was begun") }
	h.sendJoin(t, "RC_1")
	m := h.received(t)
	h.join(t.Context(), m, command.NewJoin("RC_1", time.Now()), newLine())
	visible, inFlight := h.controls(t)
	require.Equal(t, []string{"0", "1"}, []string{visible, inFlight}, "it waits a while")
	require.NoError(t, h.Controls.Release(t.Context(), m, 0), "and belongs to nobody else yet")
}

// With the last try it is said that there is no other one, and no room is waited for: somebody must be told of the
// recording.
func TestTheLastTryOfAJoin(t *testing.T) {
	for _, c := range []struct {
		receives int
		last     bool
	}{{1, false}, {lastJoin - 1, false}, {lastJoin, true}} {
		h := idleHarness(t, 1)
		h.Ready = func() bool { return !c.last }
		var was []bool
		h.Carry.Join = func(_ context.Context, _ command.Command, last bool) error {
			was = append(was, last)
			return nil
		}
		h.sendJoin(t, "RC_1")
		m := h.received(t)
		m.Receives = c.receives
		h.join(t.Context(), m, command.NewJoin("RC_1", time.Now()), newLine())
		require.Equal(t, []bool{c.last}, was)
		visible, inFlight := h.controls(t)
		require.Equal(t, []string{"0", "0"}, []string{visible, inFlight})
	}
}

// Another recorder has the message: what is being done here is not needed any more.
func TestAJoinEndsWhenItsMessageIsGone(t *testing.T) {
	h := idleHarness(t, 1)
	h.sendJoin(t, "RC_1")
	m := h.received(t)
	require.NoError(t, h.keep(t.Context(), m))
	require.NoError(t, h.Controls.Delete(t.Context(), m))
	require.ErrorIs(t, h.keep(t.Context(), m), queue.ErrGone)
}

// However long a recorder is busy, there are tries left for hours.
func TestBusyRecordersUseNoTriesUp(t *testing.T) {
	waited := time.Duration(0)
	for receives := 1; receives < lastJoin; receives++ {
		waited += max(joinBusy, noticeAfter(receives/8))
	}
	require.Greater(t, waited, 3*time.Hour)
}
