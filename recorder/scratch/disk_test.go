package scratch

import (
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A part of hours would need its whole size on the disk, although nearly all of it is in the bucket.
func TestWhatIsReleasedTakesNoSpace(t *testing.T) {
	const size = 4 << 20
	directory := t.TempDir()
	path := filepath.Join(directory, "part1.webm")
	growing, err := OS{}.Create(path)
	require.NoError(t, err)
	_, err = growing.Write(make([]byte, size))
	require.NoError(t, err)
	before, err := OS{}.Measure(directory)
	require.NoError(t, err)
	require.GreaterOrEqual(t, before.Used, int64(size))

	file, err := OS{}.Open(path)
	require.NoError(t, err)
	defer file.Close()
	file.Release(0, size/2)
	after, err := OS{}.Measure(directory)
	require.NoError(t, err)
	require.InDelta(t, before.Used-size/2, after.Used, 1<<14)
	require.Positive(t, after.Free)
	require.Greater(t, after.Total, after.Free)

	_, err = growing.Write([]byte("end"))
	require.NoError(t, err)
	require.NoError(t, growing.Close())
	now, err := file.Size()
	require.NoError(t, err)
	require.EqualValues(t, size+3, now, "it still grows, and keeps its length")
	end := make([]byte, 3)
	_, err = file.ReadAt(end, size)
	require.NoError(t, err)
	require.Equal(t, "end", string(end))
}

func TestAFileIsWrittenInPlaceOfAnEarlierOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note.json")
	require.NoError(t, OS{}.Write(path, []byte("long and old")))
	require.NoError(t, OS{}.Write(path, []byte("new")))
	body, err := OS{}.Read(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(body))
	entries, err := OS{}.List(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")
	require.Equal(t, "note.json", entries[0].Name)
}

func TestWhatIsNotThereIsSaidSo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "file")
	_, err := OS{}.Open(missing)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = OS{}.Read(missing)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = OS{}.Lock(missing)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Error(t, OS{}.Write(missing, nil))
	_, err = OS{}.Measure(missing)
	require.Error(t, err)
}

// A closed file must not be taken for an empty one.
func TestTheSizeOfAClosedFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part1.webm")
	created, err := OS{}.Create(path)
	require.NoError(t, err)
	require.NoError(t, created.Close())
	file, err := OS{}.Open(path)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = file.Size()
	require.Error(t, err)
	_, err = file.ReadAt(make([]byte, 1), 0)
	require.NotErrorIs(t, err, io.EOF)
}

// A part that ends frees nothing at once: its file is still to be stored, and the others must not all end for it.
func TestOneRecordingEndsWhenTheLimitIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		s, _ := newSpace(directory, 1<<20)
		var ended atomic.Int32
		s.EndNewest = func() { ended.Add(1) }
		file := filepath.Join(directory, "part1.webm")
		go s.Run(t.Context())
		pass(interval)
		require.Zero(t, ended.Load())
		require.False(t, s.Full())

		require.NoError(t, os.WriteFile(file, make([]byte, 1<<20), 0o600))
		pass(10 * interval)
		require.EqualValues(t, 1, ended.Load())
		require.True(t, s.Full())

		require.NoError(t, os.WriteFile(file, make([]byte, 2<<20), 0o600))
		pass(interval)
		require.EqualValues(t, 2, ended.Load(), "it goes on growing")

		require.NoError(t, os.Remove(file))
		pass(interval)
		require.False(t, s.Full())
		require.NoError(t, os.Remove(directory))
		pass(interval)
		require.EqualValues(t, 2, ended.Load(), "what cannot be measured ends nothing")
	})
}

// pass lets time pass in a bubble of [synctest], and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
