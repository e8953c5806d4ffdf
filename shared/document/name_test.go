package document

import (
	"net/url"
	"path"
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
		"a.MP4":                      "a",
		"a.webm.mp4":                 "a%2Ewebm",
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

// pieces are what names are made of that look like those of parts.
var pieces = []string{"x", ".e2", ".E2", ".part2", ".rest", ".webm", ".json", "-2", "/", ".", "é"}

// stored is every name under which something of a recording can be stored.
func stored(file string) []string {
	names := []string{file + ".json"}
	for epoch := 1; epoch <= 2; epoch++ {
		for part := 1; part <= 2; part++ {
			for _, container := range []string{"webm", "mp4", "ogg"} {
				name := strings.TrimSuffix(PartName(file, epoch, part, container), "."+container)
				for _, rest := range []string{"", ".rest", ".rest2"} {
					names = append(names, name+rest+"."+container)
				}
				names = append(names, JoinedName(file, epoch, part, container))
			}
		}
	}
	return names
}

// An identity, or a file name of somebody's choice, must not lead to another recording's files, nor make a directory
// where another recording has a file.
func TestDifferentNamesHaveNothingInCommon(t *testing.T) {
	files := map[string]bool{}
	for _, a := range pieces {
		for _, b := range pieces {
			for _, c := range pieces {
				identity := a + b + c
				r := Recording{ID: "RC_1", Target: "av", Room: identity, Participant: identity}
				for _, template := range []string{"{participant}", "a/{participant}", "{room}/a", identity, "{room}.part2"} {
					if command.ValidateFile(template) == nil {
						files[FileName(template, r, time.Unix(0, 0))] = true
					}
				}
			}
		}
	}

	of := map[string]string{}
	for file := range files {
		for _, name := range stored(file) {
			name = strings.ToLower(name)
			if other, ok := of[name]; ok && !strings.EqualFold(other, file) {
				t.Fatalf("both %s and %s could be stored as %s", other, file, name)
			}
			of[name] = file
		}
	}
	for name := range of {
		for directory := path.Dir(name); directory != "."; directory = path.Dir(directory) {
			if file, ok := of[directory]; ok {
				t.Fatalf("%s would need a directory where %s has a file", name, file)
			}
		}
	}
}

// Whoever looks for the parts of one recording finds none of another one's.
func FuzzDifferentNamesHaveNothingInCommon(f *testing.F) {
	f.Add("{participant}", "x.part2", "{participant}", "x")
	f.Add("{room}/{participant}.e2", "x.rest", "{room}/{participant}", "x.rest")
	f.Fuzz(func(t *testing.T, templateA, nameA, templateB, nameB string) {
		var files []string
		for _, c := range [][2]string{{templateA, nameA}, {templateB, nameB}} {
			if c[0] == "" || c[1] == "" || command.ValidateFile(c[0]) != nil {
				return
			}
			r := Recording{ID: "RC_1", Target: "av", Room: c[1], Participant: c[1]}
			files = append(files, FileName(c[0], r, time.Unix(0, 0)))
		}
		if files[0] == files[1] {
			return // the second gets another one when it is reserved
		}

		first := stored(files[0])
		for _, name := range stored(files[1]) {
			require.NotContains(t, first, name)
			require.False(t, IsPart(files[0], name), "%s of %s is taken for one of %s", name, files[1], files[0])
		}
	})
}

func TestWhatEndsLikeAPartIsNoName(t *testing.T) {
	for template, want := range map[string]string{
		"x.part2":            ".part2",
		"x.e2":               ".e2",
		"x.E12":              ".E12",
		"x.rest":             ".rest",
		"x.Rest3":            ".Rest3",
		"x.part2.webm":       ".part2",
		"x.webm.mp4":         ".webm",
		"x.json":             ".json",
		"x.json/y":           ".json",
		"{participant}.e2/y": ".e2",
		"x.webm":             "",
		"x.MP4":              "",
		"x.part2y":           "",
		"x.part":             "",
		"x.e":                "",
		"x.e2-{id}":          "",
		"part2":              "",
		"x.part{date}":       "", // is escaped when it is filled
		"{participant}":      "",
		"":                   "",
	} {
		require.Equal(t, want, ReservedEnding(template), template)
	}
	at := time.Unix(0, 0)
	require.Equal(t, "x%2Epart19700101", FileName("x.part{date}", Recording{}, at))
	require.Equal(t, "x.e2%2Epart3", FileName("{room}", Recording{Room: "x.e2.part3"}, at))
	require.Equal(t, "x%2Ejson/y", FileName("{room}/y", Recording{Room: "x.json"}, at))
}
