package metrics

import (
	"sync/atomic"
	"time"
)

// Loop is one of the loops without which a recorder is no use. Whoever runs it says so each time it turns.
type Loop struct {
	Name string
	last atomic.Int64 // when it last turned, in nanoseconds; 0: it does not run
}

// The loops.
var (
	// Renewing holds the start messages of what is recorded. Should it be stuck, others take them.
	Renewing = &Loop{Name: "renewing of messages"}
	// Controls takes stops and notices off their queue.
	Controls = &Loop{Name: "polling of the control queue"}
	// Disk measures the scratch space.
	Disk = &Loop{Name: "measuring of the disk"}
	// Overview looks at all recordings.
	Overview = &Loop{Name: "overview of recordings"}
)

var loops = []*Loop{Renewing, Controls, Disk, Overview}

// Turn says that the loop turns.
func (l *Loop) Turn() { l.last.Store(time.Now().UnixNano()) }

// End says that it is over: the recorder shuts down.
func (l *Loop) End() { l.last.Store(0) }

// Stuck returns the names of the loops that have not turned for so long, although they run.
func Stuck(limit time.Duration) (names []string) {
	for _, l := range loops {
		if last := l.last.Load(); last != 0 && time.Since(time.Unix(0, last)) > limit {
			names = append(names, l.Name)
		}
	}
	return names
}
