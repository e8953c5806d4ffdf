package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"livekit-recorder/recorder/guard"
)

// Finish uploads what is left of the file, which nobody writes to any more, and makes it appear in the bucket. It
// returns the name and the size in bytes of what has become of it. That is another name than was asked for,
// FILE.rest.EXT, if another recorder has made an object of a part of the file: then the whole is stored beside that
// one. Until Finish succeeds it may be called again; after that the local file, its note and what the journal has of
// it are gone.
// [ErrEmpty] says that the file has no bytes, [guard.ErrPanic] that the upload is broken.
func (u *Upload) Finish(ctx context.Context) (name string, size int64, err error) {
	u.while.cancel()
	<-u.while.done
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.Broken() {
		return "", 0, fmt.Errorf("store %s: %w", u.parts.key, guard.ErrPanic)
	}

	if u.made == nil {
		if u.made, err = u.store(ctx); err != nil {
			return "", 0, err
		}
	}

	if err := u.tidy(ctx); err != nil {
		return "", 0, err
	}
	return u.made.name, u.made.size, nil
}

// store makes an object of the file. When that fails, for whatever reason, it looks at what is in the bucket.
func (u *Upload) store(ctx context.Context) (*made, error) {
	size, err := u.size()
	if err != nil {
		return nil, err
	}
	if size == 0 && u.parts.bytes == 0 {
		return nil, fmt.Errorf("store %s: %w", u.parts.key, ErrEmpty)
	}
	// A machine that went down may have lost the end of a file that it had uploaded.
	size = max(size, u.parts.bytes)

	failed := u.makeObject(ctx, size, condition{})
	if failed == nil {
		return &made{name: u.name, size: size}, nil
	}
	there, gone, err := u.lookAround(ctx)
	switch {
	case err != nil:
		return nil, errors.Join(failed, err)
	case there.there:
		return u.superseded(ctx, size, there, gone)
	case !gone:
		return nil, failed
	case u.sent.released > 0:
		if err := u.staysAway(ctx); err != nil {
			return nil, err // the next call looks
		}
		return u.bereft(ctx)
	}

	// It was aborted, or its completion met another one's. The file is whole on the disk.
	u.forget()
	if err := u.makeObject(ctx, size, condition{}); err != nil {
		return nil, err // the next call looks
	}
	return &made{name: u.name, size: size}, nil
}

// lookAround finds what is in the bucket: an object, and whether the upload is gone.
func (u *Upload) lookAround(ctx context.Context) (there found, gone bool, err error) {
	there, err = u.s3.look(ctx, u.parts.key)
	if err != nil {
		return there, false, err
	}

	gone, err = u.parts.gone(ctx)
	if err != nil || !gone || there.there {
		return there, gone, err
	}

	// A completion, perhaps our own, may have ended between the two.
	there, err = u.s3.look(ctx, u.parts.key)
	return there, gone, err
}

// makeObject makes the object that the file is to become, if the condition holds.
func (u *Upload) makeObject(ctx context.Context, size int64, c condition) error {
	if u.sent.detached {
		if err := u.reattach(ctx); err != nil {
			return err
		}
	}

	if err := u.advance(ctx); err != nil {
		return err
	}
	if u.parts.id == "" {
		return u.s3.put(ctx, u.parts.object, c, io.NewSectionReader(u.file, 0, size), size)
	}

	// Part 1 before the last one: whoever completes an upload that has as many bytes as the file has all that is new in
	// it.
	if len(u.parts.parts) > 0 {
		if err := u.renewFirst(ctx); err != nil {
			return err
		}
	}
	if size > u.parts.bytes {
		if err := u.uploadNext(ctx, size-u.parts.bytes); err != nil {
			return err
		}
		u.release(0)
	}
	return u.parts.complete(ctx, c)
}

// renewFirst uploads part 1 again, if it has changed: ffmpeg patches it when it closes the file.
func (u *Upload) renewFirst(ctx context.Context) error {
	size, err := u.size()
	if err != nil {
		return err
	}
	if size < u.parts.bytes {
		return nil // the disk has lost something, and the bucket has not
	}

	sum, err := u.checksum(u.sent.first)
	if err != nil || sum == u.sent.checksum {
		return err
	}

	tag, err := u.parts.send(ctx, 1, io.NewSectionReader(u.file, 0, u.sent.first), u.sent.first)
	if err != nil {
		return err
	}
	u.parts.parts[0].ETag, u.sent.checksum = tag, sum
	return nil
}

// tidy removes what is not needed any more once the file is in the bucket.
func (u *Upload) tidy(ctx context.Context) error {
	if u.sent.strays {
		if err := u.s3.abortAll(ctx, u.parts.key); err != nil {
			return err
		}
		u.sent.strays = false
	}

	if err := u.s3.keeper().drop(ctx, u.name); err != nil {
		return err
	}
	if err := u.s3.discard(ctx, u.name, u.left); err != nil {
		return err
	}
	u.left = nil

	if u.file != nil {
		_ = u.file.Close() // only read from
		u.file = nil
	}
	// The note goes last: a file without one is taken for a whole one.
	for _, path := range []string{u.path, notePath(u.path)} {
		if err := u.s3.Disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove uploaded file: %w", err)
		}
	}
	return nil
}
