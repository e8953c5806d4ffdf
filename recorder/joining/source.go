package joining

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/upload"
)

const (
	// patience is how long the bucket, or the disk, is waited for at one point. The whole takes as long as it takes: that
	// depends on the size.
	patience = 10 * time.Minute
	// readTimeout bounds the reading of one chunk of so many bytes.
	readTimeout = time.Minute
	chunkSize   = 4 << 20
	// spaceInterval is the time between two looks whether there is space.
	spaceInterval = 5 * time.Second
)

// errStuck says that the bucket, or the disk, could not be used for long.
var errStuck = errors.New("nothing moves")

// stored is a file in the bucket, as it is now.
type stored struct {
	name string
	size int64
	tag  string
}

// source reads a stored file, mostly from its beginning to its end.
type source struct {
	ctx    context.Context
	joiner *Joiner
	file   stored
	pace   func(context.Context) error // is asked before each chunk; nil lets it be read as fast as it goes

	chunk  []byte
	offset int64 // of the chunk in the file
}

// ReadAt implements [io.ReaderAt].
func (s *source) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		inside := offset - s.offset
		if inside < 0 || inside >= int64(len(s.chunk)) {
			if err := s.next(offset); err != nil {
				return n, err
			}
			inside = 0
		}
		copied := copy(p[n:], s.chunk[inside:])
		n, offset = n+copied, offset+int64(copied)
	}
	return n, nil
}

// next reads the chunk that begins at an offset.
func (s *source) next(offset int64) error {
	if offset >= s.file.size {
		return io.EOF
	}
	if s.pace != nil {
		if err := s.pace(s.ctx); err != nil {
			return err
		}
	}

	if s.chunk == nil {
		s.chunk = make([]byte, 0, min(chunkSize, s.file.size))
	}
	chunk := s.chunk[:min(int64(cap(s.chunk)), s.file.size-offset)]
	s.chunk = nil // should it fail, there is none
	err := s.joiner.insist(s.ctx, "read "+s.file.name, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		return s.joiner.Storage.Read(ctx, s.file.name, s.file.tag, chunk, offset)
	})
	if err != nil {
		return err
	}
	s.chunk, s.offset = chunk, offset
	return nil
}

// insist tries something until it succeeds, or is hopeless, or [errStuck].
func (j *Joiner) insist(ctx context.Context, what string, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	err := retry.Until(bounded, j.Log, what, do, upload.ErrNotFound, upload.ErrChanged, upload.ErrGone, upload.ErrEmpty)
	if err != nil && errors.Is(context.Cause(bounded), errStuck) {
		return errors.Join(errStuck, err)
	}
	return err
}

// awaitSpace waits until there are so many bytes on the disk.
func (j *Joiner) awaitSpace(ctx context.Context, bytes int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	for {
		usage, err := j.Disk.Measure(j.Work)
		if err != nil || usage.Free >= bytes {
			return nil // what cannot be measured shows when it is full
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d bytes on the disk: %w", bytes, context.Cause(ctx))
		case <-time.After(spaceInterval):
		}
	}
}
