package recording

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

func TestSpaceIsMeasuredByTheNearerLimit(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(directory, "part1.webm"), make([]byte, 1<<20), 0o600))
	disk, err := measure(directory, math.MaxInt64)
	require.NoError(t, err)
	require.InDelta(t, 1<<20, disk.used, 1<<14)
	require.LessOrEqual(t, disk.step, int64(maxReserve/4))
	limited, err := measure(directory, 1<<20+1<<19)
	require.NoError(t, err)
	require.InDelta(t, 1<<19, limited.left, 1<<14)
	require.EqualValues(t, (1<<20+1<<19)/2, limited.step)
	_, err = measure(filepath.Join(directory, "gone"), 0)
	require.Error(t, err)
}

func TestNewestRecordingsEndOneByOne(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := &Studio{Log: log, running: map[string]*take{}}
	ended := map[string]error{}
	for n, name := range []string{"oldest", "middle", "newest"} {
		s.running[name] = &take{began: time.Unix(int64(n), 0), log: log, end: func(cause error) { ended[name] = cause }}
	}
	s.running["not begun"] = &take{log: log}
	next := s.keepWithin(space{left: 1, step: 50}, 0)
	require.Empty(t, ended)
	require.True(t, s.HasSpace())
	next = s.keepWithin(space{left: 0, step: 50}, next)
	require.Equal(t, map[string]error{"newest": errScratchFull}, ended)
	require.False(t, s.HasSpace())
	next = s.keepWithin(space{left: -49, step: 50}, next)
	require.Len(t, ended, 1, "the others go on")
	next = s.keepWithin(space{left: -60, step: 50}, next)
	require.Contains(t, ended, "middle")
	next = s.keepWithin(space{left: -100, step: 50}, next)
	require.NotContains(t, ended, "oldest")
	next = s.keepWithin(space{left: 10, step: 50}, next)
	require.True(t, s.HasSpace())
	s.keepWithin(space{left: -1, step: 50}, next)
	require.Contains(t, ended, "oldest", "full again")
}
