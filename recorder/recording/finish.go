package recording

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/room"
	"livekit-recorder/shared/ledger"
)

// closePart ends the part. Its file is finished and uploaded while recording goes on.
func (c *composer) closePart(reason string) {
	p := c.part
	if p == nil {
		return
	}
	c.part = nil
	p.end()
	c.report(p)
	c.update(p.index, func(part *ledger.Part) { part.Reason = reason })
	c.finishing.Go(func() { c.finish(p) })
}

// finish runs on a context of its own: a recording that is stopped still gets its file.
func (c *composer) finish(p *openPart) {
	log := c.log.WithField("file", p.part.Path)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := p.part.Close(ctx)
	if err != nil {
		log.WithError(err).Error("ffmpeg failed, keeping what it wrote")
	} else if complaints := p.part.Complaints(); complaints != "" {
		log.WithField("ffmpeg", complaints).Warn("ffmpeg complained")
	}
	size, uploadErr := c.store(p.tail, log)
	whole := c.snapshot()[p.index]
	whole.Size = size
	if err != nil && uploadErr == nil {
		if err := c.repair(context.Background(), &whole, p.name); err != nil {
			log.WithError(err).Warn("file could not be given an index, it stays as it is")
		}
	}
	c.update(p.index, func(part *ledger.Part) {
		part.State, part.Size, part.Duration = ledger.Completed, whole.Size, whole.Duration
		if err != nil && part.Reason == "" {
			part.Reason = err.Error()
		}
		if uploadErr != nil {
			part.State, part.Reason = ledger.Failed, "upload failed: "+uploadErr.Error()
		}
	})
	switch {
	case uploadErr == nil:
		log.WithFields(logrus.Fields{"key": whole.Key, "bytes": size}).Info("part stored")
	case errors.Is(uploadErr, ledger.ErrSuperseded):
		log.Warn("part is stored by another recorder, its local file goes")
		_ = os.Remove(p.part.Path) // nobody needs it
	}
}

// store finishes the upload, and tries again when the SDK's own retries were not enough.
func (c *composer) store(tail Tail, log logrus.FieldLogger) (size int64, err error) {
	err = insist(context.Background(), log, "store part", func(ctx context.Context) (err error) {
		size, err = tail.Finish(ctx)
		return err
	})
	return size, err
}

func (c *composer) update(index int, change func(*ledger.Part)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.parts[index])
}

// snapshot returns the parts as they are at the moment.
func (c *composer) snapshot() []ledger.Part {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.parts)
}

// close places what is left, ends the part and waits until every file is stored.
func (c *composer) close(now time.Time) {
	c.advance(now, true)
	if c.part != nil && len(c.pending) > 0 {
		c.roll("audio began", nil) // it still waited for a key frame
	}
	c.closePart("")
	c.finishing.Wait()
	c.frames = interleaver[*room.Track]{}
}
