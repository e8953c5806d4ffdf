package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// wish is a recording that has been asked for over REST.
func wish(t *testing.T, d Documents, room, participant string, when time.Time) document.Recording {
	t.Helper()
	r := document.NewRecording(command.NewStart(room, participant, when))
	require.NoError(t, d.Request(t.Context(), r))
	return r
}

// walk reads all pages.
func walk(t *testing.T, d Documents, room, participant string, limit int) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page, err := d.List(t.Context(), room, participant, cursor, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Rows), limit)
		for _, row := range page.Rows {
			require.NoError(t, row.Err)
			require.Equal(t, row.ID, row.Recording.ID)
			ids, cursor = append(ids, row.ID), row.Cursor
		}
		if !page.More {
			return ids
		}
		require.Len(t, page.Rows, limit, "a page is full if there are more")
	}
}

func TestListsHaveWhatIsAskedForAndNoMore(t *testing.T) {
	d := Documents{Store: newShelf()}
	alice, bob := wish(t, d, "room", "alice", noon), wish(t, d, "room", "bob", noon)
	wish(t, d, "room 2", "alice", noon)
	second := wish(t, d, "room", "alice 2", noon)

	require.Equal(t, []string{alice.ID}, walk(t, d, "room", "alice", 10))
	require.Equal(t, []string{bob.ID}, walk(t, d, "room", "bob", 10))
	require.ElementsMatch(t, []string{alice.ID, bob.ID, second.ID}, walk(t, d, "room", "", 10))
	require.Empty(t, walk(t, d, "room", "nobody", 10))
	require.Empty(t, walk(t, d, "nowhere", "", 10))
}

// Recordings are asked for in any order, and some have names: all are on one page each, the newest first.
func TestListsAreNewestFirstAndHaveEveryRecordingOnce(t *testing.T) {
	d := Documents{Store: newShelf()}
	const all = 57
	want := make([]string, all)
	for _, n := range rand.New(rand.NewPCG(1, 1)).Perm(all) {
		r := wish(t, d, "room", "alice", noon.Add(-time.Duration(n)*time.Millisecond))
		if n%3 > 0 {
			_, err := d.Reserve(t.Context(), r, "a/name")
			require.NoError(t, err)
		}
		want[n] = r.ID
	}
	for _, limit := range []int{1, 2, 19, 56, 57, 58} {
		require.Equal(t, want, walk(t, d, "room", "", limit), limit)
		require.Equal(t, want, walk(t, d, "room", "alice", limit), limit)
	}
}

// What is new while somebody reads page by page must not shift what they have not read yet.
func TestNewRecordingsMoveNoPage(t *testing.T) {
	d := Documents{Store: newShelf()}
	old := wish(t, d, "room", "alice", at(1))
	newer := wish(t, d, "room", "alice", at(2))
	page, err := d.List(t.Context(), "room", "", "", 1)
	require.NoError(t, err)
	require.Equal(t, newer.ID, page.Rows[0].ID)

	wish(t, d, "room", "alice", at(3))
	page, err = d.List(t.Context(), "room", "", page.Rows[0].Cursor, 1)
	require.NoError(t, err)
	require.Equal(t, old.ID, page.Rows[0].ID)
	require.False(t, page.More)
}

func TestRecordingsOfTheSameMomentAreOnOnePageEach(t *testing.T) {
	d := Documents{Store: newShelf()}
	var want []string
	for _, id := range []string{"RC_1", "RC_10", "RC_1-", "RC_1_", "RC_2"} { // each begins like another one
		r := document.NewRecording(command.NewStart("room", "alice", noon))
		r.ID = id
		require.NoError(t, d.Request(t.Context(), r))
		want = append(want, id)
	}
	require.ElementsMatch(t, want, walk(t, d, "room", "", 1))
}

func manyRecordings(t *testing.T, d Documents, count int, file string) {
	t.Helper()
	for n := range count {
		r := document.NewRecording(command.NewStart("room", "alice", noon.Add(time.Duration(n)*time.Second)))
		_, err := d.Reserve(t.Context(), r, fmt.Sprintf(file, n))
		require.NoError(t, err)
	}
}

// A list of a room with years of recordings must not take longer than one of a new room.
func TestAPageTakesOneCallAndOneMoreForEachRow(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	manyRecordings(t, d, 10000, "room/alice/%d")

	for _, participant := range []string{"", "alice"} {
		cursor := ""
		for range 3 {
			store.gets, store.lists = 0, 0
			page, err := d.List(t.Context(), "room", participant, cursor, MaxPage)
			require.NoError(t, err)
			require.Len(t, page.Rows, MaxPage)
			require.True(t, page.More)
			require.Equal(t, 1, store.lists)
			require.Equal(t, MaxPage, store.gets)
			cursor = page.Rows[MaxPage-1].Cursor
		}
	}
}

// Names in S3 end at 1024 bytes; a recording must not fail because the index has no place for its name.
func TestAnIndexNameIsNeverLongerThanAFileName(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	long := strings.Repeat("x", 200)
	r := document.NewRecording(command.NewStart(long, long, noon))
	_, err := d.Reserve(t.Context(), r, strings.Join([]string{long, long, long}, "/"))
	require.NoError(t, err)
	for key := range store.objects {
		require.LessOrEqual(t, len(key), maxIndexName)
	}
	require.Equal(t, []string{r.ID}, walk(t, d, long, "", 10))
	require.Equal(t, []string{r.ID}, walk(t, d, long, long, 10))
}

func TestCursorsThatNoListHasGivenAreRefused(t *testing.T) {
	d := Documents{Store: newShelf()}
	wish(t, d, "room", "alice", noon)
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, cursor := range map[string]string{
		"not base64":   "?",
		"no time":      encode("-RC_1"),
		"no id":        encode("1234567890123-"),
		"another path": encode("1234567890123-../../x"),
		"a slash":      encode("1234567890123-RC/1"),
		"padded":       base64.URLEncoding.EncodeToString([]byte("1234567890123-RC_1x")),
		"line end":     encode("1234567890123-RC_1\n"),
	} {
		_, err := d.List(t.Context(), "room", "", cursor, 10)
		require.ErrorIs(t, err, ErrCursor, name)
	}
}

// One document that is broken, or that somebody has removed, must not hide the others.
func TestABrokenDocumentHidesNoOther(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	manyRecordings(t, d, 4, "name-%d")
	store.objects["name-0.json"] = "{"
	store.objects["name-1.json"] = `{"id":"another"}`
	delete(store.objects, "name-2.json")
	page, err := d.List(t.Context(), "room", "", "", 10)
	require.NoError(t, err)
	require.NoError(t, page.Rows[0].Err)
	require.ErrorIs(t, page.Rows[1].Err, ErrNotFound)
	require.ErrorIs(t, page.Rows[2].Err, ErrNoDocument)
	require.ErrorIs(t, page.Rows[3].Err, ErrNoDocument)
}

// The index is written before the recording can be found by its id.
func TestARecordingThatIsAboutToBeNotedIsNone(t *testing.T) {
	store := newShelf()
	d := Documents{Store: store}
	r := wish(t, d, "room", "alice", noon)
	delete(store.objects, pointerKey(r.ID))
	page, err := d.List(t.Context(), "room", "", "", 10)
	require.NoError(t, err)
	require.True(t, errors.Is(page.Rows[0].Err, ErrNotFound))
}

// A recorder that dies between giving a name and writing it into the index comes back to do so.
func TestANameIsInTheIndexAtLatestWhenItIsAskedForAgain(t *testing.T) {
	for name, lost := range map[string]string{"room": ".recordings/rooms/", "participant": ".recordings/participants/"} {
		t.Run(name, func(t *testing.T) {
			store := newShelf()
			d := Documents{Store: store}
			r := document.NewRecording(command.NewStart("room", "alice", noon))
			store.before = func(key string) error {
				if strings.HasPrefix(key, lost) {
					return errAway
				}
				return nil
			}
			_, err := d.Reserve(t.Context(), r, "a/name")
			require.ErrorIs(t, err, errAway)

			store.before = func(string) error { return nil }
			_, err = d.Reserve(t.Context(), r, "a/name")
			require.NoError(t, err)
			require.Equal(t, []string{r.ID}, walk(t, d, "room", "", 10))
			require.Equal(t, []string{r.ID}, walk(t, d, "room", "alice", 10))
		})
	}
}

// The mark of what has no name must not stand in the way of any name, not even as a directory on a disk.
func TestEveryNameHasAPlaceInTheIndexOfADirectory(t *testing.T) {
	d := Documents{Store: &DirStore{Root: t.TempDir()}}
	r := wish(t, d, "room", "alice", noon)
	_, err := d.Reserve(t.Context(), r, "unnamed/x")
	require.NoError(t, err)
	require.Equal(t, []string{r.ID}, walk(t, d, "room", "", 10))
}
