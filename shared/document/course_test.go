package document

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// after is a time some seconds after noon.
func after(seconds float64) *time.Time {
	t := noon.Add(time.Duration(seconds * float64(time.Second)))
	return &t
}

// lasting is a part that begins some seconds after noon.
func lasting(key string, state State, begins, seconds float64) Part {
	return Part{Key: key, State: state, StartedAt: after(begins), Duration: seconds}
}

// because is a part with the reason for its end.
func because(part Part, reason string) Part {
	part.Reason = reason
	return part
}

// sized is a part of a file of that size.
func sized(part Part, size int64) Part {
	part.Size = size
	return part
}

func TestARecordingEndsWithWhatItsPartsHaveCome(t *testing.T) {
	failed := because(lasting("a", Failed, 0, 0), "ffmpeg died")
	for _, c := range []struct {
		name          string
		parts         []Part
		reason, codec string
		state         State
		says          string
		ends          *time.Time
	}{
		{"one part is enough", []Part{failed, lasting("b", Completed, 3, 4)}, "left", "", Completed, "left", after(7)},
		{"the end is that of the part that ends last", []Part{lasting("a", Completed, 0, 9), lasting("b", Completed, 5, 1)},
			"left", "", Completed, "left", after(9)},
		{"a codec that cannot be recorded is none of a recording's business that has parts",
			[]Part{lasting("a", Completed, 0, 1)}, "left", "h265", Completed, "left", after(1)},
		{"no part came through: its reason says more", []Part{failed}, "left", "", Failed, "ffmpeg died", after(0)},
		{"a failed part that gives no reason", []Part{lasting("a", Failed, 0, 0)}, "left", "", Failed, "left", after(0)},
		{"parts that nobody can use", []Part{because(lasting("a", Completed, 0, 1), "the format changed")}, ReasonUnsteady,
			"",
			Failed, ReasonUnsteady, after(1)},
		{"nobody came", nil, ReasonNotJoined, "", Failed, ReasonNotJoined, nil},
		{"nobody came whose codec could be recorded", nil, "left", "h265", Failed, "codec h265", nil},
		{"nothing was published", nil, "left", "", Failed, ReasonNoMedia + "; left", nil},
		{"a part of which nothing was written has no end", []Part{{Key: "a", State: Failed}}, "left", "", Failed, "left",
			nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := Recording{State: Active, EndedAt: after(1000), Parts: c.parts}
			if c.codec != "" {
				before, _ = before.Without(Unrecorded{SID: "TR_1", Codec: c.codec, Reason: UnrecordedCodec})
			}
			r := before.Concluded(c.reason)
			require.Equal(t, c.state, r.State)
			require.Equal(t, c.says, r.Reason)
			require.Equal(t, c.ends, r.EndedAt)
		})
	}
}

func TestWhatNobodyHasSharedIsNoRecording(t *testing.T) {
	screen := Recording{Media: command.Screen}
	require.Equal(t, "no screen was shared; left", screen.Concluded("left").Reason)
	require.Equal(t, Failed, screen.Concluded("left").State)
	require.Equal(t, ReasonNotJoined, screen.Concluded(ReasonNotJoined).Reason)

	screen, _ = screen.Without(Unrecorded{SID: "TR_1", Codec: "h265", Reason: UnrecordedCodec})
	require.Equal(t, "codec h265", screen.Concluded("left").Reason, "something was shared")
}

func TestASavedDocumentLosesNothingThatOthersHaveWritten(t *testing.T) {
	running, whole := lasting("a", Active, 0, 5), lasting("a", Completed, 0, 9)
	for _, c := range []struct {
		name               string
		mine, there, saved []Part
	}{
		{"the first time", []Part{running}, nil, []Part{running}},
		{"its own newer numbers count", []Part{lasting("a", Active, 0, 6)}, []Part{running},
			[]Part{lasting("a", Active, 0, 6)}},
		{"a part that another one has completed does not run again", []Part{running}, []Part{whole}, []Part{whole}},
		{"a part that another one has given up does not run again", []Part{running}, []Part{lasting("a", Failed, 0, 0)},
			[]Part{lasting("a", Failed, 0, 0)}},
		{"a part that drains does not run again", []Part{running}, []Part{lasting("a", Draining, 0, 5)},
			[]Part{lasting("a", Draining, 0, 5)}},
		{"a part that failed elsewhere is there after all", []Part{whole}, []Part{lasting("a", Failed, 0, 0)}, []Part{whole}},
		{"whoever stored a part first knows its size", []Part{sized(whole, 1)}, []Part{sized(whole, 2)},
			[]Part{sized(whole, 2)}},
		{"a part that only the others know of stays", []Part{lasting("b", Active, 4, 1)}, []Part{whole},
			[]Part{whole, {Key: "b", State: Active, StartedAt: after(4), Duration: 1, Overlap: 5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			saved, err := Recording{Epoch: 2, Parts: c.mine}.Saved(Recording{Epoch: 1, Parts: c.there})
			require.NoError(t, err)
			require.Equal(t, c.saved, saved.Parts)
			require.Equal(t, 2, saved.Epoch)
		})
	}
}

func TestTheOwnerBeforeCannotSaveAnyMore(t *testing.T) {
	there := Recording{Epoch: 3, Reason: "theirs"}
	saved, err := Recording{Epoch: 2, Reason: "mine"}.Saved(there)
	require.ErrorIs(t, err, ErrSuperseded)
	require.Equal(t, there, saved)
}

func TestAmendingNeverTakesBack(t *testing.T) {
	whole := lasting("a", Completed, 0, 9)
	for _, c := range []struct {
		name                   string
		there, amends, amended []Part
	}{
		{"a running part does not replace a whole one", []Part{whole}, []Part{lasting("a", Active, 0, 5)}, []Part{whole}},
		{"a repaired file has another size and duration", []Part{sized(whole, 7)},
			[]Part{sized(lasting("a", Completed, 0, 8), 6)}, []Part{sized(lasting("a", Completed, 0, 8), 6)}},
		{"why a part failed at first is kept", []Part{because(lasting("a", Failed, 0, 0), "first")},
			[]Part{because(lasting("a", Failed, 0, 0), "second")}, []Part{because(lasting("a", Failed, 0, 0), "first")}},
		{"what nobody had heard of is put where it belongs", []Part{lasting("b", Active, 20, 1)}, []Part{whole},
			[]Part{whole, lasting("b", Active, 20, 1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Recording{State: Active, Epoch: 4, Parts: c.there}.Amended(c.amends)
			require.Equal(t, c.amended, r.Parts)
			require.Equal(t, Active, r.State, "it goes on")
			require.Equal(t, 4, r.Epoch, "it belongs to whom it belonged to")
		})
	}
}

func TestALatePartOfAFailedRecordingMakesItCompleted(t *testing.T) {
	failed := Recording{
		State: Active,
		Parts: []Part{lasting("a", Failed, 0, 5)},
	}.Concluded("left")
	require.Equal(t, Failed, failed.State)

	r := failed.Amended([]Part{lasting("a", Completed, 0, 9)})
	require.Equal(t, Completed, r.State)
	require.Equal(t, "left", r.Reason)
	require.Equal(t, after(9), r.EndedAt)
}

func TestALatePartOfAnUnsteadyRecordingDoesNotMakeItCompleted(t *testing.T) {
	unsteady := Recording{Parts: []Part{lasting("a", Completed, 0, 1)}}.Concluded(ReasonUnsteady)
	r := unsteady.Amended([]Part{lasting("b", Completed, 2, 1)})
	require.Equal(t, Failed, r.State)
	require.Equal(t, ReasonUnsteady, r.Reason)
	require.Len(t, r.Parts, 2)
}

// A recorder that has lost a recording before it received anything amends nothing.
func TestAmendingNothingChangesNothing(t *testing.T) {
	for _, r := range []Recording{
		Recording{}.Concluded("left"),
		Recording{}.Concluded(ReasonNotJoined),
		Recording{Parts: []Part{lasting("a", Completed, 0, 9)}}.Concluded("left"),
		{State: Active, Parts: []Part{lasting("a", Active, 0, 9)}},
	} {
		require.Equal(t, r, r.Amended(nil))
	}
}

// A recorder that has lost a recording may not know yet that it is over.
func TestAFinalDocumentHasNoPartThatRuns(t *testing.T) {
	final := Recording{Parts: []Part{lasting("a", Completed, 0, 9)}}.Concluded("left")
	require.Equal(t, final, final.Amended([]Part{lasting("b", Active, 9, 1)}))
	require.False(t, final.Unfinished())
	require.True(t, Recording{Parts: []Part{lasting("b", Draining, 9, 1)}}.Unfinished())
}

func TestADocumentOfWhatRuns(t *testing.T) {
	r := Recording{State: Requested}.Running(nil)
	require.Equal(t, Requested, r.State, "nothing has come yet")
	require.Nil(t, r.StartedAt)

	second, first := lasting("b", Active, 4, 3), lasting("a", Completed, 0, 5)
	given := []Part{second, first}
	r = r.Running(given)
	require.Equal(t, Active, r.State)
	require.Equal(t, after(0), r.StartedAt)
	require.Equal(t, "a", r.Parts[0].Key)
	require.Equal(t, "b", given[0].Key, "the caller's list stays as it was")
}

func TestOverlapsAreOfEverythingBefore(t *testing.T) {
	parts := arranged([]Part{
		lasting("late", Completed, 9, 1),
		lasting("long", Completed, 0, 10),
		{Key: "not begun", State: Active},
		lasting("within", Completed, 2, 3),
		lasting("behind a pause", Completed, 12, 1),
	})
	overlaps := map[string]float64{}
	for _, p := range parts {
		overlaps[p.Key] = p.Overlap
	}
	require.Equal(t, map[string]float64{"long": 0, "within": 8, "late": 1, "behind a pause": 0, "not begun": 0}, overlaps)
}

// A part that nobody can say the beginning of comes last: between two others it would keep them from being ordered.
func TestAPartWithoutABeginningDoesNotHideOverlaps(t *testing.T) {
	parts := arranged([]Part{
		lasting("first", Completed, 0, 10),
		lasting("last", Completed, 29, 60),
		{Key: "lost", State: Failed},
		lasting("rest", Completed, 0, 30),
	})
	var keys []string
	for _, p := range parts {
		keys = append(keys, p.Key)
	}
	require.Equal(t, []string{"first", "rest", "last", "lost"}, keys)
	require.EqualValues(t, 10, parts[1].Overlap)
	require.EqualValues(t, 1, parts[2].Overlap)
}

// What has changed hands may have been listed with an overlap that is none any more.
func TestAnOverlapThatIsNoneAnyMoreIsForgotten(t *testing.T) {
	part := lasting("a", Completed, 0, 5)
	part.Overlap = 3
	require.Zero(t, arranged([]Part{part})[0].Overlap)
}

func TestADismissedRecordingSaysWhy(t *testing.T) {
	r := Recording{ID: "R", State: Requested}.Dismissed("stopped before it began")
	require.Equal(t, Recording{ID: "R", State: Failed, Reason: "stopped before it began"}, r)
	require.True(t, r.Final())
}

func TestWhoOwnsADocument(t *testing.T) {
	r := Recording{ID: "R", Recorder: "one", Epoch: 1}.Owned("two", "bucket", 2)
	require.Equal(t, Recording{ID: "R", Recorder: "two", Bucket: "bucket", Epoch: 2}, r)
}

func TestOnlyWhatIsCompletedOrFailedIsFinal(t *testing.T) {
	for state, final := range map[State]bool{
		Requested: false,
		Active:    false,
		Draining:  false,
		Completed: true,
		Failed:    true,
	} {
		require.Equal(t, final, Recording{State: state}.Final(), state)
		require.Equal(t, final, Part{State: state}.Final(), state)
	}
}

// A recording without parts ends, and its parts come then.
func TestWhenARecordingBeganIsKnownByItsParts(t *testing.T) {
	r := Recording{}.Concluded("left")
	require.Nil(t, r.StartedAt)
	r = r.Amended([]Part{lasting("b", Completed, 20, 10), lasting("a", Completed, 5, 15), {Key: "c", State: Failed}})
	require.Equal(t, after(5), r.StartedAt)
	require.Equal(t, after(30), r.EndedAt)
}
