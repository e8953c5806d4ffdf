package recording

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// killed has recorders begin a recording and die of it, one after the other. Busy ones have others.
func (w *world) killed(c command.Command, first, count int, busy bool) {
	w.t.Helper()
	for n := first; n < first+count; n++ {
		if n > 3 && busy { // nobody has nothing else, and it waits for that
			away := w.recorder(fmt.Sprint("busy", n)).recordAgain(c, n, busy)
			require.Equal(w.t, Elsewhere, away.within(soon).Outcome)
			pass(time.Minute + time.Second)
		}
		h := w.recorder(fmt.Sprint("dies", n)).recordAgain(c, n, busy)
		pass(3 * time.Second)
		require.True(w.t, h.goesOn())
		h.kill()
		require.Equal(w.t, TryAgain, h.within(soon).Outcome)
		pass(30 * time.Second)
	}
}

func TestWhatKillsEveryRecorderIsRecordedAloneAfterPausesThatGetLonger(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		c := start()
		w.killed(c, 1, 3, true)
		busy := w.recorder("busy").recordAgain(c, 4, true)
		require.Equal(t, Elsewhere, busy.within(soon).Outcome)
		require.Equal(t, ledger.Suspicion{Company: 10}, *busy.suspicion.Load())
		w.killed(c, 5, 2, false)

		for n := range 6 {
			away := w.recorder(fmt.Sprint("early", n)).recordAgain(c, 7+n, false)
			require.Equal(t, Elsewhere, away.within(soon).Outcome)
			require.Equal(t, ledger.Pause(2+n), away.suspicion.Load().Pause)
			require.Equal(t, document.Active, w.document(c).State, "it stays wanted")
			pass(ledger.Pause(2+n) + time.Second)
			away = w.recorder(fmt.Sprint("busy again", n)).recordAgain(c, 7+n, true)
			require.Equal(t, Elsewhere, away.within(soon).Outcome)
			w.killed(c, 100+n, 1, false)
		}

		busy = w.recorder("turns away").recordAgain(c, 20, true)
		require.Equal(t, Elsewhere, busy.within(soon).Outcome)
		w.recorder("stops").stop(c)
		require.Equal(t, Done, w.recorder("closes").recordAgain(c, 21, true).within(5*time.Minute).Outcome)
		final := w.document(c)
		require.Equal(t, document.Completed, final.State)
		require.Len(t, final.Parts, 11)
		for _, part := range final.Parts {
			require.True(t, part.Recovered, "what there is stays")
		}
		require.Equal(t, []document.Recording{final}, w.told())
		require.Equal(t, Done, w.recorder("late").recordAgain(c, 22, true).within(soon).Outcome, "nobody tries again")
	})
}

// A deployment that crashes again and again kills recorders, whatever they record.
func TestWhatRecordersDiedBesideIsRecordedOnWhenTheyLiveAgain(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		c := start()
		w.killed(c, 1, 5, false)
		away := w.recorder("early").recordAgain(c, 6, false)
		require.Equal(t, Elsewhere, away.within(soon).Outcome)
		pass(ledger.Pause(2) + time.Second)
		h := w.recorder("healthy").recordAgain(c, 7, false)
		pass(ledger.Observation + 5*time.Second)
		require.Zero(t, *h.suspicion.Load(), "others may come")
		require.True(t, h.goesOn())
		w.recorder("stops").stop(c)
		require.Equal(t, Done, h.within(5*time.Minute).Outcome)
		require.Equal(t, document.Completed, w.document(c).State)
	})
}

// A neighbour dies as often as the culprit, until it is among fewer.
func TestANeighbourOfWhatKillsIsRecordedOn(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		c := start()
		w.killed(c, 1, 5, true)
		h := w.recorder("six").recordAgain(c, 6, false)
		pass(ledger.Observation - time.Second)
		require.True(t, h.Alone())
		pass(5 * time.Second)
		require.Zero(t, *h.suspicion.Load(), "it lives: others may come")
		h.kill()
		require.Equal(t, TryAgain, h.within(soon).Outcome)

		next := w.recorder("seven").recordAgain(c, 7, true)
		pass(time.Minute)
		require.Zero(t, *next.suspicion.Load(), "that was of one of these")
		w.recorder("eight").stop(c)
		require.Equal(t, Done, next.within(5*time.Minute).Outcome)
		require.Equal(t, document.Completed, w.document(c).State)
	})
}

// Shutdowns, LiveKit out of reach: recorders live, however often that happens.
func TestRecordersThatLetGoHaveNotDied(t *testing.T) {
	for name, ends := range map[string]func(w *world, h *turn){
		"they shut down": func(_ *world, h *turn) {
			pass(5 * time.Second)
			close(h.relinquished)
		},
		"LiveKit is out of reach": func(w *world, _ *turn) {
			pass(5 * time.Second)
			w.livekit.breaks()
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				c := start()
				for n := range 6 {
					h := w.recorder(fmt.Sprint("one", n)).recordAgain(c, 20+n, true)
					ends(w, h)
					require.Equal(t, Offered, h.within(3*time.Minute).Outcome)
					w.livekit.works()
				}
				h := w.recorder("seven").recordAgain(c, 27, true)
				pass(10 * time.Second)
				require.True(t, h.goesOn())
				require.Zero(t, *h.suspicion.Load())
				h.kill()
			})
		})
	}
}

// Recording begins without a bucket that is slow, but not beside others when it has said what is suspected.
func TestASuspectIsTurnedAwayAlthoughTheBucketIsSlow(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		c := start()
		w.killed(c, 1, 3, true)
		w.bucket.set(func(b *bucket) { b.pause = 400 * time.Millisecond })
		busy := w.recorder("busy").recordAgain(c, 4, true)
		require.Equal(t, Elsewhere, busy.within(5*time.Second).Outcome)
		pass(time.Minute)
		w.bucket.set(func(b *bucket) { b.pause = 0 })
		waited := w.recorder("busy too").recordAgain(c, 5, true)
		pass(10 * time.Second)
		require.True(t, waited.suspicion.Load().Mixed, "it has waited since it was turned away")
		require.True(t, waited.goesOn())
		waited.kill()
		require.Equal(t, TryAgain, waited.within(soon).Outcome)
	})
}

// A recorder may die before it can claim what kills it.
func TestDeathsBeforeTheClaimCount(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		c := start()
		w.livekit.breaks() // nobody gets into the room
		for n := range 3 {
			h := w.recorder(fmt.Sprint("dies", n)).recordAgain(c, 2+n, true)
			pass(time.Second)
			h.kill()
			require.Equal(t, TryAgain, h.within(soon).Outcome)
		}
		h := w.recorder("four").recordAgain(c, 5, true)
		require.Equal(t, Elsewhere, h.within(soon).Outcome)
	})
}

// Others must not die again and again with who recovers what there is.
func TestClosingThatKillsIsNotBesideOthers(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		c := start()
		w.killed(c, 1, 1, false)
		w.recorder("stops").stop(c)
		for n := range 5 {
			h := w.recorder(fmt.Sprint("closes", n)).recordAgain(c, 2+n, true)
			pass(3 * time.Second)
			require.Equal(t, n < 3, h.goesOn())
			h.kill()
			<-h.ended
			pass(20 * time.Second)
		}
		h := w.recorder("alone").recordAgain(c, 7, false)
		require.Equal(t, Done, h.within(5*time.Minute).Outcome)
		require.Equal(t, document.Completed, w.document(c).State)
	})
}

func TestADeadLetterGetsAFinalDocument(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		killed := one.record(c)
		pass(10 * time.Second)
		require.ErrorIs(t, two.Bury(t.Context(), c), ErrAlive)
		killed.kill()
		require.Equal(t, TryAgain, killed.within(soon).Outcome)
		pass(deadLetterPatience*soundInterval - 10*time.Second)
		require.ErrorIs(t, two.Bury(t.Context(), c), ErrAlive, "its recorder may be about to say that it lives")
		pass(10 * time.Second)
		require.NoError(t, two.Bury(t.Context(), c))
		require.Empty(t, w.told(), "its parts are still to be recovered")

		require.Equal(t, Done, two.record(c).within(5*time.Minute).Outcome)
		final := w.document(c)
		require.Equal(t, document.Failed, final.State)
		require.Equal(t, document.ReasonGivenUp, final.Reason)
		require.Len(t, final.Parts, 1)
		require.True(t, final.Parts[0].Recovered)
		require.Equal(t, []document.Recording{final}, w.told())
	})
}

// Nothing has come of it yet, and somebody may come any moment.
func TestADeadLetterWhoseRecordingIsWaitedForIsNotBuried(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.goes()
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		pass(3 * time.Minute) // it has been on the queue
		waits := one.record(c)
		pass(20 * time.Second)
		require.ErrorIs(t, two.Bury(t.Context(), c), ErrAlive)
		w.livekit.comes("S1")
		pass(10 * time.Second)
		require.True(t, waits.goesOn())
		require.Equal(t, document.Active, w.document(c).State)
		waits.kill()
		require.Equal(t, TryAgain, waits.within(soon).Outcome)
	})
}

// Another message of its start may be among the dead letters.
func TestADeadLetterWhoseRecordingIsQuarantinedIsNotBuried(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		one.Policy.StartTimeout = deadLetterPatience * soundInterval
		w.killed(c, 1, 5, false)
		require.Equal(t, Elsewhere, w.recorder("early").recordAgain(c, 6, false).within(soon).Outcome)
		pass(2*ledger.Pause(2) + one.Policy.StartTimeout + startPatience - time.Second)
		require.ErrorIs(t, one.Bury(t.Context(), c), ErrAlive)
		pass(2 * time.Second)
		require.NoError(t, one.Bury(t.Context(), c))
	})
}

func TestADeadLetterThatNobodyKnowsOfGetsOneToo(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), joined("S1")
		require.ErrorIs(t, one.Bury(t.Context(), c), ErrAlive, "somebody may be about to note it")
		pass(one.Policy.StartTimeout + startPatience)
		require.NoError(t, one.Bury(t.Context(), c))
		require.Equal(t, Refused, one.record(c).within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, document.Failed, final.State)
		require.Equal(t, document.ReasonGivenUp, final.Reason)
		require.Equal(t, []document.Recording{final}, w.told())
	})
}

// Its recorder takes nothing else until it is cleared.
func TestAnObservationEndsWhateverThePhase(t *testing.T) {
	suspected := ledger.Grant{Verdict: ledger.Record, Epoch: 1, Suspicion: ledger.Suspicion{Company: 3}}
	recorded := then([]Event{Looked{Grant: suspected}, InRoom{}}, Granted{Grant: suspected}, Joined{"S1"}, FirstFrame{})
	for name, before := range map[string][]Event{
		"the bucket does not answer the bid":  {Looked{Grant: suspected}, InRoom{}, fired(HeadStartTimer)},
		"it runs":                             recorded,
		"it closes, and might go on":          then(recorded, Left{}, fired(AbsenceTimer)),
		"its final document is being written": then(recorded, stands(ledger.Stopped), PartsStored{}, Recovered{}),
	} {
		t.Run(name, func(t *testing.T) {
			_, effects := play(then(before, fired(ObservationTimer))...)
			require.Equal(t, "Clear", brief(effects))
		})
	}
}

// People who come while the bucket is away are recorded without it, but not by a recorder that takes nothing else.
func TestASuspectIsClearedWhileTheBucketIsAway(t *testing.T) {
	for name, when := range map[string]time.Duration{"before the bid": 500 * time.Millisecond, "later": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				c := start()
				w.killed(c, 1, 3, false)
				w.livekit.breaks()
				h := w.recorder("four").recordAgain(c, 4, false)
				pass(500 * time.Millisecond)
				if when < time.Second {
					w.bucket.set(func(b *bucket) { b.away = true })
				}
				w.livekit.works()
				pass(when)
				require.NotZero(t, *h.suspicion.Load())
				w.bucket.set(func(b *bucket) { b.away = true })
				pass(ledger.Observation + 2*clearTimeout)
				require.Zero(t, *h.suspicion.Load())
				require.True(t, h.goesOn())
				w.bucket.set(func(b *bucket) { b.away = false })
				pass(time.Minute)
				require.True(t, h.goesOn())
				h.kill()
				require.Equal(t, TryAgain, h.within(soon).Outcome)
			})
		})
	}
}
