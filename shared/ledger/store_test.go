package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// stores are both kinds of store, real ones.
func stores(t *testing.T) map[string]ledger.Store {
	t.Helper()
	return map[string]ledger.Store{
		"bucket":    bucketStore(storage(t)),
		"directory": &ledger.DirStore{Root: t.TempDir()},
	}
}

func storage(t *testing.T) *stack.Stack {
	t.Helper()
	tools, err := stack.Tools()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := stack.StartStorage(ctx, stack.Options{Tools: tools, Work: t.TempDir(), BucketRoot: t.TempDir()})
	t.Cleanup(s.Stop)
	require.NoError(t, err)
	return s
}

func bucketStore(s *stack.Stack) *ledger.S3Store {
	return ledger.NewS3Store(s.S3Client(), stack.Bucket, "some/directory")
}

// A connection whose other end has gone without a word costs an attempt, not the call.
func TestStoreNoticesSilence(t *testing.T) {
	s := storage(t)
	store := bucketStore(s)
	tag, err := store.Put(t.Context(), "x.json", []byte("1"), "")
	require.NoError(t, err)
	s.SilenceS3(true) // the connection that is kept from the first call, too
	s.SilenceS3(false)
	body, same, err := store.Get(t.Context(), "x.json")
	require.NoError(t, err)
	require.Equal(t, "1", string(body))
	require.Equal(t, tag, same)
}

func TestConditionalPutHasOneWinner(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			_, _, err := store.Get(ctx, "x.json")
			require.ErrorIs(t, err, ledger.ErrNotFound)
			tag, err := store.Put(ctx, "x.json", []byte("1"), "")
			require.NoError(t, err)
			_, err = store.Put(ctx, "x.json", []byte("2"), "")
			require.ErrorIs(t, err, ledger.ErrConflict)
			_, err = store.Put(ctx, "x.json", []byte("2"), tag)
			require.NoError(t, err)
			_, err = store.Put(ctx, "x.json", []byte("3"), tag)
			require.ErrorIs(t, err, ledger.ErrConflict)
			body, _, err := store.Get(ctx, "x.json")
			require.NoError(t, err)
			require.Equal(t, "2", string(body))
			_, err = store.Put(ctx, "y/z", []byte("1"), "")
			require.NoError(t, err)
			keys, err := store.List(ctx, "y/", "", 10)
			require.NoError(t, err)
			require.Equal(t, []string{"y/z"}, keys)
		})
	}
}

func TestManyRecordersOneClaim(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var claimed atomic.Int32
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					l := &ledger.Ledger{Store: store}
					grant, err := l.Bid(t.Context(), ledger.Bid{
						Start:   command.NewStart("room", "alice", time.Now()),
						Owner:   fmt.Sprint("recorder-", n),
						Attempt: fmt.Sprint("attempt-", n),
					})
					if err != nil {
						t.Error(err)
					}
					if grant.Verdict == ledger.Record {
						claimed.Add(1)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, claimed.Load())
		})
	}
}

func TestReservedNamesAreNeverSharedAndTheOwnOneIsFoundAgain(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			documents := ledger.Documents{Store: store}
			var mu sync.Mutex
			files := map[string]string{}
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					recording := document.NewRecording(command.NewStart("room", "alice", time.Now()))
					reserved, err := documents.Reserve(t.Context(), recording, "a/name")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					files[reserved.File] = reserved.ID
				})
			}
			wg.Wait()
			require.Len(t, files, 6)
			for file, id := range files {
				recording, err := documents.ByID(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, file, recording.File)
				recording.State = document.Active
				require.NoError(t, documents.Save(t.Context(), recording))
				again, err := documents.Reserve(t.Context(), recording, "another/name")
				require.NoError(t, err)
				require.Equal(t, file, again.File)
				require.Equal(t, document.Active, again.State)
			}
			listed, err := documents.List(t.Context(), "room", "alice", "", 100)
			require.NoError(t, err)
			require.Len(t, listed.Rows, 6)
		})
	}
}

// Real stores have to agree with us on what comes behind a cursor.
func TestEveryRecordingIsOnOnePageWhateverTheStore(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			documents := ledger.Documents{Store: store}
			var want, got []string
			for n := range 5 {
				r := document.NewRecording(command.NewStart("ro/öm", "alice", time.Unix(int64(1000-n), 0)))
				require.NoError(t, documents.Request(t.Context(), r))
				_, err := documents.Reserve(t.Context(), r, "a/b c/name")
				require.NoError(t, err)
				want = append(want, r.ID)
			}

			for cursor := ""; ; {
				page, err := documents.List(t.Context(), "ro/öm", "", cursor, 2)
				require.NoError(t, err)
				for _, row := range page.Rows {
					require.NoError(t, row.Err)
					got, cursor = append(got, row.Recording.ID), row.Cursor
				}
				if !page.More {
					break
				}
			}
			require.Equal(t, want, got)
		})
	}
}

func TestOlderOwnerCannotOverwriteTheDocument(t *testing.T) {
	documents := ledger.Documents{Store: &ledger.DirStore{Root: t.TempDir()}}
	recording, err := documents.Reserve(t.Context(), document.NewRecording(command.NewStart("room", "alice",
		time.Now())), "name")
	require.NoError(t, err)
	newer := recording
	recording.Epoch, newer.Epoch = 1, 2
	require.NoError(t, documents.Save(t.Context(), newer))
	require.ErrorIs(t, documents.Save(t.Context(), recording), document.ErrSuperseded)
}

// A recorder that has lost a recording writes what became of its own part into the document of the one that has it now,
// which keeps that when it saves its own.
func TestTheEndOfAnotherRecordersPartIsKept(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			documents := ledger.Documents{Store: store}
			old, err := documents.Reserve(t.Context(), document.NewRecording(command.NewStart("room", "alice", time.Now())),
				"name")
			require.NoError(t, err)
			old.Epoch, old.State = 1, document.Active
			old.Parts = []document.Part{{Key: "one", State: document.Draining, Tracks: []document.TrackReport{}}}
			require.NoError(t, documents.Save(t.Context(), old))
			successor := old
			successor.Epoch = 2
			successor.Parts = append(slices.Clone(old.Parts), document.Part{Key: "two", State: document.Active,
				Tracks: []document.TrackReport{}})
			require.NoError(t, documents.Save(t.Context(), successor))
			done := document.Part{Key: "one", State: document.Completed, Size: 7, Tracks: []document.TrackReport{}}
			late := document.Part{Key: "one.drained", State: document.Completed, Tracks: []document.TrackReport{}}
			_, err = documents.Amend(t.Context(), old, []document.Part{done, late})
			require.NoError(t, err)
			require.NoError(t, documents.Save(t.Context(), successor))
			now, err := documents.ByID(t.Context(), old.ID)
			require.NoError(t, err)
			require.Equal(t, 2, now.Epoch)
			require.Equal(t, []document.Part{done, successor.Parts[1], late}, now.Parts)
		})
	}
}
