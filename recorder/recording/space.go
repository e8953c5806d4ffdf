package recording

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// errScratchFull ends the newest recording when uploads are so far behind that the scratch space is used up.
var errScratchFull = errors.New("the scratch space is used up: files cannot be stored as fast as they grow")

const (
	// scratchInterval is how often the scratch space is measured.
	scratchInterval = 2 * time.Second
	// maxReserve is how many bytes of the scratch disk are kept free at most, a twentieth of a smaller one: what runs must
	// not fail for want of space.
	maxReserve = 128 << 20
)

// space is what a recorder has of its scratch disk, in bytes.
type space struct {
	used int64 // by its growing files
	left int64 // negative beyond the limit, or within the reserve
	step int64 // each further step ends one more recording
}

// ScratchUsed is how many bytes this recorder's growing files take on the disk: what has been stored already does not count.
func (s *Studio) ScratchUsed() int64 { return s.used.Load() }

// HasSpace says whether there is scratch space for another recording.
func (s *Studio) HasSpace() bool { return !s.full.Load() }

// WatchScratch keeps within ScratchLimit, and some of the disk free, until ctx is done: when the bucket is away for long,
// the newest recording ends, so that the others go on; one more when they have taken half of the limit again, or a quarter
// of what was kept free.
func (s *Studio) WatchScratch(ctx context.Context) {
	ticker := time.NewTicker(scratchInterval)
	defer ticker.Stop()
	next := int64(0) // what may be left before one more has to end
	for {
		if now, err := measure(s.Scratch, s.ScratchLimit); err != nil {
			s.Log.WithError(err).Warn("scratch space could not be measured")
		} else {
			next = s.keepWithin(now, next)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// keepWithin ends the newest recording if no more than next is left, and returns what may be left before the next one has to.
func (s *Studio) keepWithin(now space, next int64) int64 {
	s.used.Store(now.used)
	if full := now.left <= 0; s.full.Swap(full) != full {
		s.Log.WithFields(logrus.Fields{"used": now.used, "left": now.left, "full": full}).Warn("scratch space: whether starts are taken has changed")
	}
	switch {
	case now.left > 0:
		return 0
	case now.left > next:
		return next
	}
	s.endNewest(now)
	return now.left - now.step
}

// measure measures a scratch directory, by a limit (0: none) and by its disk, whichever is nearer.
func measure(directory string, limit int64) (space, error) {
	now := space{used: allocated(directory)}
	var disk unix.Statfs_t
	if err := unix.Statfs(directory, &disk); err != nil {
		return now, err
	}
	reserve := min(int64(disk.Blocks)*disk.Bsize/20, maxReserve)
	now.left, now.step = int64(disk.Bavail)*disk.Bsize-reserve, reserve/4
	if left := limit - now.used; limit > 0 && left < now.left {
		now.left, now.step = left, limit/2
	}
	return now, nil
}

// allocated is how much the files below a directory take, without their holes.
func allocated(directory string) (bytes int64) {
	_ = filepath.WalkDir(directory, func(path string, _ os.DirEntry, _ error) error { // what goes meanwhile does not count
		var stat unix.Stat_t
		if unix.Lstat(path, &stat) == nil {
			bytes += stat.Blocks * 512
		}
		return nil
	})
	return bytes
}

// endNewest ends the recording that began last, of those that go on.
func (s *Studio) endNewest(now space) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest *take
	for _, t := range s.running {
		if t.end != nil && !t.squeezed && (newest == nil || t.began.After(newest.began)) {
			newest = t
		}
	}
	if newest != nil {
		newest.squeezed = true
		newest.log.WithFields(logrus.Fields{"used": now.used, "left": now.left}).Error(errScratchFull.Error())
		newest.end(errScratchFull)
	}
}
