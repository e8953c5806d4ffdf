package main

import (
	"context"
	"math"
	"runtime"
	"time"
)

const (
	// threadsInterval is how often the load is looked at.
	threadsInterval = time.Second
	// crowded is the share of the threads in use beyond which there are more, calm that of one less below which there is
	// one less after calmFor.
	crowded = 0.6
	calm    = 0.4
	calmFor = 5 * time.Second
)

// threads is how many threads the Go runtime runs at once. While one is enough, a second one only costs: each packet
// passes several goroutines of LiveKit's SDK, and whoever hands it on wakes a thread to take it, which finds nothing
// left to do. 20 people take a fifth of a processor; one thread takes a quarter less for them than two.
type threads struct {
	most, now int
	calm      time.Duration // for how long one less would have been enough
}

// newThreads begins with one.
func newThreads(processors float64) *threads {
	return &threads{most: int(math.Ceil(processors)), now: 1}
}

// next takes how many processors were in use lately, and returns how many threads there are to be.
func (t *threads) next(used float64) int {
	if used > crowded*float64(t.now) {
		t.now, t.calm = min(t.most, max(t.now, int(math.Ceil(used/crowded)))), 0
		return t.now
	}

	if t.calm += threadsInterval; used >= calm*float64(t.now-1) {
		t.calm = 0
	}
	if t.calm >= calmFor {
		t.now, t.calm = t.now-1, 0
	}
	return t.now
}

// Run has the runtime follow the load until ctx is done.
func (t *threads) Run(ctx context.Context) {
	runtime.GOMAXPROCS(t.now)
	ticker := time.NewTicker(threadsInterval)
	defer ticker.Stop()

	used, at := cpuTime(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}

		now, nowAt := cpuTime(), time.Now()
		before := t.now
		if wanted := t.next((now - used).Seconds() / nowAt.Sub(at).Seconds()); wanted != before {
			runtime.GOMAXPROCS(wanted) // which stops everything for some microseconds
		}
		used, at = now, nowAt
	}
}
