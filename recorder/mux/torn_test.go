package mux

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
)

// marks are what units of a container begin with, and how many bytes after their beginning.
var marks = map[string]struct {
	mark  string
	after int
}{"webm": {"\x1f\x43\xb6\x75", 0}, "mp4": {"moof", 4}, "ogg": {"OggS\x00", 0}}

// units are where units of a container begin.
func units(body []byte, container string) (starts []int) {
	m := marks[container]
	for from := 0; ; {
		n := bytes.Index(body[from:], []byte(m.mark))
		if n < 0 {
			return starts
		}
		starts = append(starts, from+n-m.after)
		from += n + 1
	}
}

// frame is a packet of a file.
type frame struct {
	stream int
	ms     int
	hash   string
}

// placed is where it is.
type placed struct {
	frame
	at, size int
}

// framesOf reads a file's packets.
func framesOf(t *testing.T, body []byte, container string) (all []placed) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x."+container)
	require.NoError(t, os.WriteFile(path, body, 0o600))
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_data_hash", "md5", "-of", "csv=p=0",
		"-show_entries", "packet=stream_index,pts_time,size,pos,data_hash", "file:"+path).Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		require.GreaterOrEqual(t, len(fields), 5, line)
		var numbers [4]float64
		for n := range numbers {
			numbers[n], err = strconv.ParseFloat(fields[n], 64)
			require.NoError(t, err, line)
		}
		all = append(all, placed{
			frame: frame{int(numbers[0]), int(numbers[1]*1000 + 0.5), fields[4]},
			size:  int(numbers[2]),
			at:    int(numbers[3]),
		})
	}
	return all
}

// kept says whether a frame must be in a file of which the bytes from start to end are gone, and whether it may.
func kept(f placed, units []int, container string, start, end int) (must, may bool) {
	before, behind := start, -1
	for n, unit := range units {
		if container != "webm" && unit < start && n+1 < len(units) && units[n+1] > start {
			before = unit // what is cut off goes as a whole
		}
		if unit >= end && behind < 0 {
			behind = unit
		}
	}

	const headers = 16 // at most, of a frame
	must = f.at+f.size+headers <= before || behind >= 0 && f.at >= behind
	return must, must || f.at+f.size <= start
}

// requireMended repairs a file of which a range is zeros.
func requireMended(t *testing.T, container string, body []byte, whole []placed, start, end int) {
	t.Helper()
	gone := bytes.Clone(body)
	clear(gone[start:end])
	path := filepath.Join(t.TempDir(), "x."+container)
	made, err := Repair(t.Context(), minimal(t), iotest.HalfReader(bytes.NewReader(gone)), path, container)
	require.NoError(t, err)
	repaired, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, made.Torn)
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	require.InDelta(t, file.Duration().Seconds(), made.Length.Seconds(), 0.05)

	found := map[frame]int{}
	for _, f := range framesOf(t, repaired, container) {
		found[f.frame]++
	}
	starts := units(body, container)
	last := 0
	for _, f := range whole {
		must, may := kept(f, starts, container, start, end)
		if must {
			require.Positive(t, found[f.frame], "%+v is missing", f)
			last = max(last, f.ms)
		}
		if may {
			delete(found, f.frame)
		}
	}
	require.InDelta(t, float64(last)/1000, made.Length.Seconds(), 0.1)
	if container == "ogg" {
		complaints, err := analyse.Decode(t.Context(), path)
		require.NoError(t, err)
		require.Empty(t, complaints)
		return // silence is in between
	}
	require.Empty(t, found, "and nothing else is there, at no other time")
}

// Of a file that is cut in two by zeros everything before and behind them is kept, at its time.
func TestARepairGoesOnBehindATear(t *testing.T) {
	for container, codec := range containers {
		t.Run(container, func(t *testing.T) {
			growing, closed, _ := record(t, container, codec, 6_000)
			for name, body := range map[string][]byte{"as it grew": growing, "closed": closed} {
				t.Run(name, func(t *testing.T) {
					whole := framesOf(t, body, container)
					dice := rand.New(rand.NewPCG(1, uint64(len(container))))
					for range 2 {
						start := len(body)/20 + dice.IntN(len(body)/2)
						end := start + 80_000 + dice.IntN(len(body)*9/10-start-80_000)
						t.Run(fmt.Sprintf("%d-%d", start, end), func(t *testing.T) {
							requireMended(t, container, body, whole, start, end)
						})
					}
				})
			}
		})
	}
}

// Wherever in a unit's header the zeros begin.
func TestATearMayBeginInAHeader(t *testing.T) {
	files(t, func(t *testing.T, container string, _, closed []byte, _ int) {
		whole := framesOf(t, closed, container)
		starts := units(closed, container)
		unit := starts[len(starts)/4]
		for _, into := range []int{-1, 0, 2, 5, 9, 14, 30} {
			t.Run(strconv.Itoa(into), func(t *testing.T) {
				requireMended(t, container, closed, whole, unit+into, unit+len(closed)/3)
			})
		}
	})
}

// Fragments of MP4 say where their samples are in the file, and ffmpeg knows best what to do with what it has made.
func TestNothingMovesInAFile(t *testing.T) {
	files(t, func(t *testing.T, container string, growing, closed []byte, _ int) {
		for name, body := range map[string][]byte{"as it grew": growing, "closed": closed} {
			t.Run(name, func(t *testing.T) {
				same, err := io.ReadAll(newTorn(iotest.HalfReader(bytes.NewReader(body)), container))
				require.NoError(t, err)
				require.True(t, bytes.Equal(body, same), "a whole file stays as it is")

				if container == "ogg" || container == "mp4" && name == "closed" {
					return // unclosedMP4 comes before
				}
				start, end := len(body)/3, len(body)*2/3
				gone := bytes.Clone(body)
				clear(gone[start:end])
				mended, err := io.ReadAll(newTorn(bytes.NewReader(gone), container))
				require.NoError(t, err)
				require.Len(t, mended, len(body))
				var behind int
				for _, unit := range units(body, container) {
					if behind < end {
						behind = unit
					}
				}
				require.True(t, bytes.Equal(body[behind:], mended[behind:]))
			})
		}
	})
}

// A recorder may have been killed at any moment.
func TestATornFileMayEndAnywhere(t *testing.T) {
	files(t, func(t *testing.T, container string, growing, _ []byte, _ int) {
		gone := bytes.Clone(growing)
		starts := units(growing, container)
		clear(gone[starts[2]-5 : starts[3]-5])
		last := starts[4]
		for end := last - 500; end < last+1000; end++ {
			for _, body := range [][]byte{growing[:end], gone[:end]} {
				mended, err := io.ReadAll(newTorn(bytes.NewReader(body), container))
				require.NoError(t, err)
				if container != "ogg" { // of which silence takes less
					require.Len(t, mended, end)
				}
			}
		}
		for _, end := range []int{0, 1, 4, 8, 40, 100} {
			mended, err := io.ReadAll(newTorn(bytes.NewReader(growing[:end]), container))
			require.NoError(t, err)
			require.LessOrEqual(t, len(mended), end)
		}
	})
}

// What is there instead of media is no tear: the file stays as it is, for somebody to look at.
func TestAFileWithGarbageInItIsNotRepaired(t *testing.T) {
	files(t, func(t *testing.T, container string, growing, _ []byte, _ int) {
		starts := units(growing, container)
		middle := starts[len(starts)/2]
		garbage := bytes.Repeat([]byte{0xff}, longestUnit+1)
		body := io.MultiReader(bytes.NewReader(growing[:middle]), bytes.NewReader(garbage),
			bytes.NewReader(growing[middle:]))
		path := filepath.Join(t.TempDir(), "x."+container)
		_, err := Repair(t.Context(), minimal(t), body, path, container)
		require.ErrorIs(t, err, errGarbage)
	})
}
