package scratch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
)

const (
	// interval is how often the scratch space is measured.
	interval = 2 * time.Second
	// maxReserve is how many bytes of the scratch disk are kept free at most, a twentieth of a smaller one: what runs
	// must not fail for want of space.
	maxReserve = 128 << 20
)

// Space keeps a recorder within its scratch space: when the bucket is away for long, the newest recording ends here,
// so that the others go on; one more when they have taken half of the limit again, or a quarter of what was kept
// free.
type Space struct {
	Disk Disk
	// Directory has the growing files; Limit is how many bytes they may take together, 0 is no limit but the disk's.
	Directory string
	Limit     int64
	// EndNewest ends the recording that began last, of those that go on.
	EndNewest func()
	Log       logrus.FieldLogger

	used atomic.Int64
	left atomic.Int64
	full atomic.Bool
}

// left is what is left of the space, in bytes.
type left struct {
	bytes int64 // negative beyond the limit, or within the reserve
	step  int64 // each further step ends one more recording
}

// Used is how many bytes the growing files take on the disk: what has been stored already does not count.
func (s *Space) Used() int64 { return s.used.Load() }

// Share is which part is taken of what the growing files may take.
func (s *Space) Share() float64 {
	used, free := float64(s.used.Load()), float64(max(0, s.left.Load()))
	if used == 0 {
		return 0
	}
	return used / (used + free)
}

// Full says that there is no space for another recording.
func (s *Space) Full() bool { return s.full.Load() }

// Run measures until ctx is done.
func (s *Space) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	defer metrics.Disk.End()
	next := int64(0) // what may be left before one more has to end
	for {
		metrics.Disk.Turn()
		if now, err := s.measure(); err != nil {
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

// measure measures by the limit and by the disk, and returns what is nearer.
func (s *Space) measure() (left, error) {
	usage, err := s.Disk.Measure(s.Directory)
	if err != nil {
		return left{}, err
	}
	s.used.Store(usage.Used)

	reserve := Reserve(usage)
	now := left{bytes: usage.Free - reserve, step: reserve / 4}
	if byLimit := s.Limit - usage.Used; s.Limit > 0 && byLimit < now.bytes {
		now = left{bytes: byLimit, step: s.Limit / 2}
	}
	s.left.Store(now.bytes)
	return now, nil
}

// Reserve is how many bytes of a disk are kept free.
func Reserve(usage Usage) int64 { return min(usage.Total/20, maxReserve) }

// keepWithin ends the newest recording if no more than next is left, and returns what may be left before the next one
// has to.
func (s *Space) keepWithin(now left, next int64) int64 {
	log := s.Log.WithFields(logrus.Fields{"used": s.used.Load(), "left": now.bytes})
	switch full := now.bytes <= 0; {
	case full && !s.full.Swap(true):
		log.Warn("scratch space is used up, no more starts are taken")
	case !full && s.full.Swap(false):
		log.Info("scratch space is free again, starts are taken")
	}

	switch {
	case now.bytes > 0:
		return 0
	case now.bytes > next:
		return next
	}
	log.Error("scratch space is used up, the newest recording is given to a recorder with space")
	s.EndNewest()
	return now.bytes - now.step
}
