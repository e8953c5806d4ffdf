package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
)

const (
	// patience is how long the bucket, or the disk, is waited for at one point of a file. The whole takes as long as it
	// takes: that depends on the size.
	patience = 30 * time.Minute
	// spaceInterval is the time between two looks whether there is space.
	spaceInterval = 5 * time.Second
	// readTimeout bounds the reading of one chunk, and largestChunk is how many bytes that has at most. They are in
	// memory.
	readTimeout  = time.Minute
	largestChunk = 4 << 20
	// repairTries is how often the repair of a file is begun, if others write or throw away the same object.
	repairTries = 4
)

// errStuck says that the bucket, or the disk, could not be used for so long that others get their turn first.
var errStuck = errors.New("nothing moves")

// Replacement is a repaired file on its way into the place of the object that it is made of.
type Replacement interface {
	// PartSize is how many bytes are uploaded at once.
	PartSize() int64
	// Advance uploads what the file has by now, but for less than a part, and gives its disk space back.
	Advance(ctx context.Context) error
	// Finish makes the object, of a file that nobody writes to any more, and returns its size.
	Finish(ctx context.Context) (size int64, err error)
	// Close gives up what has not become an object.
	Close(ctx context.Context, done bool) error
}

// replace repairs a stored file: the one with that tag. It streams from the bucket through ffmpeg into the bucket, so
// that the file may have any size.
//
// Whoever puts a repaired file in place of the object first has done it, for everybody who had read that object: the
// others notice, and look again.
func (r *Recovery) replace(ctx context.Context, part *document.Part, name string, found upload.Recovered) error {
	for try := 1; ; try++ {
		repaired, size, err := r.repair(ctx, *part, name, found)
		switch {
		case err == nil:
			part.Size = size
			r.describe(part, name, repaired)
			return nil
		case !errors.Is(err, upload.ErrChanged) && !errors.Is(err, upload.ErrGone):
			return err
		}

		again, lookErr := r.look(ctx, *part, name)
		if lookErr != nil {
			return errors.Join(err, lookErr)
		}
		before := found.Tag
		found, part.Size = again, again.Size
		if repaired.Length > 0 && found.Repaired == before { // by another recorder, of the same frames
			r.describe(part, name, repaired)
			return nil
		}
		if try == repairTries {
			return err
		}
	}
}

// describe says what a repaired file has, and what it has not.
func (r *Recovery) describe(part *document.Part, name string, repaired mux.Repaired) {
	part.Duration = repaired.Length.Seconds()
	if !repaired.Torn {
		return
	}

	missing := "a part of its middle is missing"
	if other := document.RestOf(name); other != name {
		missing = "a part of its middle is only in " + r.Storage.Key(other)
	}
	if part.Reason != "" {
		missing = part.Reason + "; " + missing
	}
	part.Reason = missing
}

// look finds the object as it is now.
func (r *Recovery) look(ctx context.Context, part document.Part, name string) (found upload.Recovered, err error) {
	err = r.insist(ctx, part, "look at file", func(ctx context.Context) (err error) {
		found, err = r.Storage.Recover(ctx, name, part.Container)
		return err
	})
	return found, err
}

// insist tries something until it succeeds, or is hopeless, or [errStuck].
func (r *Recovery) insist(ctx context.Context, part document.Part, what string,
	do func(context.Context) error) error {
	bounded, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	err := retry.Until(bounded, r.Log.WithField("key", part.Key), what, do,
		upload.ErrNotFound, upload.ErrChanged, upload.ErrGone, upload.ErrEmpty)
	return stuck(bounded, err)
}

// stuck adds to an error that it came of waiting for too long.
func stuck(bounded context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(bounded), errStuck) {
		return errors.Join(errStuck, err)
	}
	return err
}

// repair makes a whole file of an object that nobody has closed, and puts it in that one's place. It tells of
// the file even if the latter has failed.
func (r *Recovery) repair(ctx context.Context, part document.Part, name string, found upload.Recovered) (
	made mux.Repaired, size int64, err error) {
	repaired := filepath.Join(r.Work, "repaired."+part.Container) // there is one at a time
	defer func() { _ = r.Disk.Remove(repaired) }()                // whatever has become of it

	var into Replacement
	err = r.insist(ctx, part, "begin to replace file", func(ctx context.Context) (err error) {
		into, err = r.Storage.Replace(ctx, repaired, name, part.Container, found.Tag)
		return err
	})
	if err != nil {
		return made, 0, err
	}
	defer func() {
		if closeErr := into.Close(ctx, err == nil); closeErr != nil {
			r.Log.WithError(closeErr).WithField("key", part.Key).Warn("upload of a repair stays until the next one")
		}
	}()

	made, err = r.Repair(ctx, &source{
		ctx:   ctx,
		r:     r,
		part:  part,
		name:  name,
		found: found,
		into:  into,
	}, repaired, part.Container)
	if err != nil && !r.space(2*into.PartSize()) { // which others have taken
		err = errors.Join(errStuck, err)
	}
	if err != nil {
		return made, 0, err
	}
	err = r.insist(ctx, part, "replace file", func(ctx context.Context) (err error) {
		size, err = into.Finish(ctx)
		return err
	})
	return made, size, err
}

// source reads an object for its repair, chunk by chunk. What the repair has written is uploaded in between: its file
// takes no more of the disk than some parts of the upload.
type source struct {
	ctx    context.Context
	r      *Recovery
	part   document.Part
	name   string
	found  upload.Recovered
	into   Replacement
	offset int64  // of what has been read
	chunk  []byte // what is left of it
	buffer []byte
}

// Read implements [io.Reader].
func (s *source) Read(p []byte) (int, error) {
	if len(s.chunk) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.chunk)
	s.chunk = s.chunk[n:]
	return n, nil
}

// next reads a chunk when there is space for what will become of it.
func (s *source) next() error {
	left := s.found.Size - s.offset
	if left <= 0 {
		return io.EOF
	}
	if err := s.r.insist(s.ctx, s.part, "store what is repaired", s.into.Advance); err != nil {
		return err
	}
	if err := s.r.awaitSpace(s.ctx, 2*s.into.PartSize()); err != nil {
		return err
	}

	if s.buffer == nil {
		s.buffer = make([]byte, min(largestChunk, s.into.PartSize()))
	}
	chunk := s.buffer[:min(left, int64(len(s.buffer)))]
	err := s.r.insist(s.ctx, s.part, "read file", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		return s.r.Storage.Read(ctx, s.name, s.found.Tag, chunk, s.offset)
	})
	if err != nil {
		return err
	}
	s.chunk, s.offset = chunk, s.offset+int64(len(chunk))
	return nil
}

// awaitSpace waits until there are so many bytes on the disk: a disk that is full is so because files cannot be stored
// for the moment.
func (r *Recovery) awaitSpace(ctx context.Context, bytes int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	for !r.space(bytes) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d bytes on the disk: %w", bytes, context.Cause(ctx))
		case <-time.After(spaceInterval):
		}
	}
	return nil
}

// space says whether there are so many bytes on the disk, or that cannot be found out.
func (r *Recovery) space(bytes int64) bool {
	usage, err := r.Disk.Measure(r.Work)
	return err != nil || usage.Free >= bytes
}
