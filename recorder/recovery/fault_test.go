package recovery

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
)

// faultyStorage has a fault in its code for files whose names have something in them.
type faultyStorage struct {
	*bucket
	name string
}

func (f *faultyStorage) Resume(ctx context.Context, log logrus.FieldLogger, path, name, container string) (
	parts.Upload, error) {
	if f.name != "" && strings.Contains(name, f.name) {
		panic("an index is out of range")
	}
	return f.bucket.Resume(ctx, log, path, name, container)
}

// A fault costs one attempt's files nothing but time, and others nothing: neither those behind it on the disk, nor
// parts that are recovered from the bucket.
func TestAPanicOverTheFilesOfOneAttemptCostsNoOther(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		storage := &faultyStorage{s.bucket, "broken"}
		s.Storage = storage
		broken, whole := start(), start()
		whole.Participant = "bob"
		s.claimed(t, broken, "dead")
		s.claimed(t, whole, "dead")
		first := s.leave(t, scratch.Note{Start: broken, File: "a/broken", Epoch: 1}, "part1.webm")
		require.NoError(t, s.Disk.Rename(filepath.Dir(first.Path), filepath.Join(s.Root, "a dead one")))
		s.leave(t, scratch.Note{Start: whole, File: "a/whole", Epoch: 1}, "part1.webm")

		pass(10 * settleTime)
		require.Contains(t, s.bucket.stored(), "media/a/whole.webm")
		require.FileExists(t, filepath.Join(s.Root, "a dead one", filepath.Base(first.Path), "part1.webm"))

		storage.name = "" // as another version of the recorder has it
		pass(2 * diskInterval)
		require.Contains(t, s.bucket.stored(), "media/a/broken.webm")
		require.NoDirExists(t, filepath.Join(s.Root, "a dead one"))
	})
}

// The file is stored, and stays as it is.
func TestAPanicInTheIndexingCostsNoMoreThanTheIndex(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		s.Repair = func(context.Context, io.Reader, string, string) (mux.Repaired, error) { panic("no index") }
		c := start()
		s.claimed(t, c, "dead")
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm")
		pass(10 * settleTime)
		require.Equal(t, "media", s.bucket.stored()["media/a/name.webm"])
		require.NoDirExists(t, d.Path)
		require.Equal(t, document.Completed, s.document(t, c).Parts[0].State)

		part := document.Part{Key: "media/a/name.webm", Container: "webm", Size: 5}
		before := part
		require.NoError(t, s.Index(t.Context(), &part, "a/name.webm"))
		require.Equal(t, before, part)
		s.Repair = repair
		require.NoError(t, s.Index(t.Context(), &part, "a/name.webm"), "and nothing waits for it")
		require.NotEqual(t, before, part)
	})
}
