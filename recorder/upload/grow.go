package upload

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"livekit-recorder/recorder/guard"
)

func (u *Upload) run(ctx context.Context) {
	defer close(u.while.done)
	if guard.Run(u.log, "store a file while it grows", func() { u.keepUp(ctx) }) != nil {
		u.while.broken.Store(true)
	}
}

// keepUp stores what comes, until ctx is done.
func (u *Upload) keepUp(ctx context.Context) {
	polls := time.NewTicker(pollInterval)
	defer polls.Stop()

	for {
		select {
		case <-ctx.Done():
			return
		case <-polls.C:
		}

		// The SDK has retried by now; the file waits on disk, and the next round tries again.
		if err := u.do(ctx, u.grow); err != nil && ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
			u.log.WithError(err).Warn("upload is behind, will be tried again")
		}
	}
}

func (u *Upload) do(ctx context.Context, move func(context.Context) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()

	if u.made != nil {
		return nil
	}
	return move(ctx)
}

// grow uploads the parts that are whole, unless the upload is known to be lost.
func (u *Upload) grow(ctx context.Context) error {
	if time.Since(u.sent.lost) < lostPause {
		return nil
	}

	err := u.advance(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	u.note(err != nil)
	if err == nil {
		return nil
	}
	gone, asking := u.parts.gone(ctx)
	if asking != nil || !gone {
		return err
	}

	// With nothing released, and no object there, the upload can begin anew. Otherwise Finish decides what becomes of
	// it.
	if o, asking := u.s3.look(ctx, u.parts.key); asking == nil && !o.there && u.sent.released == 0 {
		u.forget()
		return err
	}
	u.sent.lost = time.Now()
	u.s3.keeper().lost(u.name)
	return err
}

// note tells the journal how far the parts have come, and whether the next one was refused.
func (u *Upload) note(refused bool) {
	u.s3.keeper().note(u.name, u.parts.bytes, u.s3.partSize(u.next()), refused)
}

// advance uploads every part that is whole.
func (u *Upload) advance(ctx context.Context) error {
	size, err := u.size()
	if err != nil {
		return err
	}

	for n := u.next(); n < maximumPart && size-u.parts.bytes >= u.s3.partSize(n); n = u.next() {
		before := u.parts.bytes
		if err := u.uploadNext(ctx, u.s3.partSize(n)); err != nil {
			return err
		}
		u.release(before)
		u.note(false)
	}
	return nil
}
