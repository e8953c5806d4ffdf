// Package analyse reads finished recordings with the system's ffmpeg: what they contain, whether they decode, and
// when the test signal's flashes and beeps are.
package analyse

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stream is a stream as ffprobe sees it.
type Stream struct {
	Kind    string `json:"codec_type"`
	Codec   string `json:"codec_name"`
	Profile string `json:"profile"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Frames  string `json:"nb_read_packets"`
}

// Packets is how many packets the stream has.
func (s Stream) Packets() int {
	n, _ := strconv.Atoi(s.Frames) // ffprobe counted
	return n
}

// File is what a file contains.
type File struct {
	Streams []Stream `json:"streams"`
	Format  struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"`
	} `json:"format"`
}

// Duration is the file's, by its own header.
func (f File) Duration() time.Duration {
	seconds, _ := strconv.ParseFloat(f.Format.Duration, 64) // "N/A": 0
	return time.Duration(seconds * float64(time.Second))
}

// Codecs are the streams' codecs, in order.
func (f File) Codecs() string {
	var names []string
	for _, s := range f.Streams {
		names = append(names, s.Codec)
	}
	return strings.Join(names, "+")
}

// Stream finds a stream by its kind, video or audio.
func (f File) Stream(kind string) (Stream, bool) {
	for _, s := range f.Streams {
		if s.Kind == kind {
			return s, true
		}
	}
	return Stream{}, false
}

// Probe reads what a file contains.
func Probe(ctx context.Context, path string) (File, error) {
	var file File
	out, err := run(ctx, "ffprobe", "-v", "error", "-count_packets", "-show_format", "-show_streams",
		"-of", "json", "file:"+path)
	if err != nil {
		return file, err
	}
	return file, json.Unmarshal(out, &file)
}

// Decode decodes everything and returns what ffmpeg complained of: nothing, for a good file. The unit of time is
// told: otherwise ffmpeg 5 rounds to a frame rate that it guesses, and complains when two frames of a camera that is
// not quite regular come to lie in one.
func Decode(ctx context.Context, path string) (complaints string, err error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", "file:"+path,
		"-enc_time_base:v", "1/90000", "-f", "null", "-")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// leastSignal is how long a flash or a beep of 100 ms must be to count: one that a mute or a late start has cut off
// has not begun when it should have.
const leastSignal = 70 * time.Millisecond

// mostBefore is how long before a flash the picture before it may be: an encoder that drops pictures (a browser does,
// when bits are short) may have dropped the one with which the flash began, and when that was is not known then.
const mostBefore = 50 * time.Millisecond

// Flashes returns the times in the file at which the picture becomes white.
func Flashes(ctx context.Context, path string) ([]time.Duration, error) {
	return FlashesIn(ctx, path, "null")
}

// FlashesIn returns the same of what a filter, like "crop=640:360:0:0", leaves of the picture.
func FlashesIn(ctx context.Context, path, filter string) ([]time.Duration, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}

	// The file goes through a filter's argument: quotes and backslashes twice.
	quote := strings.NewReplacer(`\`, `\\\\`, `'`, `\\\'`, `:`, `\\:`, `,`, `\,`, `;`, `\;`, `[`, `\[`, `]`, `\]`)
	// Pictures may begin long after the sound: how they are made up is known then only.
	source := "movie=" + quote.Replace(absolute) + ":format_opts=analyzeduration=600000000," + filter + ",scale=16:16,signalstats"
	out, err := run(ctx, "ffprobe", "-v", "error", "-f", "lavfi", "-i", source,
		"-show_entries", "frame=pts_time:frame_tags=lavfi.signalstats.YAVG", "-of", "csv=p=0")
	if err != nil {
		return nil, err
	}

	var flashes []time.Duration
	var began, before time.Duration
	white, exact := true, false // the file may begin in the middle of a flash
	for line := range strings.Lines(string(out)) {
		var at, luma float64
		if _, err := fmt.Sscanf(strings.ReplaceAll(strings.TrimSpace(line), ",", " "), "%f %f", &at, &luma); err != nil {
			return nil, fmt.Errorf("read luma from %q: %w", line, err)
		}
		now := time.Duration(at * float64(time.Second))
		switch {
		case luma > 180 && !white:
			began, exact = now, now-before <= mostBefore
		case luma <= 180 && white && exact && now-began >= leastSignal:
			flashes = append(flashes, began)
		}
		white, before = luma > 180, now
	}

	return flashes, nil
}

const sampleRate = 48000

// Beeps returns the times in the file at which the tone begins. Gaps between packets keep their length.
func Beeps(ctx context.Context, path string) ([]time.Duration, error) {
	out, err := run(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", "file:"+path, "-map", "0:a:0",
		"-af", "aresample=async=1:min_hard_comp=0.001:first_pts=0",
		"-ac", "1", "-ar", strconv.Itoa(sampleRate), "-f", "f32le", "-")
	if err != nil {
		return nil, err
	}

	samples := make([]float32, len(out)/4)
	if err := binary.Read(bytes.NewReader(out), binary.LittleEndian, samples); err != nil {
		return nil, err
	}

	const quiet = sampleRate / 4 // a beep follows at least this much silence
	var beeps []time.Duration
	began, last := -1, -1 // samples
	note := func() {
		if began > 0 && time.Duration(last-began)*time.Second/sampleRate >= leastSignal {
			beeps = append(beeps, time.Duration(began)*time.Second/sampleRate)
		}
	}

	for i, sample := range samples {
		if math.Abs(float64(sample)) < 0.1 {
			continue
		}
		if last < 0 || i-last >= quiet {
			note()
			began = i
			if last < 0 && i < quiet {
				began = -1 // the file may begin in the middle of a beep
			}
		}
		last = i
	}

	note()
	return beeps, nil
}

// Offset returns by how much beeps are later than their flashes: the median, which one late picture of a busy
// publisher does not move, and how far single ones are from it at most.
func Offset(flashes, beeps []time.Duration) (median, spread time.Duration, err error) {
	var offsets []time.Duration
	for _, flash := range flashes {
		for _, beep := range beeps {
			if d := beep - flash; d > -400*time.Millisecond && d < 400*time.Millisecond {
				offsets = append(offsets, d)
			}
		}
	}

	if len(offsets) == 0 {
		return 0, 0, fmt.Errorf("no flash with a beep near it: %d flashes, %d beeps", len(flashes), len(beeps))
	}

	slices.Sort(offsets)
	median = offsets[len(offsets)/2]
	return median, max(median-offsets[0], offsets[len(offsets)-1]-median), nil
}

// AVOffset returns by how much the beeps of a file are later than its flashes: the median.
func AVOffset(ctx context.Context, path string) (time.Duration, error) {
	flashes, err := Flashes(ctx, path)
	if err != nil {
		return 0, err
	}
	beeps, err := Beeps(ctx, path)
	if err != nil {
		return 0, err
	}
	median, _, err := Offset(flashes, beeps)
	return median, err
}

func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
