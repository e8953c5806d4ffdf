package recording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// soon is how long the end of a recording may take while everything works.
const soon = 3 * time.Second

func TestARecordingFromItsStartToItsNotice(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		began := time.Now()
		h := one.record(c)
		pass(10 * time.Second)
		require.Equal(t, 1, one.Running())
		require.Equal(t, 1, w.livekit.bots())
		running := w.document(c)
		require.Equal(t, document.Active, running.State)
		require.Equal(t, "S1", running.Session)
		require.Equal(t, []document.State{document.Active}, states(running))
		require.NotEmpty(t, one.leaves())

		one.stop(c)
		require.Equal(t, Result{Outcome: Done}, h.within(soon))
		final := w.document(c)
		require.Equal(t, document.Completed, final.State)
		require.Equal(t, reasonStopped, final.Reason)
		require.Equal(t, "room/alice", final.File)
		require.Equal(t, "one", final.Recorder)
		require.Equal(t, []document.State{document.Completed}, states(final))
		require.InDelta(t, 10, final.Parts[0].Duration, 0.5)
		require.WithinDuration(t, began, *final.StartedAt, time.Second)
		require.Equal(t, map[string]int{"room/alice.ogg": int(final.Parts[0].Size)}, w.bucket.media())
		require.Equal(t, []document.Recording{final}, w.told())
		require.Empty(t, one.leaves())
		require.Zero(t, one.Running())
		require.Zero(t, w.livekit.bots())
	})
}

// Who comes while the bucket is away must not be lost.
func TestABucketThatAnswersLateCostsNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		w.bucket.silence(3 * time.Second)
		h := one.record(c)
		pass(2500 * time.Millisecond)
		require.Len(t, one.leaves(), 2, "a note, and a file that grows")

		pass(7500 * time.Millisecond)
		require.Equal(t, document.Active, w.document(c).State)
		one.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		require.InDelta(t, 10, w.document(c).Parts[0].Duration, 1.5)
		require.Empty(t, one.leaves())
	})
}

func TestABucketThatIsAwayMeanwhileCostsNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(5 * time.Second)
		w.bucket.set(func(b *bucket) { b.away = true })
		pass(5 * time.Minute)
		w.livekit.goes()
		pass(time.Minute)
		require.True(t, h.goesOn(), "its file is only here")
		require.NotEmpty(t, one.leaves())

		w.bucket.set(func(b *bucket) { b.away = false })
		require.Equal(t, Done, h.within(time.Minute).Outcome)
		final := w.document(c)
		require.Equal(t, document.Completed, final.State)
		require.InDelta(t, 305, final.Parts[0].Duration, 1)
		require.Empty(t, one.leaves())
	})
}

// It may say no at once, as it does to whoever has lost the right to write: as fast as it answers is too fast.
func TestABucketThatRefusesIsNotAskedWithoutPause(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(5 * time.Second)
		w.bucket.set(func(b *bucket) { b.away, b.pause, b.calls = true, time.Millisecond, 0 })
		pass(5 * time.Minute)
		w.bucket.set(func(b *bucket) {
			require.Positive(t, b.calls)
			require.Less(t, b.calls, 5*60)
		})
		require.True(t, h.goesOn())
	})
}

func TestADuplicateLeavesNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, first, second := w.recorder("one"), w.recorder("two"), start(), start()
		w.bucket.set(func(b *bucket) { b.pause = 100 * time.Millisecond }) // both begin before they know
		winner, loser := one.record(first), two.record(second)
		pass(250 * time.Millisecond)
		require.Equal(t, 2, w.livekit.bots())
		pass(5 * time.Second)
		if w.document(first).State == document.Failed {
			one, two, first, second, winner, loser = two, one, second, first, loser, winner
		}

		require.Equal(t, Refused, loser.within(time.Second).Outcome)
		require.Empty(t, two.leaves())
		require.Equal(t, document.Failed, w.document(second).State)
		require.Equal(t, reasonDuplicate+first.Recording, w.document(second).Reason)
		require.True(t, winner.goesOn())
		one.stop(first)
		require.Equal(t, Done, winner.within(soon).Outcome)
		require.Len(t, w.bucket.media(), 1)
	})
}

func TestAStopThatOvertakesItsStartIsObeyed(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		require.NoError(t, one.Stop(t.Context(), command.NewStop("room", "alice", time.Now())))
		require.Equal(t, Refused, one.record(c).within(soon).Outcome)
		require.Equal(t, reasonVoid, w.document(c).Reason)
		require.Empty(t, w.bucket.media())
		require.Empty(t, w.livekit.subjects, "nobody has to go there")
	})
}

func TestARoomThatIsClosedEndsItsRecordings(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		w.livekit.set(func(s *scene) { s.closed = true })
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, reasonRoomClosed, w.document(c).Reason)
		require.Equal(t, document.Completed, w.document(c).State)
	})
}

func TestNobodyIsWaitedForForEver(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.goes()
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(patient.StartTimeout - time.Second)
		require.True(t, h.goesOn())
		require.Equal(t, Done, h.within(2*soon).Outcome)
		require.Equal(t, document.Failed, w.document(c).State)
		require.Equal(t, document.ReasonNotJoined, w.document(c).Reason)
	})
}

func TestWhoLeavesIsNotRecordedAnyMore(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), joined("S1")
		h := one.record(c)
		pass(10 * time.Second)
		w.livekit.goes()
		left := command.NewStop("room", "alice", time.Now())
		left.Session = "S1"
		require.NoError(t, one.Stop(t.Context(), left))
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, reasonLeft, w.document(c).Reason)
	})
}

func TestTheLongestDurationIsKept(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		one.Policy.MaxDuration = time.Minute
		h := one.record(c)
		require.Equal(t, Done, h.within(time.Minute+soon).Outcome)
		require.Equal(t, reasonMaximum, w.document(c).Reason)
		require.InDelta(t, 60, w.document(c).Parts[0].Duration, 1)
	})
}

func TestADiskThatCannotBeWrittenGivesTheRecordingBack(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		one.World.Open = func(string, []mux.Stream) (parts.File, error) { return nil, errAway }
		h := one.record(c)
		require.Equal(t, Offered, h.within(5*time.Minute).Outcome)
		require.False(t, w.document(c).Final())
	})
}

// The scratch space is used up: what began first goes on.
func TestTheNewestRecordingEndsFirst(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, older, newer := w.recorder("one"), start(), start()
		newer.Media, newer.Track = "", "microphone"
		first := one.record(older)
		pass(5 * time.Second)
		second := one.record(newer)
		pass(5 * time.Second)
		one.EndNewest()
		require.Equal(t, Offered, second.within(soon).Outcome)
		require.True(t, first.goesOn())
		require.Equal(t, document.Active, w.document(newer).State, "another recorder may have space")
		one.EndNewest()
		require.Equal(t, Offered, first.within(soon).Outcome)
		one.EndNewest()
	})
}

func TestABrokenLedgerGivesTheStartBack(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		_, err := w.bucket.Put(t.Context(), ".ledger/room/alice.json", []byte("{"), "")
		require.NoError(t, err)
		require.Equal(t, TryAgain, one.record(c).within(soon).Outcome)
		require.Empty(t, one.leaves())
	})
}

func TestABotFollowsWhatIsToBeRecorded(t *testing.T) {
	for _, c := range []struct {
		start  command.Command
		tracks []string
		kinds  int
	}{
		{command.Command{Media: command.AudioVideo}, []string{"camera", "microphone"}, 2},
		{command.Command{}, []string{"camera", "microphone"}, 2},
		{command.Command{Media: command.AudioOnly}, []string{"microphone"}, 1},
		{command.Command{Media: command.VideoOnly}, []string{"camera"}, 1},
		{command.Command{Media: command.Screen}, []string{"screen_share", "screen_share_audio"}, 2},
		{command.Command{Track: "screen_share"}, []string{"screen_share"}, 1},
	} {
		c.start.Participant = "alice"
		require.Equal(t, "alice", interest(c.start).Identity)
		require.Equal(t, c.tracks, interest(c.start).Tracks)
		require.Equal(t, c.kinds, kinds(c.start))
	}
}
