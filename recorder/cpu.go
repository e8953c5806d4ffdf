package main

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// cpuInterval is what the load of the processor is averaged over.
	cpuInterval = 5 * time.Second
	// busyCPU is the share of all processors beyond which this recorder takes no more starts: recordings that run need
	// what is left when many key frames come at once.
	busyCPU = 0.8
)

// cpuMeter measures how much of the processors that it may use this process does use. Its ffmpeg processes, which
// only copy, do not count.
type cpuMeter struct {
	processors float64
	share      atomic.Uint64 // bits of a float64, 0 to 1
}

// Share is the part of all processors that was used lately.
func (m *cpuMeter) Share() float64 { return math.Float64frombits(m.share.Load()) }

// Busy says that there is nothing to spare.
func (m *cpuMeter) Busy() bool { return m.Share() > busyCPU }

// Run measures until ctx is done.
func (m *cpuMeter) Run(ctx context.Context) {
	ticker := time.NewTicker(cpuInterval)
	defer ticker.Stop()
	used, at := cpuTime(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, nowAt := cpuTime(), time.Now()
		share := (now - used).Seconds() / nowAt.Sub(at).Seconds() / m.processors
		m.share.Store(math.Float64bits(share))
		used, at = now, nowAt
	}
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
