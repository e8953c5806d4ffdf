package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/recorder/track"
)

// containers are those of parts, each with the codec of its video.
var containers = map[string]string{"webm": "vp8", "mp4": "h264", "ogg": ""}

// files are one of 20 s in each container, as it is before it is closed, and after that.
func files(t *testing.T, each func(t *testing.T, container string, growing, closed []byte, frames int)) {
	t.Helper()
	for container, codec := range containers {
		t.Run(container, func(t *testing.T) {
			growing, closed, written := record(t, container, codec, 1000)
			each(t, container, growing, closed, written)
		})
	}
}

// record makes a file with so many frames of sound, 20 ms each, and half as many of pictures.
func record(t *testing.T, container, codec string, sounds int) (growing, closed []byte, written int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x."+container)
	streams := []Stream{streamOf(t, "audio/opus", opusStream)}
	var frames [][]byte
	var config track.Config
	var err error
	switch codec {
	case "h264":
		frames, config = avc(t, mediaDirectory(t), codec)
	case "vp8":
		config = track.Config{Width: 320, Height: 240}
		frames, err = participant.Frames(t.Context(), mediaDirectory(t), codec)
		require.NoError(t, err)
	}
	if codec != "" {
		streams = append(streams, streamOf(t, "video/"+codec, config))
	}

	part, err := Open(minimal(t), path, streams)
	require.NoError(t, err)
	for n := range sounds {
		at := time.Duration(n) * 20 * time.Millisecond
		require.NoError(t, part.Write(0, at, true, bytes.Repeat([]byte{31 << 3}, 100)))
		written++
		if n%2 == 0 && codec != "" {
			f := n / 2 % len(frames)
			require.NoError(t, part.Write(1, at, f%30 == 0, frames[f]))
			written++
		}
	}
	require.Eventually(t, func() bool {
		growing, err = os.ReadFile(path)
		return err == nil && len(growing) > sounds*80
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, part.Close(t.Context()))
	closed, err = os.ReadFile(path)
	require.NoError(t, err)
	return growing, closed, written
}

// packets counts those of all streams.
func packets(t *testing.T, path string) (n int) {
	t.Helper()
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	for _, stream := range file.Streams {
		n += stream.Packets()
	}
	return n
}

// A file comes as a stream, in whatever pieces, and may end anywhere: also if it had been closed.
func TestARepairedFileHasEveryPacketAndItsDuration(t *testing.T) {
	files(t, func(t *testing.T, container string, growing, closed []byte, written int) {
		broken := filepath.Join(t.TempDir(), "broken."+container)
		require.NoError(t, os.WriteFile(broken, growing, 0o600))
		whole := packets(t, broken)
		require.Greater(t, whole, 100)
		for name, c := range map[string]struct {
			body    []byte
			packets int
		}{"as it grew": {growing, whole}, "closed": {closed, written}} {
			t.Run(name, func(t *testing.T) {
				repaired := filepath.Join(t.TempDir(), "repaired."+container)
				from := iotest.HalfReader(bytes.NewReader(c.body))
				made, err := Repair(t.Context(), minimal(t), from, repaired, container)
				require.NoError(t, err)
				require.Equal(t, c.packets, packets(t, repaired))
				file, err := analyse.Probe(t.Context(), repaired)
				require.NoError(t, err)
				require.InDelta(t, file.Duration().Seconds(), made.Length.Seconds(), 0.05)
				require.False(t, made.Torn)
				complaints, err := analyse.Decode(t.Context(), repaired)
				require.NoError(t, err)
				require.Empty(t, complaints)

				again := filepath.Join(t.TempDir(), "again."+container)
				body, err := os.ReadFile(repaired)
				require.NoError(t, err)
				_, err = Repair(t.Context(), minimal(t), bytes.NewReader(body), again, container)
				require.NoError(t, err, "it may be done twice")
				require.Equal(t, c.packets, packets(t, again))
			})
		}
	})
}

// What was read before must not be taken for the whole.
func TestARepairWhoseReadingFailsFails(t *testing.T) {
	files(t, func(t *testing.T, container string, growing, _ []byte, _ int) {
		away := errors.New("away")
		from := io.MultiReader(bytes.NewReader(growing[:len(growing)/2]), iotest.ErrReader(away))
		_, err := Repair(t.Context(), minimal(t), from, filepath.Join(t.TempDir(), "x."+container), container)
		require.ErrorIs(t, err, away)
	})
}

func TestWhatIsNoMediaCannotBeRepaired(t *testing.T) {
	for _, container := range []string{"webm", "mp4", "ogg"} {
		for name, body := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 1<<20)} {
			t.Run(container+" "+name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x."+container)
				_, err := Repair(t.Context(), minimal(t), bytes.NewReader(body), path, container)
				require.Error(t, err)
			})
		}
	}
}

// watched looks at the process that reads it, as soon as the first bytes have been taken.
type watched struct {
	io.Reader
	look func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.look()
	return w.Reader.Read(p)
}

// What is being recorded comes first.
func TestARepairHasTheLowestPriority(t *testing.T) {
	files(t, func(t *testing.T, container string, growing, _ []byte, _ int) {
		path := filepath.Join(t.TempDir(), "x."+container)
		reads, lowestOf := 0, 0
		from := &watched{bytes.NewReader(growing), func() {
			if reads++; reads == 2 { // what came first has been taken: ffmpeg is at work
				lowestOf = priorities(t, path)
			}
		}}
		_, err := Repair(t.Context(), minimal(t), from, path, container)
		require.NoError(t, err)
		require.Equal(t, lowest, lowestOf)
	})
}

// priorities returns the nice value of the process that writes a file, if all of its threads have the same.
func priorities(t *testing.T, path string) int {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, p := range processes {
		if line, err := os.ReadFile(p); err != nil || !bytes.Contains(line, []byte(path)) {
			continue
		}
		threads, err := filepath.Glob(filepath.Join(filepath.Dir(p), "task", "*"))
		require.NoError(t, err)
		values := map[int]bool{}
		for _, thread := range threads {
			values[nice(t, filepath.Base(thread))] = true
		}
		require.Len(t, values, 1)
		for value := range values {
			return value
		}
	}
	t.Error("there is no such process")
	return 0
}

// nice is that of a thread.
func nice(t *testing.T, thread string) int {
	t.Helper()
	id, err := strconv.Atoi(thread)
	require.NoError(t, err)
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, id)
	require.NoError(t, err)
	return 20 - raw // getpriority(2), "C library/kernel differences"
}

func TestARepairEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	defer writer.Close()
	from := io.MultiReader(iotest.OneByteReader(bytes.NewReader(make([]byte, 100))), &watched{reader, cancel})
	go func() {
		<-ctx.Done()
		_ = writer.CloseWithError(context.Canceled) // as a bucket's reader does
	}()
	_, err := Repair(ctx, minimal(t), from, filepath.Join(t.TempDir(), "x.webm"), "webm")
	require.ErrorIs(t, err, context.Canceled)
}
