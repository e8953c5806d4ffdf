package joining

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// With FILE_TEMPLATE={room}/{participant}, an identity can begin as joined files are called.
func TestARecordingWhoseNameIsAlikeIsLeftAlone(t *testing.T) {
	call := newCall(t)
	other := document.NewRecording(command.NewStart("room", "alice.joinedparty", noon))
	name := document.FileName("{room}/{participant}", other, noon)
	other, err := call.joiner.Documents.Reserve(t.Context(), other, name)
	require.NoError(t, err)
	media := filepath.Join(call.root, other.File+".webm")
	require.NoError(t, os.WriteFile(media, []byte("the neighbour's frames"), 0o600))
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	call.join()
	require.FileExists(t, media)
	require.FileExists(t, filepath.Join(call.root, other.File+".json"))
}

// slowList is a bucket in which something happens before its list is read.
type slowList struct {
	Storage
	before func()
}

func (s slowList) Leftovers(ctx context.Context, p string) ([]string, error) {
	s.before()
	return s.Storage.Leftovers(ctx, p)
}

// An attempt may stand still until a newer one has put its file in place of the parts.
func TestASlowAttemptRemovesNothingOfANewerOne(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	slow, fast := *call.joiner, *call.joiner
	slow.Work, fast.Work = t.TempDir(), t.TempDir()
	slow.Storage = slowList{slow.Storage, func() { require.NoError(t, fast.Join(t.Context(), call.recording)) }}
	require.Error(t, slow.Join(t.Context(), call.recording), "its parts are gone")
	require.Len(t, call.document().Parts, 1)
	for _, p := range call.document().Parts {
		require.FileExists(t, filepath.Join(call.root, p.Key))
	}
}

// late is a store in which a put is on its way when its caller gives up: it arrives after the next read.
type late struct {
	ledger.Store
	armed   *bool
	pending *func()
}

func (l late) Put(ctx context.Context, key string, body []byte, tag string) (string, error) {
	if *l.armed && key == "room/alice.json" {
		*l.armed = false
		*l.pending = func() { _, _ = l.Store.Put(context.WithoutCancel(ctx), key, body, tag) }
		return "", errors.New("context canceled")
	}
	return l.Store.Put(ctx, key, body, tag)
}

func (l late) Get(ctx context.Context, key string) ([]byte, string, error) {
	body, tag, err := l.Store.Get(ctx, key)
	if *l.pending != nil && key == "room/alice.json" {
		do := *l.pending
		*l.pending = nil
		do()
	}
	return body, tag, err
}

// armStore is a bucket that calls arm when a joined file is looked at.
type armStore struct {
	Storage
	arm func()
}

func (s armStore) Look(ctx context.Context, name string) (int64, string, error) {
	if filepath.Base(name) == "alice.joined.webm" {
		s.arm()
	}
	return s.Storage.Look(ctx, name)
}

// A write whose answer is not waited for any more, as at SIGTERM, may still come to the bucket.
func TestADocumentThatIsWrittenLateNamesNoFileThatIsGone(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	plain := *call.joiner
	var armed bool
	var pending func()
	call.joiner.Documents = ledger.Documents{Store: late{plain.Documents.Store, &armed, &pending}}
	call.joiner.Storage = armStore{plain.Storage, func() { armed = true }}
	require.Error(t, call.joiner.Join(t.Context(), call.recording))
	require.NoError(t, plain.Join(t.Context(), call.recording))
	for _, p := range call.document().Parts {
		require.FileExists(t, filepath.Join(call.root, p.Key))
	}
}

// A recording may have ended without parts: its first owner, who had been taken for dead, comes with them later.
func TestPartsOfADocumentThatBeganNowhereKeepTheirTimes(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 20, codec: "vp8"})
	call.add(recorded{name: "room/alice.part2", from: 20, to: 30, codec: "vp8"})
	own := call.recording.Parts
	call.recording.Parts = nil
	var err error
	call.recording, err = call.joiner.Documents.Conclude(t.Context(), call.recording, "left")
	require.NoError(t, err)
	call.recording, err = call.joiner.Documents.Amend(t.Context(), call.recording, own)
	require.NoError(t, err)
	r := call.join()
	require.Len(t, r.Parts, 1)
	require.InDelta(t, 30, r.Parts[0].Duration, 0.1)
}

// Whatever has happened before, and whatever the document says: what is in no file stays.
func TestPartsStayWhileTheirFileIsNotThere(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	joined := call.join()
	require.Len(t, joined.Parts, 1)
	part := joined.Parts[0].Joined[0]
	back := filepath.Join(call.root, part.Key)
	require.NoFileExists(t, back)
	require.NoError(t, os.WriteFile(back, make([]byte, part.Size), 0o600))

	file := filepath.Join(call.root, joined.Parts[0].Key)
	require.NoError(t, os.Rename(file, file+".away"))
	require.Error(t, call.joiner.Tidy(t.Context(), joined))
	require.FileExists(t, back)
	require.NoError(t, os.WriteFile(file, []byte("something else"), 0o600))
	require.ErrorIs(t, call.joiner.Tidy(t.Context(), joined), errNotStored)
	require.FileExists(t, back)

	require.NoError(t, os.Rename(file+".away", file))
	require.NoError(t, call.joiner.Tidy(t.Context(), joined))
	require.NoFileExists(t, back)
}
