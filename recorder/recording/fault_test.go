package recording

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recovery"
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

// faultyStorage has a fault in the code that stores what alice says.
type faultyStorage struct {
	recovery.Storage
	atFinish bool
	broken   *atomic.Bool
}

type faultyUpload struct {
	parts.Upload
	of *faultyStorage
}

func (s *faultyStorage) Begin(log logrus.FieldLogger, path, name, container string) parts.Upload {
	u := s.Storage.Begin(log, path, name, container)
	if filepath.Base(filepath.Dir(name)) == "room" && filepath.Base(name)[:5] == "alice" {
		return faultyUpload{u, s}
	}
	return u
}

func (u faultyUpload) Broken() bool { return u.of.broken.Load() }

func (u faultyUpload) Finish(ctx context.Context) (string, int64, error) {
	switch {
	case u.Broken():
		return "", 0, guard.ErrPanic
	case u.of.atFinish:
		panic("an index is out of range")
	}
	return u.Upload.Finish(ctx)
}

// What cannot be stored here for a fault of the code is left to whoever takes the files from the disk: the course ends,
// also if nobody would ever say that its parts are stored.
func TestAFaultInTheStoringCostsNoMoreThanAnAttempt(t *testing.T) {
	for name, meanwhile := range map[string]bool{"while it grows": true, "when it has ended": false} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				one, two := w.recorder("one"), w.recorder("two")
				storage := &faultyStorage{w.bucket, !meanwhile, &atomic.Bool{}}
				one.World.Storage = storage
				c, other := start(), start()
				other.Participant = "bob"
				broken, healthy := one.record(c), one.record(other)
				go one.World.Recovery.Run(t.Context())
				pass(10 * time.Second)
				require.True(t, broken.goesOn())
				require.Equal(t, []document.State{document.Active}, states(w.document(c)))
				before := guard.Caught()
				if storage.broken.Store(meanwhile); !meanwhile {
					one.stop(c)
				}

				require.Equal(t, TryAgain, broken.within(15*time.Second).Outcome)
				if !meanwhile {
					require.Greater(t, guard.Caught(), before)
				}
				pass(time.Minute)
				require.True(t, healthy.goesOn())
				require.Len(t, w.bucket.media(), 1, "the file was stored while the recorder went on")
				next := two.record(c)
				pass(2 * time.Second)
				two.stop(c)
				require.Equal(t, Done, next.within(3*time.Minute).Outcome)
				require.Equal(t, document.Completed, w.document(c).State)
				require.Equal(t, document.Completed, w.document(c).Parts[0].State)
				one.stop(other)
				require.Equal(t, Done, healthy.within(time.Minute).Outcome)
			})
		})
	}
}

// The fault comes when the recording is claimed, behind a first look.
func TestAFaultInAClaimIsCaught(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		reads := 0
		w.bucket.reads = func(string) error {
			if reads++; reads > 1 {
				panic("an index is out of range")
			}
			return nil
		}
		require.Equal(t, TryAgain, one.record(c).within(time.Minute).Outcome)
		require.Zero(t, w.livekit.bots())
	})
}
