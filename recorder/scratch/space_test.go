package scratch

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

func newSpace(directory string, limit int64) (s *Space, ended *int) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	ended = new(int)
	return &Space{Disk: OS{}, Directory: directory, Limit: limit, EndNewest: func() { *ended++ }, Log: log}, ended
}

func TestSpaceIsMeasuredByTheNearerLimit(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(directory, "part1.webm"), make([]byte, 1<<20), 0o600))
	s, _ := newSpace(directory, math.MaxInt64)
	disk, err := s.measure()
	require.NoError(t, err)
	require.InDelta(t, 1<<20, s.Used(), 1<<14)
	require.LessOrEqual(t, disk.step, int64(maxReserve/4))

	s.Limit = 1<<20 + 1<<19
	limited, err := s.measure()
	require.NoError(t, err)
	require.InDelta(t, 1<<19, limited.bytes, 1<<14)
	require.EqualValues(t, s.Limit/2, limited.step)

	s.Directory = filepath.Join(directory, "gone")
	_, err = s.measure()
	require.Error(t, err)
}

func TestNewestRecordingsEndOneByOne(t *testing.T) {
	s, ended := newSpace(t.TempDir(), 100)
	next := int64(0)
	for _, c := range []struct {
		left  int64
		ended int
		full  bool
	}{
		{1, 0, false},
		{0, 1, true},
		{-49, 1, true}, // the others go on
		{-60, 2, true},
		{-100, 2, true},
		{10, 2, false},
		{-1, 3, true}, // full again
	} {
		next = s.keepWithin(left{bytes: c.left, step: 50}, next)
		require.Equal(t, c.ended, *ended, "%d left", c.left)
		require.Equal(t, c.full, s.Full(), "%d left", c.left)
	}
}
