package recording

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

func TestAShutdownHandsOverWithoutAGap(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		old := one.record(c)
		pass(10 * time.Second)
		close(old.relinquished)
		pass(5 * time.Second)
		require.True(t, old.goesOn(), "nobody has it yet")
		require.EqualValues(t, 1, old.offers.Load())
		require.Equal(t, []document.State{document.Draining}, states(w.document(c)))

		successor := two.record(c)
		require.Equal(t, Offered, old.within(10*time.Second).Outcome)
		require.Empty(t, one.leaves())
		pass(5 * time.Second)
		two.stop(c)
		require.Equal(t, Done, successor.within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, []document.State{document.Completed, document.Completed}, states(final))
		require.Positive(t, final.Parts[1].Overlap)
		require.False(t, final.Parts[0].Recovered)
		require.Len(t, w.told(), 1)
	})
}

func TestAShutdownDoesNotWaitForEverForASuccessor(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		close(h.relinquished)
		require.Equal(t, Offered, h.within(patient.HandOver+soon).Outcome)
		require.Equal(t, []document.State{document.Completed}, states(w.document(c)))
		require.False(t, w.document(c).Final())
		require.Empty(t, w.told())
	})
}

// The bucket is away while the recorder shuts down: what it has needs no more than a name.
func TestWhatWasBegunWithoutTheBucketIsOfferedAndStored(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		w.bucket.silence(2 * time.Minute)
		h := one.record(c)
		pass(10 * time.Second)
		close(h.relinquished)
		pass(5 * time.Second)
		require.EqualValues(t, 1, h.offers.Load())
		require.Equal(t, Offered, h.within(3*time.Minute).Outcome)
		require.Equal(t, []document.State{document.Completed}, states(w.document(c)))
		require.Empty(t, one.leaves())
	})
}

func TestWhoHasLostARecordingLeavesItToItsOwner(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		old := one.record(c)
		pass(10 * time.Second)
		owner := two.record(c)
		require.Equal(t, Result{Outcome: LeftToOwner, Message: "message of two"}, old.within(15*time.Second))
		require.True(t, owner.goesOn())
		require.Zero(t, old.offers.Load())
		require.Empty(t, one.leaves())
		pass(soon)
		now := w.document(c)
		require.Equal(t, "two", now.Recorder)
		require.Equal(t, []document.State{document.Completed, document.Active}, states(now))
	})
}

// Its message comes to another recorder while the bucket does not answer.
func TestWhoGetsARecordingWithoutAMessageDoesNotNameTheOneThatItHad(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		var reads atomic.Int32
		w.bucket.reads = func(string) error {
			if reads.Add(1) > 1 { // behind the first look
				return errAway
			}
			return nil
		}
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		owner := one.record(c)
		pass(time.Minute)
		require.Greater(t, reads.Load(), int32(2))
		owner.message = ""
		w.bucket.reads = nil
		pass(time.Minute)

		standing, err := w.ledger().Standing(t.Context(), w.document(c))
		require.NoError(t, err)
		require.Equal(t, ledger.Wanted, standing.Holding)
		require.Empty(t, standing.Message)
		two.record(c)
		require.Equal(t, Result{Outcome: LeftToOwner, Message: "message of two"}, owner.within(15*time.Second))
	})
}

// The final document is written, the ledger cannot be told, and then another recorder has the recording.
func TestWhoIsOvertakenWhileConcludingLeavesItToItsOwner(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		books, documents := &ledger.Ledger{Store: w.bucket.Store}, ledger.Documents{Store: w.bucket.Store}
		w.bucket.reads = func(key string) error {
			there, err := documents.ByID(t.Context(), c.Recording)
			if err != nil || !strings.HasPrefix(key, ".ledger/") || !there.Final() {
				return err
			}
			w.bucket.reads = nil
			grant, err := books.Bid(t.Context(), ledger.Bid{Start: c, Owner: "two", Attempt: "two", At: time.Now()})
			if err == nil {
				err = documents.Save(t.Context(), there.Owned("two", "bucket", grant.Epoch).Running(there.Parts))
			}
			return errors.Join(errAway, err)
		}
		one.stop(c) // now that what happens behind it is arranged: it may be over at once
		require.Equal(t, LeftToOwner, h.within(time.Minute).Outcome)
		require.Equal(t, "two", w.document(c).Recorder)
		require.Empty(t, one.leaves())
	})
}

func TestAKilledRecordersPartIsRecovered(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		killed := one.record(c)
		pass(10 * time.Second)
		killed.kill()
		require.Equal(t, TryAgain, killed.within(soon).Outcome)
		require.NotEmpty(t, one.leaves(), "the next one on its disk will store it")

		h := two.record(c)
		pass(time.Minute)
		two.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, []document.State{document.Completed, document.Completed}, states(final))
		require.True(t, final.Parts[0].Recovered)
		require.InDelta(t, repairedLength.Seconds(), final.Parts[0].Duration, 0.01)
		require.EqualValues(t, w.bucket.media()[final.Parts[0].Key], final.Parts[0].Size)
	})
}

func TestWithoutLiveKitNothingIsTaken(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.breaks()
		one, c := w.recorder("one"), start()
		require.Equal(t, TryAgain, one.record(c).within(patient.Connect+soon).Outcome)
		grant, err := w.ledger().Look(t.Context(), ledger.Bid{Start: c})
		require.NoError(t, err)
		require.Equal(t, ledger.Grant{Verdict: ledger.Record, Epoch: 1}, grant, "nobody has had it")
	})
}

func TestLiveKitThatIsAwayForLongIsLeftToAnotherRecorder(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		w.livekit.breaks()
		require.Equal(t, Offered, h.within(patient.RejoinWindow+soon).Outcome)
		require.Equal(t, []document.State{document.Completed}, states(w.document(c)))
		require.False(t, w.document(c).Final())
	})
}

func TestLiveKitThatIsBackInTimeEndsNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		w.livekit.breaks()
		pass(patient.RejoinWindow / 2)
		w.livekit.works()
		pass(30 * time.Second)
		require.True(t, h.goesOn())
		one.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, []document.State{document.Completed}, states(w.document(c)))
		require.InDelta(t, 55, w.document(c).Parts[0].Duration, 1)
	})
}

// The start of the new session was taken for a duplicate while the old one's recording was about to end.
func TestWhoIsBackInAnotherSessionAfterTheWindowIsRecordedOn(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), joined("S1")
		h := one.record(c)
		pass(12 * time.Second)
		w.livekit.goes()
		pass(patient.RejoinWindow - time.Second)
		_, err := w.ledger().Bid(t.Context(), ledger.Bid{Start: joined("S2"), Owner: "two", Attempt: "two 1"})
		require.NoError(t, err)
		pass(3 * time.Second)
		w.livekit.comes("S2")
		pass(10 * time.Second)
		require.True(t, h.goesOn())
		require.Empty(t, w.told())
		require.Equal(t, document.Active, w.document(c).State)

		one.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, document.Completed, w.document(c).State)
		require.Equal(t, "S2", w.document(c).Session)
	})
}

func TestAHintMakesARecorderLookAtOnce(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(6 * time.Second) // it has just looked
		_, err := w.ledger().Stop(t.Context(), command.NewStop("room", "alice", time.Now()))
		require.NoError(t, err)
		one.Check("another")
		require.True(t, h.goesOn())
		one.Check(c.Recording)
		require.Equal(t, Done, h.within(time.Second).Outcome)
	})
}

func TestAStopElsewhereIsToldToTheOwner(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(5 * time.Second)
		require.Error(t, two.Stop(t.Context(), byID(start())), "nobody knows it")
		two.stop(c)
		require.Equal(t, []string{"room one " + c.Recording}, w.livekit.hints)
		require.Equal(t, Done, h.within(soon).Outcome)
	})
}

func TestAStopOfAParticipantIsToldToEveryOwner(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(5 * time.Second)
		require.NoError(t, two.Stop(t.Context(), command.NewStop("room", "alice", time.Now())))
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, reasonStopped, w.document(c).Reason)
	})
}

func TestAStartThatIsGivenUpIsNotRecordedLater(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		require.NoError(t, w.documents().Request(t.Context(), document.NewRecording(c)))
		require.NoError(t, one.GiveUp(t.Context(), c))
		require.Equal(t, document.ReasonGivenUp, w.document(c).Reason)
		require.Equal(t, Refused, one.record(c).within(soon).Outcome)
		require.Empty(t, w.bucket.media())
		w.bucket.set(func(b *bucket) { b.away = true })
		require.Error(t, one.GiveUp(t.Context(), start()))
	})
}

func TestNoticesThatCannotBeSentAreSentLater(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.keepNotices(true)
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		one.stop(c)
		pass(5 * time.Minute)
		require.True(t, h.goesOn(), "nobody else may know that they are missing")
		require.True(t, w.document(c).Final())

		w.keepNotices(false)
		require.Equal(t, Done, h.within(time.Minute).Outcome)
		require.Equal(t, []document.Recording{w.document(c)}, w.told())
	})
}

// The places of its recorder were given to others while a start waited for somebody.
func TestWhoComesLateToAFullRecorderIsLeftToAnother(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.goes()
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(time.Minute)
		require.True(t, h.rests.Load())
		h.full.Store(true)
		w.livekit.comes("S2")
		pass(time.Second)
		require.EqualValues(t, 1, h.offers.Load())
		next := two.record(c)
		require.Equal(t, Offered, h.within(soon).Outcome)
		pass(10 * time.Second)
		two.stop(c)
		require.Equal(t, Done, next.within(soon).Outcome)
		require.Equal(t, document.Completed, w.document(c).State)
		require.False(t, next.rests.Load())
	})
}

// Somebody leaves while they are handed over: the successor never has a part of its own, and comes to its end.
func TestASuccessorWithoutPartsComesToItsEnd(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.bucket.set(func(b *bucket) { b.pause = 30 * time.Millisecond })
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		old := one.record(c)
		pass(10 * time.Second)
		close(old.relinquished)
		pass(time.Second)
		w.livekit.goes()
		pass(time.Second)
		successor := two.record(c)
		require.Equal(t, Offered, old.within(patient.RejoinWindow+patient.HandOver+soon).Outcome)
		pass(patient.RejoinWindow + time.Minute)
		require.False(t, successor.goesOn())
		require.True(t, w.document(c).Final())
	})
}
