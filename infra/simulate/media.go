package simulate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"livekit-recorder/recorder/mux"
)

var errMuxer = errors.New("signal: killed")

// Muxer is ffmpeg on one machine, as a recorder uses it.
type Muxer struct {
	disk mount

	mu    sync.Mutex
	files []*MediaFile // open ones
}

// MediaFile is a media file that is being written.
type MediaFile struct {
	muxer *Muxer
	out   *opened

	mu   sync.Mutex
	end  time.Duration
	died bool // writing fails
	hung bool // nothing happens any more
	pipe int  // frames that the pipe has taken since
}

// pipeSize is how many frames a pipe takes that nobody reads from.
const pipeSize = 4

// Open begins a file.
func (m *Muxer) Open(name string, _ []mux.Stream) (*MediaFile, error) {
	out, err := m.disk.create(name)
	if err != nil {
		return nil, fmt.Errorf("open media file: %w", err)
	}
	if _, err := out.Write(header(0)); err != nil {
		return nil, fmt.Errorf("open media file: %w", err)
	}

	f := &MediaFile{muxer: m, out: out}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = append(m.files, f)
	return f, nil
}

// disturb has the process of one of the open files die or hang.
func (m *Muxer) disturb(dice *dice, hangs bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.files) == 0 {
		return false
	}
	f := m.files[dice.below(len(m.files))]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hung, f.died = f.hung || hangs, f.died || !hangs
	return true
}

// Write appends a frame.
func (f *MediaFile) Write(stream int, at time.Duration, key bool, data []byte) error {
	if err := f.out.process.alive(); err != nil {
		return err
	}
	died, hung := f.trouble()
	switch {
	case died:
		return fmt.Errorf("write media file: %w", errMuxer)
	case hung:
		return f.stuck()
	}

	f.mu.Lock()
	f.end = max(f.end, at+frameInterval)
	f.mu.Unlock()
	_, err := f.out.Write(record{stream, key, at, data}.encode())
	return err
}

// stuck writes into the pipe of a process that does not read it any more: when it is full, that fails after a while.
func (f *MediaFile) stuck() error {
	f.mu.Lock()
	f.pipe++
	full := f.pipe > pipeSize
	f.mu.Unlock()
	if !full {
		return nil
	}

	select {
	case <-time.After(mux.WriteTimeout):
	case <-f.out.process.over:
	}
	return fmt.Errorf("write media file: %w", errMuxer)
}

func (f *MediaFile) trouble() (died, hung bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.died, f.hung
}

// Close finishes the file, until ctx is done.
func (f *MediaFile) Close(ctx context.Context) error {
	if err := f.out.process.alive(); err != nil {
		return err
	}
	f.muxer.forget(f)
	died, hung := f.trouble()
	switch {
	case died:
		return fmt.Errorf("finish media file: %w", errMuxer)
	case hung:
		<-ctx.Done()
		return fmt.Errorf("finish media file: %w", ctx.Err())
	}

	if _, err := f.out.Write([]byte{trailer}); err != nil {
		return fmt.Errorf("finish media file: %w", err)
	}
	f.mu.Lock()
	end := f.end
	f.mu.Unlock()
	return f.out.patch(header(end))
}

// Complaints implements what the product asks of a file.
func (f *MediaFile) Complaints() string { return "" }

func (m *Muxer) forget(f *MediaFile) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, other := range m.files {
		if other == f {
			m.files = append(m.files[:n], m.files[n+1:]...)
			return
		}
	}
}
