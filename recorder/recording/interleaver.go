package recording

import (
	"container/heap"
	"time"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
)

const (
	// patience is how long a frame waits for earlier ones of the other tracks. It is longer than a missing packet may
	// take, so that only a track that is silent makes others wait that long.
	patience = 1200 * time.Millisecond
	// syncPatience is the same while a track has begun whose first frames wait for their sender report.
	syncPatience = 8 * time.Second
)

// queued is a frame on its way into a part.
type queued struct {
	track *room.Track
	frame track.Frame
	at    time.Time // of arrival here
}

// interleaver brings the frames of all tracks into the order of their times. It is pure: time is passed in.
type interleaver struct {
	frames  frameHeap
	waiting map[*room.Track]int  // how many frames of each live track are queued
	syncing map[*room.Track]bool // tracks that have begun and not had a frame yet
}

func newInterleaver() *interleaver {
	return &interleaver{waiting: map[*room.Track]int{}, syncing: map[*room.Track]bool{}}
}

// begin notes a track whose frames will come.
func (i *interleaver) begin(t *room.Track) { i.waiting[t], i.syncing[t] = 0, true }

// end notes that no more frames of a track will come.
func (i *interleaver) end(t *room.Track) {
	delete(i.waiting, t)
	delete(i.syncing, t)
}

func (i *interleaver) push(t *room.Track, f track.Frame, now time.Time) {
	if _, live := i.waiting[t]; live {
		i.waiting[t]++
	}
	delete(i.syncing, t)
	heap.Push(&i.frames, queued{t, f, now})
}

// pop returns the next frame, if nothing earlier can still come (or all is true).
func (i *interleaver) pop(now time.Time, all bool) (queued, bool) {
	if len(i.frames) == 0 || !all && !i.ready(now) {
		return queued{}, false
	}
	q := heap.Pop(&i.frames).(queued)
	if _, live := i.waiting[q.track]; live {
		i.waiting[q.track]--
	}
	return q, true
}

func (i *interleaver) ready(now time.Time) bool {
	waited := now.Sub(i.frames[0].at)
	if len(i.syncing) > 0 {
		return waited >= syncPatience
	}
	if waited >= patience {
		return true
	}
	for _, n := range i.waiting {
		if n == 0 {
			return false
		}
	}
	return true
}

type frameHeap []queued

func (h frameHeap) Len() int           { return len(h) }
func (h frameHeap) Less(a, b int) bool { return h[a].frame.Time.Before(h[b].frame.Time) }
func (h frameHeap) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *frameHeap) Push(x any)        { *h = append(*h, x.(queued)) }
func (h *frameHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = queued{}
	*h = old[:len(old)-1]
	return last
}
