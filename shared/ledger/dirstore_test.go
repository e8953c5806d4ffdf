package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADirectoryWithoutAnything(t *testing.T) {
	d := &DirStore{Root: filepath.Join(t.TempDir(), "not made yet")}
	keys, err := d.List(t.Context(), ".recordings/room/x/", "", 10)
	require.NoError(t, err)
	require.Empty(t, keys)
	_, _, err = d.Get(t.Context(), "x.json")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = d.Put(t.Context(), "a/x.json", []byte("1"), "a tag of what is gone")
	require.ErrorIs(t, err, ErrConflict)
}

func TestAListEndsAtItsLimitAndAtItsPrefix(t *testing.T) {
	d := &DirStore{Root: t.TempDir()}
	for _, key := range []string{"a/1", "a/2", "a/b/3", "ab/4", "5"} {
		_, err := d.Put(t.Context(), key, []byte("x"), "")
		require.NoError(t, err)
	}
	keys, err := d.List(t.Context(), "a/", "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"a/1", "a/2", "a/b/3"}, keys)
	keys, err = d.List(t.Context(), "a/", "", 2)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	keys, err = d.List(t.Context(), "a", "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"a/1", "a/2", "a/b/3", "ab/4"}, keys)
}

// A list that goes on behind a name must leave nothing out, also where directories and names are in another order.
func TestAListGoesOnInTheOrderOfBytes(t *testing.T) {
	d := &DirStore{Root: t.TempDir()}
	for _, key := range []string{"x/a/1", "x/a-b/1", "x/a0", "x/a/2"} {
		_, err := d.Put(t.Context(), key, []byte("x"), "")
		require.NoError(t, err)
	}
	var all []string
	for after := ""; ; after = all[len(all)-1] {
		keys, err := d.List(t.Context(), "x/", after, 1)
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		all = append(all, keys...)
	}
	require.Equal(t, []string{"x/a-b/1", "x/a/1", "x/a/2", "x/a0"}, all)
}

// What stands in the way on the disk is neither "not there" nor "somebody else was first".
func TestWhatStandsInTheWayIsSaid(t *testing.T) {
	d := &DirStore{Root: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(d.Root, "file"), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(d.Root, "directory.json"), 0o700))
	for _, key := range []string{"directory.json", "file/x.json"} {
		_, err := d.Put(t.Context(), key, []byte("1"), "")
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrConflict)
		_, _, err = d.Get(t.Context(), key)
		require.NotErrorIs(t, err, ErrNotFound)
	}
}

// An object appears whole: what it is made of meanwhile must not be called like anything that somebody can ask for.
func TestNoNameStandsInTheWayOfAnObjectInTheMaking(t *testing.T) {
	d := &DirStore{Root: t.TempDir()}
	for _, key := range []string{"x.json.new/y.json", "x.json"} {
		_, err := d.Put(t.Context(), key, []byte("1"), "")
		require.NoError(t, err)
	}
}
