package upload

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file that is made of others is uploaded while it grows; what is cut off can be found, and removed.
func TestACreatedFileIsStoredOnceAndLeavesNothing(t *testing.T) {
	s, _, storage := bucket(t)
	const prefix = "a/b.joined"
	file := newFile(t)
	r := s.Create(file.Name(), prefix+".webm", "webm", 1)
	require.EqualValues(t, createParts*smallestPart, r.PartSize())
	require.NoError(t, r.Advance(t.Context()), "nothing is there yet")
	for range 5 {
		file.grow(t, 10<<20)
		require.NoError(t, r.Advance(t.Context()))
	}
	names, err := s.Leftovers(t.Context(), prefix)
	require.NoError(t, err)
	require.Equal(t, []string{prefix + ".webm"}, names, "an upload")
	_, _, err = s.Look(t.Context(), prefix+".webm")
	require.ErrorIs(t, err, ErrNotFound)

	for range 2 { // the second time it is done already
		size, err := r.Finish(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 50<<20, size)
	}
	require.NoError(t, r.Close(t.Context(), true))
	require.True(t, bytes.Equal(file.content, content(t, storage, prefix+".webm")))
	size, tag, err := s.Look(t.Context(), prefix+".webm")
	require.NoError(t, err)
	require.EqualValues(t, 50<<20, size)
	p := make([]byte, 100)
	require.NoError(t, s.Read(t.Context(), prefix+".webm", tag, p, 20<<20))
	require.Equal(t, file.content[20<<20:20<<20+100], p)

	require.NoError(t, s.RemovePart(t.Context(), prefix+".webm", size-1), "another file")
	require.NoError(t, s.RemovePart(t.Context(), "nothing.webm", 1))
	require.FileExists(t, storage.Path("dir/"+prefix+".webm"))
	require.NoError(t, s.RemovePart(t.Context(), prefix+".webm", size))
	require.NoFileExists(t, storage.Path("dir/"+prefix+".webm"))

	cut := newFile(t)
	cut.grow(t, 40<<20)
	r = s.Create(cut.Name(), prefix+"2.webm", "webm", 1)
	require.NoError(t, r.Advance(t.Context()))
	for range 2 {
		names, err = s.Leftovers(t.Context(), prefix)
		require.NoError(t, err)
		for _, name := range names {
			require.NoError(t, s.Remove(t.Context(), name), "it may be gone")
		}
	}
	require.Empty(t, names)
	uploads, _ := left(t, s)
	require.Zero(t, uploads)
}

func TestADirectoryReadsAndRemovesItsFiles(t *testing.T) {
	d := &Directory{Root: t.TempDir()}
	made := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(made, []byte("some bytes"), 0o600))
	c := d.Create(made, "a/b.joined.ogg", "ogg")
	require.NoError(t, c.Advance(t.Context()))
	size, err := c.Finish(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 10, size)
	require.NoError(t, c.Close(t.Context(), true))

	size, tag, err := d.Look(t.Context(), "a/b.joined.ogg")
	require.NoError(t, err)
	require.EqualValues(t, 10, size)
	p := make([]byte, 4)
	require.NoError(t, d.Read(t.Context(), "a/b.joined.ogg", tag, p, 5))
	require.Equal(t, "byte", string(p))
	require.ErrorIs(t, d.Read(t.Context(), "a/b.joined.ogg", "another", p, 5), ErrChanged)

	names, err := d.Leftovers(t.Context(), "a/b.joined")
	require.NoError(t, err)
	require.Equal(t, []string{"a/b.joined.ogg"}, names)
	require.NoError(t, d.RemovePart(t.Context(), names[0], 9), "another file")
	require.FileExists(t, filepath.Join(d.Root, names[0]))
	for range 2 {
		require.NoError(t, d.RemovePart(t.Context(), names[0], 10))
		require.NoError(t, d.Remove(t.Context(), names[0]))
	}
	_, _, err = d.Look(t.Context(), names[0])
	require.ErrorIs(t, err, ErrNotFound)
	names, err = d.Leftovers(t.Context(), "nowhere/b")
	require.NoError(t, err)
	require.Empty(t, names)
}
