package recording

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// perform does what [step] says.
func (c *course) perform(effects []Effect) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case Join:
			c.feed.join()
		case Leave:
			c.feed.leaveRoom()
		case Discard:
			c.discard = true
		case CloseParts:
			c.feed.close(c.tasks.ctx, e.Linger)
		case Mark:
			c.feed.mark()
		case Arm:
			c.timers.arm(e.Timer, e.After)
		case Disarm:
			c.timers.disarm(e.Timer)
		case Adopt:
			c.adopt(e.Grant)
		case Watch:
			c.watch.on, c.watch.fast = true, e.Fast
			c.look()
		default:
			c.performSlowly(e)
		}
	}
}

// performSlowly begins what takes time, and is answered by an event.
func (c *course) performSlowly(effect Effect) {
	switch e := effect.(type) {
	case Look:
		c.lookFirst()
	case Bid:
		c.bid()
	case Offer:
		c.offer()
	case Recover:
		c.recover(e)
	case Conclude:
		c.conclude()
	case Yield:
		c.yield()
	case Dismiss:
		c.dismiss(e.Reason)
	case Tell:
		c.tell()
	case End: // [course.run] sees it
	}
}

// theBid is what this recorder bids for the recording at the moment.
func (c *course) theBid() ledger.Bid {
	return ledger.Bid{
		Start:    c.job.start,
		Owner:    c.job.all.Names.Recorder,
		Attempt:  c.job.attempt,
		Message:  c.job.baton.Message(),
		Recorded: c.state.Recorded(),
		Leaving:  c.state.Leaving,
		At:       c.job.all.World.Now().UTC(),
	}
}

func (c *course) lookFirst() {
	bid := c.theBid()
	c.task(func(ctx context.Context) {
		var grant ledger.Grant
		err := insist(ctx, c.job.log, "look at the ledger", func(ctx context.Context) (err error) {
			grant, err = c.job.all.World.Ledger.Look(ctx, bid)
			return err
		})
		c.answer(ctx, err, Looked{grant})
	})
}

// answer posts an event, or that the ledger cannot be used.
func (c *course) answer(ctx context.Context, err error, e Event) {
	switch {
	case err == nil:
		c.inbox.post(e)
	case ctx.Err() == nil:
		c.job.log.WithError(err).Error("what the bucket has of this recording cannot be used")
		c.inbox.post(BidFailed{err})
	}
}

// bid asks for the recording, and for its file name, until there is an answer. It takes the place of an earlier bid.
func (c *course) bid() {
	c.watch.bid()
	ctx, cancel := context.WithCancel(c.tasks.ctx)
	c.watch.bid = cancel
	bid, own, wanted := c.theBid(), c.papers.recording, c.papers.wanted
	c.tasks.wg.Go(func() {
		defer cancel()
		answer := granted{recording: own}
		err := insist(ctx, c.job.log, "claim recording", func(ctx context.Context) (err error) {
			answer.Grant, err = c.job.all.World.Ledger.Bid(ctx, bid)
			return err
		})
		if err == nil && !answer.Grant.Verdict.Refused() {
			err = insist(ctx, c.job.log, "reserve file name", func(ctx context.Context) (err error) {
				answer.recording, err = c.job.all.World.Documents.Reserve(ctx, c.reserving(own, answer.Grant), wanted)
				return err
			})
		}
		if !answer.Grant.Began.IsZero() {
			answer.Elapsed = max(1, c.job.all.World.Now().Sub(answer.Grant.Began))
		}
		if err == nil {
			c.job.log.WithFields(logrus.Fields{
				"verdict": answer.Grant.Verdict,
				"epoch":   answer.Grant.Epoch,
			}).Info("start received")
		}
		c.answer(ctx, err, answer)
	})
}

// reserving is the document that reserves the file name, if there is none yet. It belongs to whoever owns the
// recording.
func (c *course) reserving(own document.Recording, g ledger.Grant) document.Recording {
	if g.Verdict == ledger.Extra {
		return own.Owned("", own.Bucket, 0)
	}
	return own.Owned(own.Recorder, own.Bucket, g.Epoch)
}

// adopt gives this recorder's parts their names. Should it be killed, the next one on this disk must know them.
func (c *course) adopt(g ledger.Grant) {
	c.papers.recording = c.papers.recording.Owned(c.job.all.Names.Recorder, c.job.all.Names.Bucket, g.Epoch)
	if len(c.papers.own) > 0 {
		if err := c.note(); err != nil {
			c.job.log.WithError(err).Warn("what lies on the disk could not be noted there")
		}
	}
	c.feed.name(c.papers.recording.File, g.Epoch)
}

// note writes down on the disk what lies there. It makes the directory, too.
func (c *course) note() error {
	known := c.papers.recording
	return c.job.directory.Make(scratch.Note{Start: c.job.start, File: known.File, Epoch: known.Epoch})
}

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
	world := c.job.all.World
	if h == ownParts {
		_, err := world.Documents.Amend(ctx, now, own)
		return err
	}

	if seen.news() {
		if err := world.Ledger.Seen(ctx, now, seen.session, seen.began); err != nil {
			return err
		}
	}
	err := world.Documents.Save(ctx, now)
	if errors.Is(err, document.ErrSuperseded) {
		c.inbox.post(lookAgain{})
		_, err = world.Documents.Amend(ctx, now, own)
	}
	return err
}

// amend writes what has become of another recorder's part, once: somebody else may know more of it later.
func (c *course) amend(part document.Part) {
	now := c.papers.current()
	c.tasks.writes.post(func(ctx context.Context) {
		err := insist(ctx, c.job.log, "amend document", func(ctx context.Context) error {
			_, err := c.job.all.World.Documents.Amend(ctx, now, []document.Part{part})
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
	now, how, unrecordable := c.papers.current(), c.state.Ending, c.state.Unrecordable
	var known []string
	if how.Gone {
		known = append([]string{}, c.state.Sessions...)
	}
	c.tasks.writes.post(func(ctx context.Context) {
		closing := ledger.NotOurs
		err := insist(ctx, c.job.log, "conclude recording", func(ctx context.Context) error {
			final, err := c.job.all.World.Documents.Conclude(ctx, now, how.Reason, unrecordable)
			if err != nil {
				return err
			}
			closing, err = c.job.all.World.Ledger.Close(ctx, final, known)
			c.job.log.WithFields(logrus.Fields{
				"state":  final.State,
				"reason": final.Reason,
				"parts":  len(final.Parts),
			}).Info("recording ended")
			return err
		})
		switch {
		case errors.Is(err, document.ErrUnfinished):
			c.inbox.post(Unfinished{})
		case err == nil || hopeless(err):
			c.inbox.post(Concluded{closing})
		}
	})
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
			return err
		})
		if err == nil || hopeless(err) {
			c.inbox.post(yielded{standing.Message})
		}
	})
}

// dismiss writes down that nothing has come of the start.
func (c *course) dismiss(reason string) {
	own := c.papers.recording
	c.insisting("dismiss recording", func(ctx context.Context) error {
		if c.job.start.Session == "" { // asked for over REST: the caller knows its id, whose noting may still be under way
			if err := c.job.all.World.Documents.Request(ctx, own); err != nil {
				return err
			}
		}
		if err := c.job.all.World.Documents.Dismiss(ctx, own.ID, reason); err != nil {
			return err
		}
		c.job.log.WithField("reason", reason).Info("start dismissed")
		c.inbox.post(Dismissed{})
		return nil
	})
}

// tell tells the receivers of notices, until all of them know.
func (c *course) tell() {
	c.job.baton.Rest()
	id := c.papers.recording.ID
	c.insisting("tell of the recording's end", func(ctx context.Context) error {
		final, err := c.job.all.World.Documents.ByID(ctx, id)
		switch {
		case errors.Is(err, ledger.ErrNotFound): // there is nothing to tell of
		case err != nil:
			return err
		default:
			if err := c.job.all.World.Tell(ctx, final); err != nil {
				return err
			}
		}
		c.inbox.post(Told{})
		return nil
	})
}
