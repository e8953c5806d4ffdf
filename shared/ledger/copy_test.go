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

// reserved is a recording with a name, and the documents of whoever owns it.
func reserved(t *testing.T, store Store) (document.Recording, Documents) {
	t.Helper()
	d := Documents{Store: store}.Knowing(&Copy{})
	r, err := d.Reserve(t.Context(), document.NewRecording(command.NewStart("room", "alice", time.Now())), "file")
	require.NoError(t, err)
	return r.Owned("one", "bucket", 1), d
}

// holding is a recording with parts in a state.
func holding(r document.Recording, state document.State, keys ...string) document.Recording {
	for _, key := range keys {
		r.Parts = append(r.Parts, document.Part{Key: key, State: state})
	}
	return r
}

func TestWhoWritesADocumentAgainDoesNotReadIt(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	gets := store.gets
	for range 3 {
		require.NoError(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")))
	}
	final, err := d.Conclude(t.Context(), holding(r, document.Completed, "file.webm"), "stopped")
	require.NoError(t, err)
	require.Equal(t, gets, store.gets)
	require.Equal(t, document.Completed, final.State)
	require.Equal(t, document.Completed, found(t, d, r.ID).State)
}

func TestWhatOthersHaveWrittenSinceIsKept(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	require.NoError(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")))
	_, err := Documents{Store: store}.Amend(t.Context(), r, holding(r, document.Completed, "file.rest.webm").Parts)
	require.NoError(t, err)

	gets := store.gets
	require.NoError(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")))
	require.Equal(t, gets+1, store.gets)
	require.Len(t, found(t, d, r.ID).Parts, 2)
}

func TestWhoHasLostARecordingIsToldSoWhateverTheyRemember(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	require.NoError(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")))
	two := holding(r.Owned("two", "bucket", 2), document.Active, "e2")
	require.NoError(t, Documents{Store: store}.Save(t.Context(), two))
	require.ErrorIs(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")), document.ErrSuperseded)
	require.Equal(t, "two", found(t, d, r.ID).Recorder)
}

func TestADocumentOfWhichOnlyTheAnswerGotLostIsWrittenAgain(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	lost := errors.New("the answer got lost")
	store.after = once(DocumentKey("file"), func() error { return lost })
	require.ErrorIs(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")), lost)
	require.NoError(t, d.Save(t.Context(), holding(r, document.Completed, "file.webm")))
	require.Equal(t, document.Completed, found(t, d, r.ID).Parts[0].State)
}

func TestADocumentThatIsGoneIsWrittenAnew(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	delete(store.objects, DocumentKey("file"))
	require.NoError(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")))
	require.Len(t, found(t, d, r.ID).Parts, 1)
}

// Each document has its own contents, whichever was read last.
func TestWhatIsRememberedIsOfOneDocument(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	other, err := d.Reserve(t.Context(), document.NewRecording(command.NewStart("room", "bob", time.Now())), "file")
	require.NoError(t, err)
	require.Equal(t, "file-2", other.File)
	require.NoError(t, d.Save(t.Context(), holding(r, document.Active, "file.webm")))
	require.NoError(t, d.Save(t.Context(), holding(other, document.Active, "file-2.webm")))
	require.Equal(t, "alice", found(t, d, r.ID).Participant)
	require.Equal(t, "bob", found(t, d, other.ID).Participant)
}

// The former owner brings its part to its end, of which the new one, who remembers the document as it was before, must
// hear: what is decided by what is remembered is only ever a reason to read.
func TestWhatIsRememberedDecidesNothing(t *testing.T) {
	store := newShelf()
	r, d := reserved(t, store)
	one := holding(r, document.Draining, "file.webm")
	require.NoError(t, Documents{Store: store}.Save(t.Context(), one))
	two := holding(r.Owned("two", "bucket", 2), document.Draining, "file.webm")
	require.NoError(t, d.Save(t.Context(), two)) // remembers
	_, err := Documents{Store: store}.Amend(t.Context(), r, holding(r, document.Completed, "file.webm").Parts)
	require.NoError(t, err)

	_, err = d.Conclude(t.Context(), two, "left")
	require.NoError(t, err)
}

// Whoever stops a recording may not come to telling its owner: then the next one does.
func TestStopWhoseAnswerGotLostIsToldAllTheSame(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	c := command.NewStart("room", "alice", time.Now())
	_, err := l.Bid(t.Context(), Bid{Start: c, Owner: "one", Attempt: "one 1", Message: "m", At: time.Now()})
	require.NoError(t, err)
	store.after = once(entryKey("room", "alice"), func() error { return fmt.Errorf("retried: %w", ErrConflict) })
	stop := command.NewStop("room", "alice", time.Now().Add(time.Second))
	ended, err := l.Stop(t.Context(), stop)
	require.NoError(t, err)
	require.Contains(t, ended, c.Recording, "whose owner has to be told")
}

func TestStopThatComesAgainIsToldOnceMore(t *testing.T) {
	l := &Ledger{Store: newShelf()}
	c := command.NewStart("room", "alice", time.Now())
	_, err := l.Bid(t.Context(), Bid{Start: c, Owner: "one", Attempt: "one 1", Message: "m", At: time.Now()})
	require.NoError(t, err)
	stop := command.NewStop("room", "alice", time.Now().Add(time.Second))
	_, err = l.Stop(t.Context(), stop)
	require.NoError(t, err)
	ended, err := l.Stop(t.Context(), stop)
	require.NoError(t, err)
	require.Contains(t, ended, c.Recording)
}
