package recording

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/shared/document"
)

// faulty is a media file with a fault in its code, from some frame on.
type faulty struct {
	parts.File
	left int
}

func (f *faulty) Write(stream int, at time.Duration, key bool, data []byte) error {
	if f.left--; f.left < 0 {
		panic("an index is out of range")
	}
	return f.File.Write(stream, at, key, data)
}

// A fault of the code costs one attempt at one recording: its files are closed and stored, another recorder goes on
// with it, and nobody else notices.
func TestAFaultInOneRecordingCostsNoOther(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two := w.recorder("one"), w.recorder("two")
		c, other := start(), start()
		other.Participant = "bob"
		one.World.Open = func(path string, streams []mux.Stream) (parts.File, error) {
			f, err := openMedia(path, streams)
			return &faulty{f, 500}, err
		}
		broken := one.record(c)
		pass(time.Second)
		one.World.Open = openMedia
		healthy := one.record(other)
		go one.World.Recovery.Run(t.Context())

		require.Equal(t, TryAgain, broken.within(time.Minute).Outcome)
		require.True(t, healthy.goesOn())
		next := two.record(c)
		pass(2 * time.Minute)
		require.True(t, healthy.goesOn())
		two.stop(c)
		one.stop(other)
		require.Equal(t, Done, next.within(time.Minute).Outcome)
		require.Equal(t, Done, healthy.within(time.Minute).Outcome)
		require.Equal(t, []document.State{document.Completed, document.Completed}, states(w.document(c)))
		require.True(t, w.document(c).Parts[0].Recovered)
		require.Empty(t, one.leaves(), "the file was stored while the recorder went on")
	})
}

// It is the recording's own goroutine that has the fault.
func TestAFaultOfTheCourseItselfIsCaught(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		one.World.Now = func() time.Time { panic(errors.New("a fault")) }
		require.Panics(t, func() { one.World.Now() })
		h := one.record(c)
		require.Equal(t, TryAgain, h.within(time.Minute).Outcome)
		require.Zero(t, w.livekit.bots())
	})
}
