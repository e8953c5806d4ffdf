package recording

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// seldom is how long what nobody could tell may stay unknown.
const seldom = watchInterval * 11 / 10

// looks counts how often ledger entries are read from now on.
func (w *world) looks() *atomic.Int32 {
	var count atomic.Int32
	w.bucket.reads = func(key string) error {
		if strings.HasPrefix(key, ".ledger/") {
			count.Add(1)
		}
		return nil
	}
	return &count
}

func TestWhatRunsLooksAtTheLedgerTwiceAMinute(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.recorder("one").record(start())
		pass(hooksTake + time.Second)
		looks := w.looks()
		pass(30 * time.Minute)
		require.InDelta(t, 60, looks.Load(), 5)
	})
}

func TestWhatIsInDoubtLooksAtTheLedgerMoreOften(t *testing.T) {
	for name, doubt := range map[string]func(w *world, h *turn){
		"the message may be another recorder's": func(_ *world, h *turn) { h.message = "" },
		"LiveKit is away":                       func(w *world, _ *turn) { w.livekit.breaks() },
		"the participant is away":               func(w *world, _ *turn) { w.livekit.goes() },
		"the participant has just come back":    func(w *world, _ *turn) { w.livekit.comes("S2") },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				h := w.recorder("one").record(start())
				pass(hooksTake + 10*time.Second)
				doubt(w, h)
				pass(time.Second)
				looks := w.looks()
				pass(25 * time.Second) // less than what ends it
				require.True(t, h.goesOn())
				require.GreaterOrEqual(t, looks.Load(), int32(4))
			})
		})
	}
}

// A look that failed has found nothing out.
func TestALookThatFailedIsMadeAgainSoon(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(hooksTake + 10*time.Second)
		w.bucket.reads = func(string) error { return errAway }
		one.Check(c.Recording)
		pass(time.Second)
		w.bucket.reads = nil
		_, err := w.ledger().Stop(t.Context(), byParticipant())
		require.NoError(t, err)
		require.Equal(t, Done, h.within(doubtInterval+soon).Outcome)
	})
}

func TestAStopOfWhichTheOwnerIsNotToldIsInForceSoonAfterAll(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(hooksTake + time.Second)
		w.livekit.deaf = true
		require.NoError(t, two.Stop(t.Context(), byParticipant()))
		pass(doubtInterval + soon)
		require.True(t, h.goesOn(), "nobody knows it yet")
		require.Equal(t, Done, h.within(seldom).Outcome)
		require.Equal(t, reasonStopped, w.document(c).Reason)
	})
}

// Nobody may be recorded twice for long because a message got lost.
func TestWhoBeginsARecordingTellsThoseWhoHaveStoppedOnes(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(hooksTake + time.Second)
		_, err := w.ledger().Stop(t.Context(), byParticipant())
		require.NoError(t, err)
		pass(time.Second)
		require.True(t, h.goesOn(), "it has not been told")
		next := two.record(start())
		require.Equal(t, Done, h.within(soon).Outcome)
		require.True(t, next.goesOn())
	})
}

// Whoever waits for the message has it, too, but the recording is another recorder's.
func TestAStopIsToldToTheOwnerEvenWhereTheRecordingIsHeldAsWell(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(5 * time.Second)
		w.livekit.breaks()
		two.record(c)
		pass(time.Second)
		w.livekit.hints = nil
		two.stop(c)
		require.Equal(t, []string{"room one " + c.Recording}, w.livekit.hints)
		h.within(patient.RejoinWindow)
	})
}

func TestWhoTakesARecordingOverTellsTheOneThatHadIt(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		old := one.record(c)
		pass(10 * time.Second)
		two.record(c)
		require.Equal(t, LeftToOwner, old.within(5*time.Second).Outcome)
		require.Equal(t, []string{"room one " + c.Recording}, w.livekit.hints)
		require.Less(t, w.document(c).Parts[1].Overlap, 3.0)
	})
}

// Its part must not be taken for a dead recorder's before it has had its time to find out.
func TestWhoIsNotToldThatARecordingIsTakenOverSeesItInTime(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		old := one.record(c)
		pass(hooksTake + time.Second)
		w.livekit.deaf = true
		owner := two.record(c)
		require.Equal(t, LeftToOwner, old.within(seldom+soon).Outcome)
		pass(recoveryPatience)
		two.stop(c)
		require.Equal(t, Done, owner.within(soon).Outcome)
		final := w.document(c)
		require.Equal(t, []document.State{document.Completed, document.Completed}, states(final))
		require.False(t, final.Parts[0].Recovered)
		require.Len(t, w.bucket.media(), 2, "no rest")
	})
}

// What is told while the bot is out of the room is not heard.
func TestWhoIsBackInTheRoomLooksAtTheLedger(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		w.livekit.breaks()
		pass(doubtInterval + time.Second)
		looks := w.looks()
		w.livekit.works()
		pass(rejoinPause + maxRejoinPause)
		require.Positive(t, looks.Load())
		require.True(t, h.goesOn())
	})
}

func TestARunningDocumentIsSavedWhenSomebodyMustKnow(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		one.record(c)
		pass(10 * time.Second)
		began := w.document(c).UpdatedAt
		pass(soundInterval - 20*time.Second)
		require.Equal(t, began, w.document(c).UpdatedAt, "nothing has changed but numbers")
		pass(20 * time.Second)
		require.Greater(t, w.document(c).UpdatedAt, began)
	})
}

// Most publish when they join: a write for the session, and another one for the part, would be one too many.
func TestASessionIsWrittenDownWithItsFirstPart(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		written := map[string]*atomic.Int32{".ledger/room/alice.json": {}, ledger.DocumentKey("room/alice"): {}}
		w.bucket.writes = func(key string) {
			if count := written[key]; count != nil {
				count.Add(1)
			}
		}
		c := start()
		h := w.recorder("one").record(c)
		pass(10 * time.Second)
		require.True(t, h.goesOn())
		require.NotEmpty(t, w.document(c).Session)
		require.Equal(t, int32(2), written[".ledger/room/alice.json"].Load(), "claimed, seen")
		require.Equal(t, int32(2), written[ledger.DocumentKey("room/alice")].Load(), "claimed, recorded")
	})
}

// Somebody may join, and publish nothing for long: others must know of the session all the same.
func TestASessionWithoutAFrameIsWrittenDownSoon(t *testing.T) {
	r := document.Recording{ID: "R1", State: document.Requested}
	p := papers{hold: all, last: r}
	r.Session = "S1"
	p.joinedAt = time.Now()
	require.False(t, p.due(r), "the first frame may come at any moment")
	p.joinedAt = time.Now().Add(-noteDelay)
	require.True(t, p.due(r))

	p.joinedAt = time.Now()
	p.own = running("audio", 0).Parts
	require.True(t, p.due(r), "it has come")
}

// running is a document with a track of that kind, which has so many gaps of two seconds.
func running(kind string, gaps int) document.Recording {
	track := document.TrackReport{SID: "T", Kind: kind}
	for range gaps {
		track.Gaps = append(track.Gaps, document.Gap{Length: 2})
	}
	part := document.Part{Key: "k", State: document.Active, Tracks: []document.TrackReport{track}}
	return document.Recording{ID: "R1", State: document.Active, Parts: []document.Part{part}}
}

func TestNumbersAreSavedSeldomAndGapsOnceAMinute(t *testing.T) {
	const nearly = -5 * time.Second
	for kind, seldom := range map[string]time.Duration{"video": saveInterval, "audio": soundInterval} {
		p := papers{hold: all, last: running(kind, 0)}
		due := func(now document.Recording, since time.Duration) bool {
			p.lastAt = time.Now().Add(-since)
			return p.due(now)
		}
		require.False(t, due(running(kind, 1), gapInterval+nearly), kind)
		require.True(t, due(running(kind, 1), gapInterval), kind)
		require.False(t, due(running(kind, 0), seldom+nearly), kind)
		require.True(t, due(running(kind, 0), seldom), kind)
	}
}

// byParticipant is the stop of everything of alice.
func byParticipant() command.Command { return command.NewStop("room", "alice", time.Now()) }

// Only the first save reads what is there.
func TestSavingReadsNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		var reads atomic.Int32
		w.bucket.reads = func(key string) error {
			if ledger.DocumentKey("room/alice") == key {
				reads.Add(1)
			}
			return nil
		}
		pass(50 * time.Minute)
		require.Zero(t, reads.Load())
		require.True(t, h.goesOn())
	})
}

// A recording ends while parts that its document lists are being recovered: what no document lists is looked for all
// the same before it has ended.
func TestWhatNoDocumentListsIsLookedForThoughARecoveryIsUnderWay(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		killed := one.record(c)
		pass(10 * time.Second)
		killed.kill()
		require.Equal(t, TryAgain, killed.within(soon).Outcome)
		successor := two.record(c)
		pass(10 * time.Second)
		unlisted := w.document(c).File + ".e7.webm"
		w.bucket.set(func(b *bucket) { b.objects[unlisted] = 1000 })

		two.stop(c)
		require.Equal(t, Done, successor.within(2*recoveryPatience+soon).Outcome)
		var keys []string
		for _, part := range w.document(c).Parts {
			require.Equal(t, document.Completed, part.State)
			keys = append(keys, part.Key)
		}
		require.Contains(t, keys, unlisted)
		require.Len(t, keys, 3)
	})
}
