package simulate

import (
	"io"
	"io/fs"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"livekit-recorder/recorder/scratch"

	"github.com/stretchr/testify/require"
)

func TestADiskOutlivesAKilledProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		first, second := newProcess("RR_1", "host0", over), newProcess("RR_2", "host0", over)
		d := newDisk()
		before, after := mount{d, first}, mount{d, second}
		require.NoError(t, before.MakeDirectory("/scratch/RR_1"))
		unlock, err := before.Lock("/scratch/RR_1/lock")
		require.NoError(t, err)
		require.NoError(t, before.Write("/scratch/RR_1/state.json", []byte("{}")))
		_, err = after.Lock("/scratch/RR_1/lock")
		require.ErrorIs(t, err, scratch.ErrLocked)

		first.kill()
		blocked := make(chan error)
		go func() { blocked <- before.Write("/scratch/RR_1/late", nil) }()
		synctest.Wait()
		_, err = after.Lock("/scratch/RR_1/lock")
		require.NoError(t, err, "its lock has ended with it")
		unlock()
		require.NoError(t, after.Rename("/scratch/RR_1", "/scratch/RR_2"))
		body, err := after.Read("/scratch/RR_2/state.json")
		require.NoError(t, err)
		require.Equal(t, "{}", string(body))
		require.Equal(t, []string{"/scratch/RR_2/lock", "/scratch/RR_2/state.json"}, d.names())

		close(over)
		require.ErrorIs(t, <-blocked, errDead)
	})
}

func TestReleasedSpaceReadsAsZeros(t *testing.T) {
	m := mount{newDisk(), newProcess("RR_1", "host0", nil)}
	_, err := m.Create("/scratch/none/x")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, m.MakeDirectory("/scratch"))
	out, err := m.Create("/scratch/x")
	require.NoError(t, err)
	_, err = out.Write([]byte("0123456789"))
	require.NoError(t, err)

	f, err := m.Open("/scratch/x")
	require.NoError(t, err)
	f.Release(2, 3)
	f.Release(4, 3)
	usage, err := m.Measure("/scratch")
	require.NoError(t, err)
	require.Equal(t, int64(5), usage.Used)
	all, err := io.ReadAll(io.NewSectionReader(f, 0, 10))
	require.NoError(t, err)
	require.Equal(t, "01\x00\x00\x00\x00\x00789", string(all))

	m.setFull(true)
	_, err = out.Write([]byte("more"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Error(t, m.Remove("/scratch"), "it is not empty")
	require.NoError(t, m.Remove("/scratch/x"))
	require.NoError(t, m.Remove("/scratch"))
}

func TestClocksOfMachinesDiffer(t *testing.T) {
	p := newProcess("RR_1", "host0", nil)
	p.setClock(10 * time.Second)
	require.WithinDuration(t, time.Now().Add(10*time.Second), p.now(), time.Second)
}
