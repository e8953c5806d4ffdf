package upload

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirectoryMovesTheFile(t *testing.T) {
	file := newFile(t)
	file.grow(t, 1000)
	root := t.TempDir()

	name, size, err := (&Directory{Root: root}).Begin(file.Name(), "a/b/c.ogg", "ogg").Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a/b/c.ogg", name)
	require.EqualValues(t, 1000, size)

	stored, err := os.ReadFile(filepath.Join(root, "a/b/c.ogg"))
	require.NoError(t, err)
	require.Equal(t, file.content, stored)
	require.NoFileExists(t, file.Name())
}

func TestDirectoryOverwritesNothing(t *testing.T) {
	directory := &Directory{Root: t.TempDir()}
	for _, want := range []string{"a.ogg", "a.rest.ogg", "a.rest2.ogg"} {
		file := newFile(t)
		file.grow(t, 1000)

		name, _, err := directory.Begin(file.Name(), "a.ogg", "ogg").Finish(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, name)
		stored, err := os.ReadFile(filepath.Join(directory.Root, want))
		require.NoError(t, err)
		require.Equal(t, file.content, stored)
	}
}

// The recorder was killed between making the file appear and removing its own.
func TestDirectoryKnowsAFileThatItHasStored(t *testing.T) {
	directory := &Directory{Root: t.TempDir()}
	file := newFile(t)
	file.grow(t, 200_000)
	require.NoError(t, os.WriteFile(filepath.Join(directory.Root, "a.ogg"), file.content, 0o644))

	name, size, err := directory.Begin(file.Name(), "a.ogg", "ogg").Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a.ogg", name)
	require.EqualValues(t, 200_000, size)
	require.NoFileExists(t, file.Name())
	require.NoFileExists(t, filepath.Join(directory.Root, "a.rest.ogg"))
}

func TestDirectoryOnAnotherFileSystem(t *testing.T) {
	file := newFile(t)
	file.grow(t, 1000)
	target := filepath.Join(t.TempDir(), "a.ogg")

	require.NoError(t, copyTo(file.Name(), target))
	stored, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, file.content, stored)

	file.grow(t, 1)
	require.ErrorIs(t, copyTo(file.Name(), target), os.ErrExist)
	left, err := os.ReadDir(filepath.Dir(target))
	require.NoError(t, err)
	require.Len(t, left, 1, "no copies stay behind")
}

func TestDirectoryRefusesAnEmptyFile(t *testing.T) {
	_, _, err := (&Directory{Root: t.TempDir()}).Begin(newFile(t).Name(), "a.ogg", "ogg").Finish(t.Context())
	require.ErrorIs(t, err, ErrEmpty)
}
