package recording

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// Parts of all owners count: no file may be missing in a document, and no document may grow for ever.
func TestARecordingOfTooManyPartsEnds(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		first := one.record(c)
		pass(10 * time.Second)
		first.kill()
		first.within(time.Minute)
		r := w.document(c)
		began := *r.Parts[0].StartedAt
		for n := range document.MaxParts - 2 {
			r.Parts = append(r.Parts, document.Part{
				Key:       fmt.Sprint("room/alice.part", n+2, ".ogg"),
				State:     document.Completed,
				StartedAt: &began,
				Size:      1,
			})
		}
		require.NoError(t, w.documents().Save(t.Context(), r))

		last := two.record(c)
		require.Equal(t, Done, last.within(5*time.Minute).Outcome)
		r = w.document(c)
		require.Len(t, r.Parts, document.MaxParts)
		require.Equal(t, document.ReasonUnsteady, r.Reason)
		for _, part := range r.Parts {
			require.Equal(t, document.Completed, part.State, "what is there is kept")
		}
	})
}

// Somebody whose connection breaks again and again has many sessions. The newest are those that decide.
func TestTheSessionsOfARecordingAreBounded(t *testing.T) {
	s, _ := play(runs...)
	for n := range 5000 {
		s, _ = step(patient, s, Joined{fmt.Sprint("S", n)})
		require.LessOrEqual(t, len(s.Sessions), maxSessions)
	}
	require.Contains(t, s.Sessions, "S4999")

	known := s.Sessions[len(s.Sessions)-100:]
	after, effects := step(patient, s, Stands{ledger.Standing{Holding: ledger.Wanted, Sessions: known}})
	require.Empty(t, effects, "no news")
	require.Equal(t, s.Sessions, after.Sessions)
}
