package document

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

func TestFileNames(t *testing.T) {
	r := Recording{ID: "RC_1", Room: "Zimmer 7/b", Participant: "..", Target: "av"}
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for template, want := range map[string]string{
		DefaultFile:                  "Zimmer 7%2Fb/%2E./20260102T020405Z-RC_1",
		"{participant}":              "%2E.",
		"calls/{room}-{id}.mp4":      "calls/Zimmer 7%2Fb-RC_1",
		"a b/{track}":                "a b/av",
		"What? \"Now\"":              "What%3F %22Now%22",
		"{participant}{participant}": "%2E...",
	} {
		require.NoError(t, command.ValidateFile(template))
		require.Equal(t, want, FileName(template, r, when), template)
	}
}

func TestSegmentsAreReversibleReadableAndBounded(t *testing.T) {
	for value, want := range map[string]string{
		"alice": "alice", "alice@example.com": "alice@example.com", "Ünïcödé 名前 🙂": "Ünïcödé 名前 🙂",
		"a/b": "a%2Fb", ".hidden": "%2Ehidden", "100%": "100%25", "~": "%7E", " x ": "%20x%20",
		"\u202eabc": "%E2%80%AEabc", "\xff": "%FF",
	} {
		require.Equal(t, want, Segment(value))
		back, err := url.PathUnescape(want)
		require.NoError(t, err)
		require.Equal(t, value, back)
	}
	long := Segment(strings.Repeat("名", 85) + "a")
	require.LessOrEqual(t, len(long), maxSegmentBytes)
	require.NotEqual(t, long, Segment(strings.Repeat("名", 85)+"b"), "different names stay different")
}

func FuzzSegment(f *testing.F) {
	f.Add("a", "A")
	f.Add("../x", "%2E./x")
	f.Add(strings.Repeat("/", 300), strings.Repeat("/", 301))
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" {
			return
		}
		x, y := Segment(a), Segment(b)
		require.Equal(t, a == b, x == y, "%q and %q", a, b)
		require.NotContains(t, x, "/")
		require.NotEqual(t, '.', rune(x[0]))
		require.LessOrEqual(t, len(x), maxSegmentBytes)
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("{room}/{participant}", "room", "alice")
	f.Add("a{id}b.webm", "..", "/")
	f.Fuzz(func(t *testing.T, template, room, participant string) {
		if template == "" || command.ValidateFile(template) != nil || room == "" || participant == "" {
			return
		}
		name := FileName(template, Recording{ID: "RC_1", Target: "av", Room: room, Participant: participant}, time.Unix(0, 0))
		require.NotEmpty(t, name)
		require.LessOrEqual(t, len(name), maxNameBytes)
		for segment := range strings.SplitSeq(name, "/") {
			require.NotEmpty(t, segment)
			require.NotEqual(t, '.', rune(segment[0]))
		}
	})
}
