package upload

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/scratch"
)

// faultyDisk has a fault in its code, and counts the files that are open.
type faultyDisk struct {
	scratch.OS
	faulty bool
	open   int
}

type countedFile struct {
	scratch.File
	disk *faultyDisk
}

func (d *faultyDisk) Open(path string) (scratch.File, error) {
	if d.faulty {
		panic("an index is out of range")
	}
	f, err := d.OS.Open(path)
	d.open++
	return countedFile{f, d}, err
}

func (f countedFile) Close() error {
	f.disk.open--
	return f.File.Close()
}

// growing begins to store a small file.
func growing(t *testing.T, disk *faultyDisk) (u *Upload, path string) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	path = filepath.Join(t.TempDir(), "part1.ogg")
	require.NoError(t, os.WriteFile(path, []byte("OggS"), 0o600))
	return (&S3{Disk: disk, Log: log}).Begin(path, "a/b.ogg", "ogg"), path
}

func TestAPanicWhileAFileGrowsLeavesItOnTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &faultyDisk{faulty: true}
		u, path := growing(t, disk)
		require.False(t, u.Broken())
		time.Sleep(2 * pollInterval)
		synctest.Wait()
		require.True(t, u.Broken())

		disk.faulty = false // what is known of the upload may be wrong all the same
		for range 2 {
			_, _, err := u.Finish(t.Context())
			require.ErrorIs(t, err, guard.ErrPanic)
		}
		u.Leave()
		require.FileExists(t, path)
		require.Zero(t, disk.open)
	})
}

func TestLeavingAFileEndsWhatGoesOnForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &faultyDisk{}
		u, path := growing(t, disk)
		time.Sleep(2 * pollInterval)
		synctest.Wait()
		require.Equal(t, 1, disk.open)
		u.Leave()
		require.Zero(t, disk.open)
		require.False(t, u.Broken())
		require.FileExists(t, path)
	}) // in which no goroutine may be left
}
