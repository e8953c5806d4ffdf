package document

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// apart is a recording that has ended with two parts, and attempts at joining them.
func apart(attempts int) Recording {
	r := Recording{ID: "RC_1", State: Completed, Reason: "left", Parts: []Part{
		sized(lasting("a.ogg", Completed, 0, 12), 10),
		sized(lasting("a.part2.webm", Completed, 12, 30), 20),
	}}
	for range attempts {
		r, _ = r.BeginJoin()
	}
	return r
}

// into is one file of both.
func into() Part {
	p := sized(lasting("a.joined.webm", Completed, 0, 42), 30)
	p.Joined = []Joined{{Key: "a.ogg", Size: 10, Packets: 600}, {Key: "a.part2.webm", Size: 20, Packets: 2400, Cut: 1}}
	return p
}

func TestOneFileTakesThePlaceOfItsParts(t *testing.T) {
	r, err := apart(1).JoinedInto(1, []Part{into()}, nil)
	require.NoError(t, err)
	require.Equal(t, []Part{into()}, r.Parts)
	require.Equal(t, &Joining{Attempts: 1}, r.Join)
	require.Equal(t, into().Joined, r.GoneInto(r.Parts[0]))
	require.False(t, r.Several())
	_, err = r.BeginJoin()
	require.ErrorIs(t, err, ErrUnjoinable, "nothing is left to be joined")
}

// A recorder that was taken for dead, and comes back, must not write over what another one has made meanwhile.
func TestOnlyTheNewestAttemptSaysWhatHasComeOfIt(t *testing.T) {
	r := apart(2)
	require.Equal(t, 2, r.Join.Unended)
	_, err := r.JoinedInto(1, []Part{into()}, nil)
	require.ErrorIs(t, err, ErrUnjoinable)
	_, err = r.EndJoin(1, "x")
	require.ErrorIs(t, err, ErrUnjoinable)

	r, err = r.EndJoin(2, "x")
	require.NoError(t, err)
	require.Equal(t, &Joining{Attempts: 2, Reason: "x"}, r.Join)
	require.Len(t, r.Parts, 2)
	_, err = Recording{State: Active, Parts: r.Parts}.BeginJoin()
	require.ErrorIs(t, err, ErrUnjoinable, "it goes on")
}

func TestWhatIsJoinedDoesNotComeBack(t *testing.T) {
	joined, err := apart(1).JoinedInto(1, []Part{into()}, nil)
	require.NoError(t, err)
	before := apart(0)

	saved, err := before.Saved(joined)
	require.NoError(t, err)
	require.Equal(t, joined.Parts, saved.Parts, "whoever concludes it once more remembers the parts")
	require.Equal(t, joined.Join, saved.Join)
	require.Equal(t, joined.Parts, joined.Amended(before.Parts).Parts)
	require.Equal(t, joined.Parts, joined.Amended([]Part{because(lasting("a.ogg", Failed, 0, 0), "lost")}).Parts)
	require.Equal(t, into().Joined, joined.GoneInto(joined.Parts[0]))

	late := sized(lasting("a.ogg", Completed, 0, 13), 11)
	amended := joined.Amended([]Part{late})
	require.Len(t, amended.Parts, 2, "it is another file by now")
	require.True(t, amended.Several())
	require.Equal(t, into().Joined[1:], amended.GoneInto(into()), "not the one that is listed")
}

func TestPartsThatComeMeanwhileStay(t *testing.T) {
	r := apart(1)
	rest := sized(lasting("a.rest.ogg", Completed, 0, 14), 15)
	r = r.Amended([]Part{rest})
	r, err := r.JoinedInto(1, []Part{into()}, nil)
	require.NoError(t, err)
	require.Len(t, r.Parts, 2)
	require.True(t, r.Several())
	require.InDelta(t, 14, r.Parts[1].Overlap, 0.001)
}

func TestNamesOfJoinedFilesAreNobodyElses(t *testing.T) {
	seen := map[string]bool{}
	for attempt := 1; attempt < 12; attempt++ {
		for n := 1; n < 12; n++ {
			name := JoinedName("room/a", attempt, n, "webm")
			require.False(t, seen[name], name)
			require.False(t, IsPart("room/a", name), name)
			seen[name] = true
		}
	}
	require.Equal(t, "a.joined.webm", JoinedName("a", 1, 1, "webm"))
	require.Equal(t, "a.joined2.part3.mp4", JoinedName("a", 2, 3, "mp4"))
	require.Equal(t, ".joined2", ReservedEnding("a.joined2"))
	require.Equal(t, ".Joined", ReservedEnding("a.Joined/b"))
}

// Files of other recordings may have names that are alike.
func TestWhoseJoinedFilesAreTheirs(t *testing.T) {
	for name, attempt := range map[string]int{
		"room/alice.joined.webm":          1,
		"room/alice.joined2.ogg":          2,
		"room/alice.joined12.part3.mp4":   12,
		"room/alice.joinedparty.webm":     0,
		"room/alice.joinedparty.e2.webm":  0,
		"room/alice.joined.json":          0,
		"room/alice.joined1.webm":         0,
		"room/alice.joined02.webm":        0,
		"room/alice.joined2/file.webm":    0,
		"room/alice.joined.e2.part1.webm": 0,
		"room/bob.joined.webm":            0,
	} {
		got, ours := JoinedBy("room/alice", name)
		require.Equal(t, attempt > 0, ours, name)
		if ours {
			require.Equal(t, attempt, got, name)
		}
	}
	for attempt := 1; attempt < 4; attempt++ {
		for n := 1; n < 4; n++ {
			got, ours := JoinedBy("room/alice", JoinedName("room/alice", attempt, n, "webm"))
			require.True(t, ours)
			require.Equal(t, attempt, got)
		}
	}
}
