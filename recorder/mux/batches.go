package mux

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"livekit-recorder/recorder/track"
)

const (
	// batchTime is how long a frame waits at most until ffmpeg gets it. Each write wakes a process, each of whose threads
	// then wakes the next one: one write for each frame took half as much processor time as the receiving.
	batchTime = 400 * time.Millisecond
	// batchSize is how many bytes wait at most: what a pipe takes at once (pipe(7)).
	batchSize = 64 << 10
)

// errEnded says that nothing can be written any more.
var errEnded = errors.New("the file has been ended")

// batches collect what is written, and pass it on some times a second.
type batches struct {
	to io.WriteCloser // whose Write does not wait for ever

	mu      sync.Mutex // is held while something is passed on, and guards:
	waiting []byte
	due     *time.Timer // runs while something waits
	err     error       // why something could not be passed on; nothing is any more then
}

// newBatches must be followed by Close.
func newBatches(to io.WriteCloser) *batches {
	b := &batches{to: to}
	b.due = time.AfterFunc(time.Hour, func() { _ = b.Flush() }) // whoever writes next is told
	b.due.Stop()
	return b
}

// Write takes data, which is passed on after [batchTime] at most. The error may be that of data before it.
func (b *batches) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting)+len(data) > batchSize {
		b.flush()
	}
	if b.err != nil {
		return 0, b.err
	}

	if len(data) > batchSize {
		var n int
		n, b.err = b.to.Write(data)
		return n, b.err
	}
	if len(b.waiting) == 0 {
		b.due.Reset(track.UntilInstant(batchTime))
	}
	b.waiting = append(b.waiting, data...)
	return len(data), nil
}

// Flush passes on all that waits.
func (b *batches) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	return b.err
}

func (b *batches) flush() {
	if len(b.waiting) == 0 {
		return
	}
	b.due.Stop()
	if b.err == nil {
		_, b.err = b.to.Write(b.waiting)
	}
	b.waiting = b.waiting[:0]
}

// Close passes on all that waits, until ctx is done, and ends. The error is why something could not be passed on, now
// or before.
func (b *batches) Close(ctx context.Context) error {
	// Whoever writes holds the lock, for as long as nothing is taken: closing ends that.
	stop := context.AfterFunc(ctx, func() { _ = b.to.Close() }) // fails if it is closed already
	defer stop()

	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	lost := b.err
	b.err = errEnded
	_ = b.to.Close() // as above: nothing is lost by it
	return lost
}
