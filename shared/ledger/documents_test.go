package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

var errAway = errors.New("the bucket is away")

// requested is a recording of which there is no more than the wish, and named one that has its name.
func requested(t *testing.T, d Documents) document.Recording {
	t.Helper()
	r := document.NewRecording(command.NewStart("room", "alice", noon))
	require.NoError(t, d.Request(t.Context(), r))
	return r
}

func named(t *testing.T, d Documents) document.Recording {
	t.Helper()
	r, err := d.Reserve(t.Context(), requested(t, d), "a/name")
	require.NoError(t, err)
	return r
}

func found(t *testing.T, d Documents, id string) document.Recording {
	t.Helper()
	r, err := d.ByID(t.Context(), id)
	require.NoError(t, err)
	r.UpdatedAt = time.Time{}
	return r
}

// ways are a recording that has no name yet, and one that has: the document is somewhere else.
var ways = map[string]func(*testing.T, Documents) document.Recording{"without a name": requested, "named": named}

func TestWhatIsWrittenIsFoundWhereverTheDocumentLies(t *testing.T) {
	whole := document.Part{Key: "one", State: document.Completed, Size: 7, Tracks: []document.TrackReport{}}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			d := Documents{Store: newShelf()}
			r := way(t, d)
			r.Epoch, r.State = 1, document.Active
			require.NoError(t, d.Save(t.Context(), r))
			require.Equal(t, document.Active, found(t, d, r.ID).State)

			amended, err := d.Amend(t.Context(), r, []document.Part{whole})
			require.NoError(t, err)
			require.Equal(t, []document.Part{whole}, amended.Parts)
			require.Equal(t, amended.Parts, found(t, d, r.ID).Parts)

			final, err := d.Conclude(t.Context(), r, "left")
			require.NoError(t, err)
			require.Equal(t, document.Completed, final.State, "the amended part is in it")
			require.Equal(t, final.Parts, found(t, d, r.ID).Parts)
			require.Equal(t, document.Completed, found(t, d, r.ID).State)
		})
	}
}

// Its recorder may be about to store it.
func TestADocumentIsNotFinalWhileAPartRuns(t *testing.T) {
	d := Documents{Store: newShelf()}
	r := named(t, d)
	_, err := d.Amend(t.Context(), r, []document.Part{{Key: "one", State: document.Draining}})
	require.NoError(t, err)
	_, err = d.Conclude(t.Context(), r, "left")
	require.ErrorIs(t, err, document.ErrUnfinished)
	require.False(t, found(t, d, r.ID).Final())
}

func TestAnOlderOwnerChangesNothingWhereverTheDocumentLies(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			d := Documents{Store: newShelf()}
			r := way(t, d)
			r.Epoch = 2
			require.NoError(t, d.Save(t.Context(), r))
			before := found(t, d, r.ID)
			r.Epoch, r.State = 1, document.Active
			require.ErrorIs(t, d.Save(t.Context(), r), document.ErrSuperseded)
			_, err := d.Conclude(t.Context(), r, "left")
			require.ErrorIs(t, err, document.ErrSuperseded)
			require.Equal(t, before, found(t, d, r.ID))
		})
	}
}

func TestOnlyWhatNothingHasComeOfIsDismissed(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			d := Documents{Store: newShelf()}
			r := way(t, d)
			require.NoError(t, d.Dismiss(t.Context(), r.ID, "no"))
			require.Equal(t, document.Failed, found(t, d, r.ID).State)
			require.NoError(t, d.Dismiss(t.Context(), r.ID, "no again"))
			require.Equal(t, "no", found(t, d, r.ID).Reason)
			require.NoError(t, d.Dismiss(t.Context(), "nobody knows it", "no"))
		})
	}
}

// What a recorder has left on its disk was stored while another one took the start for a duplicate.
func TestARecordingThatHasFilesIsNotDismissed(t *testing.T) {
	d := Documents{Store: &DirStore{Root: t.TempDir()}}
	r, err := d.Reserve(t.Context(), document.NewRecording(command.NewStart("room", "alice", time.Now())), "file")
	require.NoError(t, err)
	_, err = d.Amend(t.Context(), r, []document.Part{{Key: "file.webm", State: document.Completed}})
	require.NoError(t, err)
	require.NoError(t, d.Dismiss(t.Context(), r.ID, "no"))
	r, err = d.ByID(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, document.Requested, r.State)
}

func TestARecordingThatBeginsMeanwhileIsNotDismissed(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			store := newShelf()
			d := Documents{Store: store}
			r := way(t, d)
			where := pointerKey(r.ID)
			if r.File != "" {
				where = DocumentKey(r.File)
			}
			r.State = document.Active
			store.before = once(where, func() error { return d.Save(t.Context(), r) })
			require.NoError(t, d.Dismiss(t.Context(), r.ID, "no"))
			require.Equal(t, document.Active, found(t, d, r.ID).State)
		})
	}
}

// Whoever read the recording before it got its name must not write it where nobody looks any more.
func TestADocumentThatHasMovedIsNotWrittenInItsOldPlace(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	r := requested(t, d)
	store.before = once(pointerKey(r.ID), func() error {
		_, err := d.Reserve(t.Context(), r, "a/name")
		return err
	})
	require.ErrorIs(t, d.Dismiss(t.Context(), r.ID, "no"), errNamed)
	require.Equal(t, "a/name", found(t, d, r.ID).File)
	require.Equal(t, document.Requested, found(t, d, r.ID).State)
	require.NoError(t, d.Dismiss(t.Context(), r.ID, "no"), "tried again")
	require.Equal(t, document.Failed, found(t, d, r.ID).State)
}

func TestPartsOfARecordingThatHasNoDocumentAreNotAmended(t *testing.T) {
	d := Documents{Store: newShelf()}
	r := document.NewRecording(command.NewStart("room", "alice", noon))
	_, err := d.Amend(t.Context(), r, nil)
	require.ErrorIs(t, err, ErrNoDocument)
	r.File = "somewhere"
	_, err = d.Amend(t.Context(), r, nil)
	require.ErrorIs(t, err, ErrNoDocument)
	require.Empty(t, d.Store.(*shelf).objects)
}

func TestANameIsFoundAgainWhoseAnswerGotLost(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	r := requested(t, d)
	store.after = once("a/name.json", func() error { return errAway })
	_, err := d.Reserve(t.Context(), r, "a/name")
	require.ErrorIs(t, err, errAway)
	again, err := d.Reserve(t.Context(), r, "a/name")
	require.NoError(t, err)
	require.Equal(t, "a/name", again.File)
	require.Empty(t, again.RequestedFile)
}

func TestNamesThatAreTakenGetSuffixes(t *testing.T) {
	d := Documents{Store: newShelf()}
	named(t, d)
	second := named(t, d)
	require.Equal(t, "a/name-2", second.File)
	require.Equal(t, "a/name", second.RequestedFile)
}

// A template without anything that differs would make every start look at more names than the one before.
func TestBeyondAThousandANameGetsTheID(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	store.objects["a/name.json"] = "somebody's"
	for n := 2; n <= maxSuffix; n++ {
		store.objects[fmt.Sprintf("a/name-%d.json", n)] = `{"id":"another"}`
	}
	r := named(t, d)
	require.Equal(t, "a/name-"+r.ID, r.File)
	require.Equal(t, "a/name", r.RequestedFile)
	require.Equal(t, r.File, found(t, d, r.ID).File)
}

func TestNothingIsReservedWhileTheBucketIsAway(t *testing.T) {
	r := document.NewRecording(command.NewStart("room", "alice", noon))
	for _, key := range []string{pointerKey(r.ID), "a/name.json"} {
		store := newShelf()
		store.before = once(key, func() error { return errAway })
		_, err := Documents{Store: store}.Reserve(t.Context(), r, "a/name")
		require.ErrorIs(t, err, errAway, key)
		require.NotContains(t, store.objects, key)
	}
}

func TestAPointerThatIsNoneIsNotTriedAgain(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	r := requested(t, d)
	store.objects[pointerKey(r.ID)] = "{"
	_, err := d.ByID(t.Context(), r.ID)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorIs(t, d.Save(t.Context(), r), ErrCorrupt)
	require.ErrorIs(t, d.Dismiss(t.Context(), r.ID, "no"), ErrCorrupt)
	_, err = d.Reserve(t.Context(), r, "a/name")
	require.ErrorIs(t, err, ErrCorrupt)
	page, err := d.List(t.Context(), "room", "", "", 10)
	require.NoError(t, err)
	require.ErrorIs(t, page.Rows[0].Err, ErrCorrupt)
	require.Equal(t, "{", store.objects[pointerKey(r.ID)], "somebody may want to see what it was")
}

func TestADocumentThatIsNoneIsSaidToBeSo(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	r := named(t, d)
	for _, body := range []string{"{", "{}", "[]"} {
		store.objects[DocumentKey(r.File)] = body
		_, err := d.ByID(t.Context(), r.ID)
		require.ErrorIs(t, err, ErrNoDocument)
	}
}
