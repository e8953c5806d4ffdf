package hostile

import (
	"context"
	"maps"
	"sync"
	"time"

	"livekit-recorder/infra/local/stack"
)

// watchInterval is how often a recorder is looked at.
const watchInterval = time.Second

// Peak is the most that a recorder had at once.
type Peak struct {
	Memory int64 // bytes, resident, with its ffmpeg processes
	Files  int
	Parts  int // ffmpeg processes
}

// Dropped are the datagrams that the kernel has dropped because a program did not take them in time: those for the
// recorder are its own fault, those for the LiveKit server never reached it.
type Dropped struct{ Recorder, LiveKit int64 }

// watch looks at a recorder.
type watch struct {
	recorder *stack.Process
	liveKit  int // its process id

	dropped struct{ recorder, liveKit sockets }

	mu   sync.Mutex
	most Peak // since the last reset
	all  Peak // ever
}

func (w *watch) run(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look notes what there is now. A recorder that is gone has nothing: its log says so.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()

	recorder, ffmpeg, err1 := w.recorder.Usages()
	files, err2 := w.recorder.OpenFiles()
	children, err3 := w.recorder.Children()
	if err1 != nil || err2 != nil || err3 != nil {
		return
	}

	w.dropped.recorder.note(w.recorder.PID())
	w.dropped.liveKit.note(w.liveKit)

	now := Peak{Memory: recorder.Memory + ffmpeg.Memory, Files: files, Parts: len(children)}
	w.most, w.all = w.most.max(now), w.all.max(now)
}

func (p Peak) max(other Peak) Peak {
	return Peak{
		Memory: max(p.Memory, other.Memory),
		Files:  max(p.Files, other.Files),
		Parts:  max(p.Parts, other.Parts),
	}
}

// reset begins anew with [watch.peak].
func (w *watch) reset() {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = Peak{}
}

// peak is the most since the last reset.
func (w *watch) peak() Peak {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most
}

// lost is what has been dropped so far.
func (w *watch) lost() Dropped {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Dropped{Recorder: w.dropped.recorder.sum(), LiveKit: w.dropped.liveKit.sum()}
}

// sockets are how many datagrams each of a process's sockets has dropped so far, also of those that are closed.
type sockets map[string]int64

func (s *sockets) note(pid int) {
	now, err := stack.DroppedDatagrams(pid)
	if err != nil {
		return // it is gone
	}
	if *s == nil {
		*s = sockets{}
	}
	maps.Copy(*s, now)
}

func (s sockets) sum() (n int64) {
	for _, dropped := range s {
		n += dropped
	}
	return n
}

// ever is the most of all times.
func (w *watch) ever() Peak {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}
