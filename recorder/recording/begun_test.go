package recording

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// announcer tells of beginnings for several recorders.
type announcer struct {
	times atomic.Int32
	away  atomic.Bool
	early atomic.Int32 // beginnings that the document did not know of yet
}

// announcing is a recorder that tells of beginnings.
func (w *world) announcing(a *announcer, name string) *recorder {
	r := w.recorder(name)
	r.World.TellBegun = func(ctx context.Context, about document.Recording) error {
		if a.away.Load() {
			return errAway
		}
		there, err := w.documents().ByID(ctx, about.ID)
		if err != nil {
			return err
		}
		if len(there.Parts) == 0 {
			a.early.Add(1)
		}
		a.times.Add(1)
		return nil
	}
	return r
}

// What nobody wants to know costs nothing.
func TestABeginningThatNobodyAwaitsIsNotTold(t *testing.T) {
	for _, awaited := range []bool{false, true} {
		story(t, func(t *testing.T, w *world) {
			a, c := &announcer{}, start()
			c.Webhooks = []string{"https://example.com/hook"}
			one := w.announcing(a, "one")
			one.World.Awaited = func(about document.Recording) bool { return awaited && len(about.Webhooks) == 1 }
			h := one.record(c)
			pass(10 * time.Second)
			one.stop(c)
			require.Equal(t, Done, h.within(soon).Outcome)
			require.Equal(t, awaited, a.times.Load() == 1)
		})
	}
}

func TestABeginningIsToldOnceWhenItIsInTheDocument(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		a := &announcer{}
		one, two, c := w.announcing(a, "one"), w.announcing(a, "two"), start()
		old := one.record(c)
		pass(10 * time.Second)
		require.EqualValues(t, 1, a.times.Load())
		require.Zero(t, a.early.Load())

		close(old.relinquished)
		pass(time.Second)
		successor := two.record(c)
		require.Equal(t, Offered, old.within(10*time.Second).Outcome)
		pass(10 * time.Second)
		two.stop(c)
		require.Equal(t, Done, successor.within(soon).Outcome)
		require.EqualValues(t, 1, a.times.Load(), "whoever takes over knows that it has begun before")
	})
}

// The queue is away: recording goes on, its document is saved, and the beginning is told when the queue is back.
func TestABeginningThatCannotBeToldIsToldLater(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		a := &announcer{}
		a.away.Store(true)
		one, c := w.announcing(a, "one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		require.Equal(t, document.Active, w.document(c).State)
		a.away.Store(false)
		pass(5 * time.Second)
		require.EqualValues(t, 1, a.times.Load())
		pass(time.Minute)
		require.EqualValues(t, 1, a.times.Load())
		one.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
	})
}

// It is killed before the queue is back: whoever takes the recording over has to tell.
func TestABeginningThatWasNotToldIsToldByTheNextRecorder(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		a := &announcer{}
		a.away.Store(true)
		one, two, c := w.announcing(a, "one"), w.announcing(a, "two"), start()
		h := one.record(c)
		pass(10 * time.Second)
		h.kill()
		h.within(time.Minute)
		a.away.Store(false)
		successor := two.record(c)
		pass(10 * time.Second)
		require.EqualValues(t, 1, a.times.Load())
		two.stop(c)
		require.Equal(t, Done, successor.within(time.Minute).Outcome)
	})
}

// It ends before the queue is back: the beginning is told with the end, in this order.
func TestABeginningIsToldBeforeTheEnd(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		a := &announcer{}
		a.away.Store(true)
		one, c := w.announcing(a, "one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		one.stop(c)
		pass(10 * time.Second)
		require.True(t, w.document(c).Final())
		require.True(t, h.goesOn(), "its message is deleted when everybody is told")
		require.Empty(t, w.told())
		a.away.Store(false)
		require.Equal(t, Done, h.within(time.Minute).Outcome)
		require.EqualValues(t, 1, a.times.Load())
		require.Len(t, w.told(), 1)
	})
}

// It is killed before the queue is back, and alice leaves: whoever brings the recording to its end has seen nothing of
// it.
func TestABeginningIsToldByWhoeverHasSeenNothingOfIt(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		a := &announcer{}
		a.away.Store(true)
		one, two, c := w.announcing(a, "one"), w.announcing(a, "two"), start()
		h := one.record(c)
		pass(10 * time.Second)
		h.kill()
		h.within(time.Minute)
		w.livekit.goes()
		a.away.Store(false)
		two.stop(c)
		require.Equal(t, Done, two.record(c).within(5*time.Minute).Outcome)
		require.EqualValues(t, 1, a.times.Load())
		require.Len(t, w.told(), 1)
	})
}

// The owner had concluded it, and was killed: nobody knows what it has told.
func TestWhoGetsAnEndedRecordingTellsOfItAll(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		a := &announcer{}
		one, two, c := w.announcing(a, "one"), w.announcing(a, "two"), start()
		h := one.record(c)
		pass(5 * time.Second)
		w.keepNotices(true)
		one.stop(c)
		pass(5 * time.Second)
		h.kill()
		h.within(time.Minute)
		w.keepNotices(false)
		require.Equal(t, Done, two.record(c).within(time.Minute).Outcome)
		require.Len(t, w.told(), 1)
		require.EqualValues(t, 2, a.times.Load(), "at least once")
	})
}

func traced(c command.Command) command.Command {
	c.ID = "request-1"
	return c
}
