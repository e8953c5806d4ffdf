package recording

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
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
			c.task(c.letGo)
		case Arm:
			c.timers.arm(e.Timer, e.After)
		case Disarm:
			c.timers.disarm(e.Timer)
		case Adopt:
			c.adopt(e.Grant)
		case Watch:
			c.watch.on, c.watch.fast = true, e.Fast
			c.look()
		case Rest:
			c.job.baton.Rest()
		case Wake:
			if !c.job.baton.Wake() { // others have taken the places meanwhile
				c.inbox.post(Relinquish{})
			}
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
	case Clear:
		c.clear()
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
		Alone:    c.job.baton.Alone(),
		At:       c.job.all.World.Now().UTC(),
	}
}

// lookFirst asks the ledger what it has of the recording, and this recorder whether it may have it.
func (c *course) lookFirst() {
	bid := c.theBid()
	c.task(func(ctx context.Context) {
		var found Looked
		err := insist(ctx, c.job.log, "look at the ledger", func(ctx context.Context) (err error) {
			found.Grant, err = c.job.all.World.Ledger.Look(ctx, bid)
			return err
		})
		if v := found.Grant.Verdict; err == nil && (v == ledger.Record || v == ledger.Close) {
			found.Elsewhere, err = c.turnedAway(ctx, bid, found.Grant.Suspicion)
		}
		c.answer(ctx, err, found)
	})
}

// turnedAway says whether a recording must not be carried out here. If it may, and its start has been received before,
// the ledger is told before anything of it gets here: recorders may have died of it before they could claim it. If it
// must not, that is known before the bucket is asked for more: it may be slow, and recording begins without it.
func (c *course) turnedAway(ctx context.Context, bid ledger.Bid, suspicion ledger.Suspicion) (away bool, err error) {
	if suspicion.Quarantined {
		c.job.log.WithField("pause", suspicion.Pause.String()).Error("recorders keep dying of this recording: it is tried " +
			"again, alone, after pauses that get longer")
	}
	if !c.job.baton.Admit(suspicion) {
		c.job.log.WithField("company", suspicion.Company).Warn("recorders may have died of this recording, or of what is " +
			"here: it is left to others for now")
		return true, nil
	}
	if suspicion.Company > 0 {
		c.job.log.WithField("company", suspicion.Company).Warn("recorders may have died of this recording: few others may " +
			"be with it")
	}
	if c.job.baton.Receives() < 2 && suspicion.Company == 0 {
		return false, nil
	}

	c.shared.tried.Store(true)
	bid.Alone = c.job.baton.Alone()
	return false, insist(ctx, c.job.log, "note attempt", func(ctx context.Context) error {
		return c.job.all.World.Ledger.Try(ctx, bid)
	})
}

// clear ends the suspicion, first in the ledger: once this recorder has others again, it may die of them. But others do
// not wait until the bucket is back.
func (c *course) clear() {
	c.insisting("clear recording of suspicion", func(ctx context.Context) error {
		defer c.job.baton.Clear()
		ctx, cancel := context.WithTimeout(ctx, clearTimeout)
		defer cancel()
		if err := c.job.all.World.Ledger.Clear(ctx, c.job.start, c.job.attempt); err != nil {
			return err
		}
		c.job.log.Info("recording is no longer suspected: this recorder lives")
		return nil
	})
}

// clearTimeout bounds one try to tell the ledger that a suspect lives.
const clearTimeout = 10 * time.Second

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
	bidding, cancel := context.WithCancel(c.tasks.ctx)
	c.watch.bid = cancel
	c.shared.tried.Store(true)
	bid, own, wanted := c.theBid(), c.papers.recording, c.papers.wanted
	c.task(func(context.Context) {
		ctx := bidding
		defer cancel()
		answer := granted{recording: own}
		err := insist(ctx, c.job.log, "claim recording", func(ctx context.Context) (err error) {
			bid.Message = c.job.baton.Message() // may have gone to somebody else since the last try
			answer.Grant, err = c.job.all.World.Ledger.Bid(ctx, bid)
			return err
		})
		c.tellUnaware(answer.Grant)
		if err == nil && !answer.Grant.Verdict.Refused() {
			err = insist(ctx, c.job.log, "reserve file name", func(ctx context.Context) (err error) {
				answer.recording, err = c.job.documents.Reserve(ctx, c.reserving(own, answer.Grant), wanted)
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

// tellUnaware tells the recorder that had the recording that it has lost it, and those that have recordings of the same
// participant that have been stopped: should they live, and not know, they would go on beside this one for a while.
func (c *course) tellUnaware(g ledger.Grant) {
	for id, owner := range g.Unaware {
		c.task(func(ctx context.Context) {
			if err := c.job.all.tell(ctx, c.job.start.Room, owner, id); err != nil && ctx.Err() == nil {
				c.job.log.WithError(err).WithField("recorder", owner).
					Info("recorder could not be told, and will learn of it from the ledger")
			}
		})
	}
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
	c.shared.unnamed.Store(0)
}

// note writes down on the disk what lies there. It makes the directory, too.
func (c *course) note() error {
	known := c.papers.recording
	return c.job.directory.Make(scratch.Note{Start: c.job.start, File: known.File, Epoch: known.Epoch})
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
		metrics.StartsRefused.With(refusal(reason)).Inc()
		c.inbox.post(Dismissed{})
		return nil
	})
}

// tell sends notices of the recording's end on their way; and of its beginning, unless somebody is known to have done
// so: its owner may have come no further. Whoever delivers them sees whether it had begun at all.
func (c *course) tell() {
	ended, noted := c.papers.recording, c.papers.noted
	begun := c.job.all.World.tellsBegun(c.job.start) && !noted.before && noted.began.IsZero()
	c.insisting("send notices of the recording's end", func(ctx context.Context) error {
		if begun {
			if err := c.tellBegun(ctx, ended); err != nil {
				return err
			}
		}
		if err := c.job.all.World.Tell(ctx, ended); err != nil {
			return err
		}
		c.inbox.post(Told{})
		return nil
	})
}
