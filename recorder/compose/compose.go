// Package compose writes the ffmpeg command that puts finished recordings of one call side by side, in step. It is
// the proof that documents say enough to do so, and a start for whoever wants it otherwise.
package compose

import (
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"strings"
	"time"

	"livekit-recorder/shared/document"
)

const (
	// tileWidth and tileHeight are the size of each participant's picture.
	tileWidth, tileHeight = 640, 360
	frameRate             = 30
	sampleRate            = 48000
	// wrongClock is by how much a publisher's clock must differ from the recorder's to be corrected: less is the
	// packets' way, and clocks that are set by NTP agree much better than that is known.
	wrongClock = 500 * time.Millisecond
)

// Source is one recording: its document, and the directory that its files are in.
type Source struct {
	Document  document.Recording
	Directory string
}

// part is one file on the common time line.
type part struct {
	path         string
	start        time.Duration // since the beginning of the earliest recording
	video, audio bool
}

// Command returns the command line. The first file begins at 0; each other one as much later as it was recorded
// later, by the publishers' clocks.
func Command(sources []Source, output string) ([]string, error) {
	rows, end, err := timeline(sources)
	if err != nil {
		return nil, err
	}

	g := &graph{end: end}
	var tiles []string
	for _, parts := range rows {
		if tile := g.tile(parts); tile != "" {
			tiles = append(tiles, tile)
		}
	}

	args := []string{"ffmpeg", "-hide_banner", "-y"}
	for _, input := range g.inputs {
		args = append(args, "-i", input)
	}

	var maps []string
	if picture := g.stack(tiles); picture != "" {
		maps = append(maps, "-map", picture, "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
	}
	if sound := g.mix(); sound != "" {
		maps = append(maps, "-map", sound, "-c:a", "aac")
	}

	args = append(args, "-filter_complex", strings.Join(g.filters, ";"))
	return append(append(args, maps...), output), nil
}

// timeline places all files that there are.
func timeline(sources []Source) (rows [][]part, end time.Duration, err error) {
	var origin time.Time
	for _, s := range sources {
		for _, p := range s.Document.Parts {
			if started, ok := startOf(p); ok && (origin.IsZero() || started.Before(origin)) {
				origin = started
			}
		}
	}

	for _, s := range sources {
		var row []part
		for _, p := range s.Document.Parts {
			started, ok := startOf(p)
			if !ok {
				continue
			}
			next := part{path: filepath.Join(s.Directory, path.Base(p.Key)), start: started.Sub(origin)}
			for _, t := range p.Tracks {
				next.video = next.video || t.Kind == "video"
				next.audio = next.audio || t.Kind == "audio"
			}
			row = append(row, next)
			end = max(end, next.start+time.Duration(p.Duration*float64(time.Second)))
		}

		rows = append(rows, row)
	}

	if origin.IsZero() {
		return nil, 0, errors.New("none of these recordings has a finished file")
	}
	return rows, end, nil
}

// startOf is when a part begins, by a clock that all publishers share.
func startOf(p document.Part) (time.Time, bool) {
	if p.State != document.Completed || p.StartedAt == nil {
		return time.Time{}, false
	}
	for _, t := range p.Tracks {
		if offset := time.Duration(t.ClockOffset * float64(time.Second)); offset.Abs() > wrongClock {
			return p.StartedAt.Add(-offset), true
		}
	}
	return *p.StartedAt, true
}

// graph is a filter graph in the making.
type graph struct {
	end     time.Duration
	inputs  []string
	filters []string
	sounds  []string
}

func (g *graph) add(format string, args ...any) {
	g.filters = append(g.filters, fmt.Sprintf(format, args...))
}

// tile shows one participant's parts one after the other on black, and notes their sound. It returns its label, or
// nothing for somebody without a picture.
func (g *graph) tile(parts []part) string {
	label := ""
	for _, p := range parts {
		n := len(g.inputs)
		g.inputs = append(g.inputs, p.path)
		if p.audio {
			g.add("[%d:a]adelay=%dS:all=1[a%d]", n, int64(math.Round(p.start.Seconds()*sampleRate)), n)
			g.sounds = append(g.sounds, fmt.Sprintf("[a%d]", n))
		}

		if !p.video {
			continue
		}

		below := label
		if below == "" {
			below = fmt.Sprintf("[black%d]", n)
			g.add("color=black:s=%dx%d:r=%d:d=%.3f%s", tileWidth, tileHeight, frameRate, g.end.Seconds(), below)
		}

		g.add("[%d:v]scale=%[2]d:%[3]d:force_original_aspect_ratio=decrease,"+
			"pad=%[2]d:%[3]d:(ow-iw)/2:(oh-ih)/2,setpts=PTS+%.6[4]f/TB[v%[1]d]",
			n, tileWidth, tileHeight, p.start.Seconds())
		label = fmt.Sprintf("[tile%d]", n)
		g.add("%s[v%d]overlay=eof_action=pass%s", below, n, label)
	}

	return label
}

// stack puts tiles into a square.
func (g *graph) stack(tiles []string) string {
	if len(tiles) < 2 {
		return strings.Join(tiles, "")
	}
	columns := int(math.Ceil(math.Sqrt(float64(len(tiles)))))
	var places []string
	for n := range tiles {
		places = append(places, fmt.Sprintf("%d_%d", n%columns*tileWidth, n/columns*tileHeight))
	}
	g.add("%sxstack=inputs=%d:fill=black:layout=%s[picture]",
		strings.Join(tiles, ""), len(tiles), strings.Join(places, "|"))
	return "[picture]"
}

func (g *graph) mix() string {
	if len(g.sounds) == 0 {
		return ""
	}
	g.add("%samix=inputs=%d:duration=longest:normalize=0[sound]", strings.Join(g.sounds, ""), len(g.sounds))
	return "[sound]"
}
