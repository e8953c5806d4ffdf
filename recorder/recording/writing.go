package recording

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// write writes to the bucket, one thing after the other: an older document must not come after a newer one.
func (c *course) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.tasks.writes.C:
			for _, do := range c.tasks.writes.take() {
				do(ctx)
			}
		}
	}
}

// save writes the document, if it is due, and tells the ledger what has been seen.
func (c *course) save() {
	now := c.papers.current()
	if !c.papers.due(now) || c.state.Phase == Concluding || c.state.Phase == Over {
		return
	}
	c.papers.saving, c.papers.last, c.papers.lastAt = true, now, time.Now()
	seen, own, hold := c.papers.unseen(), c.papers.ours(), c.papers.hold
	if len(now.Parts) == 0 && c.tellsBegun(seen) { // with the first part: whoever is told looks at the document
		seen.began, c.papers.noted.began = time.Time{}, time.Time{}
	}
	c.tasks.writes.post(func(ctx context.Context) {
		err := c.saveNow(ctx, hold, now, own, seen)
		if err != nil && ctx.Err() == nil {
			c.job.log.WithError(err).Warn("document could not be saved, will be tried again")
		}
		c.inbox.post(saved{err == nil})
	})
}

// saveNow writes the document; if it is another recorder's, only what it says of this one's parts.
func (c *course) saveNow(ctx context.Context, h hold, now document.Recording, own []document.Part,
	seen sighting) error {
	if h == ownParts {
		amended, err := c.job.documents.Amend(ctx, now, own)
		if err == nil && amended.Final() { // whoever has made it that does not know of these parts
			c.job.all.World.Recovery.Tag(ctx, amended, own...)
		}
		return err
	}

	// Whoever is told of a beginning looks at the document; and what the ledger knows of, nobody is told of any more.
	tells := c.tellsBegun(seen)
	if !tells {
		if err := c.noteSeen(ctx, now, seen); err != nil {
			return err
		}
	}
	err := c.job.documents.Save(ctx, now)
	if errors.Is(err, document.ErrSuperseded) {
		c.inbox.post(lookAgain{})
		_, err = c.job.documents.Amend(ctx, now, own)
	}
	if err == nil && tells {
		if err = c.tellBegun(ctx, now); err == nil {
			err = c.noteSeen(ctx, now, seen)
		}
	}
	return err
}

// noteSeen tells the ledger what it does not know yet.
func (c *course) noteSeen(ctx context.Context, now document.Recording, seen sighting) error {
	if !seen.news() {
		return nil
	}
	return c.job.all.World.Ledger.Seen(ctx, now, seen.session, seen.began)
}

// tellTimeout bounds the telling of a beginning, for which the document waits.
const tellTimeout = 3 * time.Second

// tellsBegun says whether there is a beginning that nobody may have been told of.
func (c *course) tellsBegun(seen sighting) bool {
	return !seen.began.IsZero() && !seen.before && c.job.all.World.tellsBegun(c.job.start)
}

// tellsBegun says whether anybody wants to know of the beginning of what a start asks for.
func (w *World) tellsBegun(start command.Command) bool {
	return w.TellBegun != nil && (w.Awaited == nil || w.Awaited(document.NewRecording(start)))
}

// tellBegun sends notices of the recording's beginning on their way. The ledger is told of it behind that: whoever
// takes the recording over does so once more, unless the ledger knows. If it fails, it is tried again, with the whole
// write.
func (c *course) tellBegun(ctx context.Context, about document.Recording) error {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	if err := c.job.all.World.TellBegun(ctx, about); err != nil {
		return fmt.Errorf("send notices of the recording's beginning: %w", err)
	}
	return nil
}

// amend writes what has become of another recorder's part, once: somebody else may know more of it later.
func (c *course) amend(part document.Part) {
	now := c.papers.current()
	c.tasks.writes.post(func(ctx context.Context) {
		err := insist(ctx, c.job.log, "amend document", func(ctx context.Context) error {
			amended, err := c.job.documents.Amend(ctx, now, []document.Part{part})
			if err == nil && amended.Final() {
				c.job.all.World.Recovery.Tag(ctx, amended, part)
			}
			return err
		})
		if err != nil && ctx.Err() == nil {
			c.job.log.WithError(err).Error("what became of a part could not be written down")
		}
	})
}

// offer gives the start to other recorders. They must know that this one lives, or would take its part for a dead
// one's.
func (c *course) offer() {
	now, own, hold := drained(c.papers.current()), c.papers.ours(), c.papers.hold
	c.task(func(ctx context.Context) {
		if hold == all {
			bounded, cancel := context.WithTimeout(ctx, offerSave)
			if err := c.saveNow(bounded, hold, now, own, sighting{}); err != nil {
				c.job.log.WithError(err).Warn("document could not be saved before the recording is offered")
			}
			cancel()
		}
		if insist(ctx, c.job.log, "offer recording", c.job.baton.Offer) == nil {
			c.job.log.Info("recording is offered to other recorders")
		}
	})
}

// offerSave bounds the telling of others that this recorder lives, before it offers a recording to them.
const offerSave = 3 * time.Second

// drained is a document in which running parts are marked as those of a recorder that is about to end.
func drained(r document.Recording) document.Recording {
	r.Parts = slices.Clone(r.Parts)
	for n := range r.Parts {
		if r.Parts[n].State == document.Active {
			r.Parts[n].State = document.Draining
		}
	}
	return r
}

// conclude writes the final document, and tells the ledger.
func (c *course) conclude() {
	now, how := c.papers.current(), c.state.Ending
	decided := c.measured.decided
	var known []string
	if how.Gone {
		known = append([]string{}, c.state.Sessions...)
	}
	c.tasks.writes.post(func(ctx context.Context) {
		var closing ledger.Closing
		var final document.Recording
		err := insist(ctx, c.job.log, "conclude recording", func(ctx context.Context) (err error) {
			final, err = c.job.documents.Conclude(ctx, now, how.Reason)
			if err != nil {
				return err
			}
			c.job.all.World.Recovery.Tag(ctx, final, final.Parts...)
			closing, err = c.job.all.World.Ledger.Close(ctx, final, known)
			c.job.log.WithFields(logrus.Fields{
				"state":  final.State,
				"reason": final.Reason,
				"parts":  len(final.Parts),
			}).Info("recording ended")
			return err
		})
		if err == nil && closing == ledger.Closed {
			metrics.StopToStored.Observe(time.Since(decided))
			metrics.Ended.With(string(final.State), cause(final, how.Reason)).Inc()
		}
		switch {
		case errors.Is(err, document.ErrUnfinished):
			c.inbox.post(Unfinished{})
		case err == nil:
			c.inbox.post(Concluded{closing})
		case hopeless(err):
			c.inbox.post(Concluded{ledger.NotOurs})
		}
	})
}

// tellLate tells once more of a recording that had ended before this recorder could say what it has of it: its document
// has changed since.
func (c *course) tellLate(ctx context.Context, id string) error {
	there, err := c.job.documents.ByID(ctx, id)
	if err != nil || !there.Final() {
		return err
	}
	return c.job.all.World.Tell(ctx, there)
}

// yield writes what became of this recorder's parts into the document, and finds out who goes on.
func (c *course) yield() {
	now, own, hold := c.papers.current(), c.papers.ours(), c.papers.hold
	if c.state.Ending.Outcome == LeftToOwner {
		hold = ownParts
	}
	c.tasks.writes.post(func(ctx context.Context) {
		var standing ledger.Standing
		err := insist(ctx, c.job.log, "save document", func(ctx context.Context) (err error) {
			if err = c.saveNow(ctx, hold, now, own, sighting{}); err == nil {
				standing, err = c.job.all.World.Ledger.Standing(ctx, now)
			}
			if err == nil && hold == ownParts && len(own) > 0 {
				err = c.tellLate(ctx, now.ID)
			}
			return err
		})
		if err == nil || hopeless(err) {
			c.inbox.post(yielded{standing.Message})
		}
	})
}
