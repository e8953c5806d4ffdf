package parts

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// stage is a composer with everything around it played. Its time is that of the frames; what waits by the real clock,
// as between two attempts to store something, waits in a bubble of testing/synctest.
type stage struct {
	*Composer
	t          *testing.T
	endContext context.CancelFunc
	clock      time.Duration  // since the day began
	pushed     map[string]int // frames, by track
	made       made
	faults     faults
}

// made is what has come of it.
type made struct {
	files    []*fakeFile
	uploads  []*fakeUpload
	repaired []string // names

	mu   sync.Mutex
	told []telling
}

// faults are what goes wrong.
type faults struct {
	open, directory error
	storing         []error // what the first attempts for each part return
	repair          []error // and those to repair a file
	storedAs        string  // see fakeUpload
	torn            bool    // see fakeUpload
	panics          bool    // see fakeUpload
}

type telling struct {
	n    int
	part document.Part
}

// onStage runs a test whose recording wants so many kinds of tracks.
func onStage(t *testing.T, kinds int, test func(t *testing.T, s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, pushed: map[string]int{}}
		ctx, cancel := context.WithCancel(t.Context())
		s.endContext = cancel
		log := logrus.New()
		log.SetOutput(io.Discard)

		s.Composer = New(Config{
			Context:   ctx,
			Open:      s.open,
			Begin:     s.begin,
			Key:       func(name string) string { return "directory/" + name },
			Directory: func() (string, error) { return "/scratch", s.faults.directory },
			Repair:    s.repair,
			Kinds:     kinds,
			Changed:   s.tell,
			Log:       log,
		})
		test(t, s)

		s.endContext()
		_ = s.Wait(t.Context()) // for goroutines that the test has left
	})
}

func (s *stage) open(path string, streams []mux.Stream) (File, error) {
	if s.faults.open != nil {
		return nil, s.faults.open
	}
	f := &fakeFile{path: path, streams: streams}
	s.made.files = append(s.made.files, f)
	return f, nil
}

func (s *stage) begin(path, name, _ string) Upload {
	u := &fakeUpload{
		path:   path,
		asked:  name,
		errors: s.faults.storing,
		stored: s.faults.storedAs,
		torn:   s.faults.torn,
		panics: s.faults.panics,
	}
	s.made.uploads = append(s.made.uploads, u)
	return u
}

func (s *stage) repair(_ context.Context, part *document.Part, name string) error {
	s.made.repaired = append(s.made.repaired, name)
	if len(s.faults.repair) > 0 {
		err := s.faults.repair[0]
		s.faults.repair = s.faults.repair[1:]
		return err
	}
	part.Size, part.Duration = 900, 42
	return nil
}

func (s *stage) tell(n int, part document.Part) {
	s.made.mu.Lock()
	defer s.made.mu.Unlock()
	s.made.told = append(s.made.told, telling{n, part})
	s.Parts() // may be asked for
}

// play lets time pass, and the frames of the tracks come that begin before it is over.
func (s *stage) play(until time.Duration, tracks ...*fakeTrack) {
	for ; s.clock < until; s.clock += 10 * ms {
		now := day.Add(s.clock)
		for _, t := range tracks {
			if s.clock < t.from || (s.clock-t.from)%t.every != 0 {
				continue
			}
			if !t.begun {
				s.Begin(t, now)
				t.begun = true
			}
			s.Push(t, t.frame(s.clock), now)
			s.pushed[t.sid]++
		}
		if s.clock%(250*ms) == 0 {
			s.Advance(now)
		}
	}
}

// finish ends the recording, stores it as "a/b", and returns its parts.
func (s *stage) finish() []document.Part {
	s.Close(day.Add(s.clock))
	s.Name("a/b", 1)
	require.NoError(s.t, s.Wait(s.t.Context()))
	return s.Parts()
}

// from returns the times, since the day began, of a track's frames in a file.
func (s *stage) from(t *fakeTrack, n int) (times []time.Duration) {
	origin := s.Parts()[n].StartedAt.Sub(day)
	for _, w := range s.made.files[n].frames {
		if strings.HasSuffix(w.data, t.sid) {
			times = append(times, origin+w.at)
		}
	}
	return times
}

// requireAll checks that every frame of a track lies in some file.
func (s *stage) requireAll(t *fakeTrack) {
	s.t.Helper()
	found := 0
	for n := range s.made.files {
		found += len(s.from(t, n))
	}
	require.Equal(s.t, s.pushed[t.sid], found, "frames of %s", t.sid)
}

// requireParts checks which streams each file has, and why each ended.
func (s *stage) requireParts(parts []document.Part, want ...[2]string) {
	s.t.Helper()
	var got [][2]string
	for n, f := range s.made.files {
		var codecs []string
		for _, stream := range f.streams {
			codecs = append(codecs, stream.Codec.Name)
		}
		got = append(got, [2]string{strings.Join(codecs, "+"), parts[n].Reason})
		require.Equal(s.t, document.Completed, parts[n].State)
	}
	require.Equal(s.t, want, got)
}

// toldOf returns what was told about one part.
func (s *stage) toldOf(n int) (parts []document.Part) {
	s.made.mu.Lock()
	defer s.made.mu.Unlock()
	for _, t := range s.made.told {
		if t.n == n {
			parts = append(parts, t.part)
		}
	}
	return parts
}

func microphone() *fakeTrack {
	t := newTrack("TR_microphone", "audio/opus")
	t.config.Channels = 1
	return t
}

func camera(from time.Duration) *fakeTrack {
	t := newTrack("TR_camera", "video/vp8")
	t.from, t.config = from, track.Config{Width: 640, Height: 360}
	return t
}
