package recording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// screen is the start of alice's screen for a session. She may share it already.
func (w *world) screen(shared bool) command.Command {
	w.share(shared)
	c := joined("S1")
	c.Media = command.Screen
	return c
}

// share begins or ends a share.
func (w *world) share(on bool) { w.livekit.set(func(s *scene) { s.silent = !on }) }

// leaves is alice's goodbye.
func (w *world) leaves(r *recorder) {
	w.livekit.goes()
	left := command.NewStop("room", "alice", time.Now())
	left.Session = "S1"
	require.NoError(w.t, r.Stop(w.t.Context(), left))
}

func TestAShareIsAwaitedAndNotTheParticipantAlone(t *testing.T) {
	sharing := patient.of(command.Command{Media: command.Screen})
	for _, r := range []struct {
		name    string
		before  []Event
		event   Event
		effects string
	}{
		{"in the room, nobody there", looking, InRoom{}, "absence in 5m0s, rest in 3s, Bid"},
		{"there, and shares nothing yet", ours, Joined{"S1"}, ""},
		{"shares nothing for a moment", present, fired(RestTimer), "Rest"},
		{"still nobody there", ours, fired(RestTimer), "Rest"},
		{"back in the room, nothing shared", then(present, OutOfRoom{}), InRoom{}, "absence in 30s, rest in 3s"},
		{"the share begins", present, FirstFrame{}, "Wake, maximum in 1h0m0s"},
		{"it runs: it needs its place", runs, fired(RestTimer), ""},
		{"another recorder had begun it", connected, Granted{ledger.Grant{Verdict: ledger.Record, Epoch: 2},
			20 * time.Minute}, "Adopt, Wake, maximum in 40m0s, Watch, Recover, absence in 30s"},
		{"shutting down while nothing is shared", present, Relinquish{}, "Mark, Offer, CloseParts"},
		{"shutting down meanwhile", runs, Relinquish{}, "Mark, Offer, Watch fast, patience in 1m0s"},
	} {
		t.Run(r.name, func(t *testing.T) {
			s, effects := begin(sharing, "S1")
			for _, e := range then(r.before, r.event) {
				s, effects = step(sharing, s, e)
			}
			require.Equal(t, r.effects, brief(effects))
		})
	}
}

func TestASessionWithoutAShareCostsNoPlace(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), w.screen(false)
		h := one.record(c)
		pass(restAfter - time.Second)
		require.False(t, h.rests.Load())
		pass(2 * time.Second)
		require.True(t, h.rests.Load(), "she is there, and shares nothing")
		pass(3 * patient.StartTimeout)
		require.True(t, h.goesOn(), "she may yet share it")
		require.Empty(t, one.leaves())
		require.Equal(t, document.Requested, w.document(c).State)
		require.Equal(t, "S1", w.document(c).Session)

		w.leaves(one)
		require.Equal(t, Done, h.within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, document.Failed, final.State)
		require.Equal(t, document.ReasonNoShare+"; "+reasonLeft, final.Reason)
		require.Equal(t, "no_media", cause(final, reasonLeft), "nobody's fault")
		require.Empty(t, final.Parts)
		require.Empty(t, w.bucket.media())
	})
}

func TestSharesOfASessionAreOneFile(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), w.screen(false)
		h := one.record(c)
		pass(time.Minute)
		for range 3 { // 10 s, and 20 s later again
			w.share(true)
			pass(10 * time.Second)
			require.False(t, h.rests.Load())
			w.share(false)
			pass(20 * time.Second)
			require.True(t, h.goesOn())
		}
		w.leaves(one)
		require.Equal(t, Done, h.within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, document.Completed, final.State)
		require.Len(t, final.Parts, 1)
		require.InDelta(t, 70, final.Parts[0].Duration, 0.5, "from the first to the last")
	})
}

// A share begins when its recorder has no place any more: it is recorded all the same until another one has it.
func TestAShareThatFindsNoPlaceIsHandedOver(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), w.screen(false)
		h := one.record(c)
		pass(time.Minute)
		h.full.Store(true)
		w.share(true)
		pass(10 * time.Second)
		require.True(t, h.goesOn())
		require.EqualValues(t, 1, h.offers.Load())
		require.Len(t, w.document(c).Parts, 1)

		next := w.recorder("two").record(c)
		require.Equal(t, Offered, h.within(10*time.Second).Outcome, "its part begins when no picture has come for a while")
		pass(10 * time.Second)
		require.False(t, next.rests.Load())
		w.leaves(one)
		require.Equal(t, Done, next.within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, document.Completed, final.State)
		require.Len(t, final.Parts, 2)
		require.Positive(t, final.Parts[1].Overlap, "nothing is missing between them")
	})
}

// Whoever waits for a share has nothing on the disk.
func TestWhatWaitsIsNotEndedForWantOfSpace(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), w.screen(true)
		speaks := start()
		first := one.record(speaks)
		pass(10 * time.Second)
		w.share(false)
		pass(time.Second)
		second := one.record(c)
		pass(10 * time.Second)
		one.EndNewest()
		require.Equal(t, Offered, first.within(soon).Outcome)
		require.True(t, second.goesOn())
	})
}

func TestAShareThatRunsAlreadyNeedsItsPlace(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		h := w.recorder("one").record(w.screen(true))
		pass(2 * restAfter)
		require.False(t, h.rests.Load())
	})
}
