package compose

import (
	"strings"
	"testing"
	"time"

	"livekit-recorder/shared/document"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func documentOf(parts ...document.Part) Source {
	return Source{Directory: "dir", Document: document.Recording{ID: "R", Parts: parts}}
}

func filePart(name string, start time.Duration, clockOffset float64, kinds ...string) document.Part {
	at := noon.Add(start)
	p := document.Part{Key: "bucket/dir/" + name, State: document.Completed, StartedAt: &at, Duration: 10}
	for _, kind := range kinds {
		p.Tracks = append(p.Tracks, document.TrackReport{Kind: kind, ClockOffset: clockOffset})
	}
	return p
}

func TestPartsBeginWhenTheyWereRecorded(t *testing.T) {
	command, err := Command([]Source{
		documentOf(filePart("a.webm", 0, 0, "video", "audio"), filePart("a.part2.webm", 12*time.Second, 0, "video", "audio")),
		documentOf(filePart("b.ogg", 2500*time.Millisecond, 0.02, "audio")),
		documentOf(filePart("c.mp4", time.Hour+4*time.Second, 3600, "video", "audio")),
	}, "out.mp4")
	require.NoError(t, err)
	line := strings.Join(command, " ")
	for _, want := range []string{
		"-i dir/a.webm -i dir/a.part2.webm -i dir/b.ogg -i dir/c.mp4",
		"[0:a]adelay=0S", "[1:a]adelay=576000S", "[2:a]adelay=120000S", // 0, 12 and 2.5 s
		"[3:a]adelay=192000S", // 4 s: its publisher's clock is an hour ahead
		"setpts=PTS+12.000000/TB", "setpts=PTS+4.000000/TB",
		"d=22.000", "xstack=inputs=2", "amix=inputs=4",
	} {
		require.Contains(t, line, want)
	}
}

func TestNothingToComposeIsAnError(t *testing.T) {
	failed := filePart("a.webm", 0, 0, "video")
	failed.State = document.Failed
	_, err := Command([]Source{documentOf(failed)}, "out.mp4")
	require.ErrorContains(t, err, "finished file")
}
