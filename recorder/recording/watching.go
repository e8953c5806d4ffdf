package recording

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

const (
	// watchInterval is how often a recording checks that it is still wanted, and still ours, give or take a tenth. Whoever
	// stops it, or takes it over, tells it so at once: this is for when that gets lost.
	watchInterval = 30 * time.Second
	// doubtInterval is the same while something is in doubt, see [course.inDoubt].
	doubtInterval = 5 * time.Second
	// hooksTake is how long LiveKit's webhooks may take to arrive behind what they tell of (queued ones are dropped after
	// 30 s), and the commands that they become.
	hooksTake = time.Minute
	// fastInterval is the same while another recorder is about to go on with it.
	fastInterval = 500 * time.Millisecond
	// recoveryPatience is how long a part of a recorder that may be alive is waited for: it has been told that it has
	// lost the recording, or sees it after watchInterval and a tenth. Then it says that its part is about to end, for
	// which the bucket may take its time.
	recoveryPatience = 45 * time.Second
	// drainPatience is the same for a part of a recorder that shuts down: longer than ECS gives a task to stop (120 s at
	// most).
	drainPatience = 150 * time.Second
)

// watch is how the course looks at the ledger.
type watch struct {
	on, fast bool
	looking  bool          // a look is under way
	again    bool          // and one more is wanted
	failed   bool          // the last one
	at       time.Time     // when the last one began
	pause    time.Duration // until the next one, if nothing is in doubt
	moved    time.Time     // when somebody last came or went
	bid      context.CancelFunc
	recovery chan struct{} // closed when the newest recovery has ended
}

// lookIsDue says whether the ledger has not been looked at for too long.
func (c *course) lookIsDue() bool {
	since := time.Since(c.watch.at)
	return c.watch.fast || since >= c.watch.pause || since >= doubtInterval && c.inDoubt()
}

// inDoubt says that the ledger may say something else by now, without anybody having been able to tell: another
// recorder may have got the message; what is told comes by way of the room; and of somebody who is away, or has just
// come, the ledger may know that they are in another session.
func (c *course) inDoubt() bool {
	return c.watch.failed || c.job.baton.Message() == "" || !c.state.Connected || c.state.Presence != Present ||
		time.Since(c.watch.moved) < hooksTake
}

// looked is what a look at the ledger has found.
type looked struct {
	standing ledger.Standing
	follows  bool // another recorder's part runs
	err      error
}

// look looks at the ledger, unless a look is under way: then once more behind it.
func (c *course) look() {
	switch {
	case !c.watch.on || c.papers.recording.Epoch == 0:
		return
	case c.watch.looking:
		c.watch.again = true
		return
	}

	c.watch.looking, c.watch.at = true, time.Now()
	c.watch.pause = watchInterval*9/10 + rand.N(watchInterval/5)
	now, own, fast := c.papers.current(), c.papers.ours(), c.watch.fast
	c.task(func(ctx context.Context) {
		var found looked
		found.standing, found.err = c.job.all.World.Ledger.Standing(ctx, now)
		if fast && found.err == nil && found.standing.Holding == ledger.Lost {
			var there document.Recording
			there, found.err = c.job.all.World.Documents.ByID(ctx, now.ID)
			found.follows = follows(there, now.Epoch, own)
		}
		c.inbox.post(found)
	})
}

func (c *course) looked(found looked) {
	c.watch.looking, c.watch.failed = false, found.err != nil
	if c.watch.again {
		c.watch.again = false
		c.look()
	}
	if found.err != nil {
		if c.tasks.ctx.Err() == nil {
			c.job.log.WithError(found.err).Warn("ledger could not be read, recording goes on")
		}
		return
	}
	c.step(Stands{found.standing})
	if found.follows {
		c.step(SuccessorRuns{})
	}
}

// follows says whether another recorder goes on with a recording, or has ended it: a part of it runs that is neither
// ours nor older.
func follows(there document.Recording, epoch int, own []document.Part) bool {
	return there.Final() || there.Epoch > epoch && slices.ContainsFunc(there.Parts, func(p document.Part) bool {
		return p.State == document.Active && !slices.ContainsFunc(own, func(o document.Part) bool { return o.Key == p.Key })
	})
}

// sighting is what an owner tells the ledger.
type sighting struct {
	session string
	began   time.Time // when the first frame came
	before  bool      // another recorder has seen the first frame of all, and those who want to know were told of it
}

func (s sighting) news() bool { return s.session != "" || !s.began.IsZero() }

// unseen returns what the ledger has not been told yet.
func (p *papers) unseen() (s sighting) {
	if p.recording.Session != p.noted.session {
		s.session = p.recording.Session
	}
	if p.noted.began.IsZero() {
		s.began, p.noted.began = p.began, p.began
	}
	p.noted.session, s.before = p.recording.Session, p.noted.before
	return s
}

// recover finishes the parts of recorders that are gone, after an earlier such attempt has ended.
func (c *course) recover(e Recover) {
	before, done := c.watch.recovery, make(chan struct{})
	c.watch.recovery = done
	now := c.papers.current()
	c.task(func(ctx context.Context) {
		defer close(done)
		<-before
		if c.recoverParts(ctx, now, e) == nil {
			c.inbox.post(recovered{done})
		}
	})
}

// recoverParts finishes the parts that are not final, one after the other.
func (c *course) recoverParts(ctx context.Context, now document.Recording, e Recover) error {
	since := time.Now()
	parts, there, err := c.unfinished(ctx, now, e)
	if err != nil {
		return err
	}

	for _, part := range parts {
		if part, err = c.drained(ctx, now.ID, part, since); err != nil {
			return err
		}
		if part.State == document.Completed && !e.Unlisted {
			continue // by its own recorder
		}
		err = insist(ctx, c.job.log, "recover part", func(ctx context.Context) (err error) {
			part, err = c.job.all.World.Recovery.For(c.job.log).Part(ctx, there, part)
			return err
		})
		if err != nil {
			return err
		}
		c.inbox.post(partRecovered{part})
	}
	return nil
}

// unfinished lists the parts that have to be finished by us, and the document as it is in the bucket.
func (c *course) unfinished(ctx context.Context, now document.Recording, e Recover) (
	parts []document.Part, there document.Recording, err error) {
	err = insist(ctx, c.job.log, "look for other recorders' parts", func(ctx context.Context) (err error) {
		if there, err = c.job.all.World.Documents.ByID(ctx, now.ID); err != nil || there.Epoch > now.Epoch {
			return err // or another owner's to finish
		}
		parts = slices.DeleteFunc(slices.Clone(there.Parts), document.Part.Final)
		if !e.Unlisted {
			return nil
		}
		unlisted, err := c.job.all.World.Recovery.Unlisted(ctx, there)
		for _, part := range unlisted {
			if !slices.ContainsFunc(parts, func(p document.Part) bool { return p.Key == part.Key }) {
				parts = append(parts, part)
			}
		}
		return err
	})
	ours := func(p document.Part) bool { return document.EpochOf(there.File, p.Key) == now.Epoch }
	if !e.Own {
		parts = slices.DeleteFunc(parts, ours) // they are still on their way
	}
	return parts, there, err
}

// drained waits for a part whose recorder is shutting down, or may live. It is not final if that takes too long.
func (c *course) drained(ctx context.Context, id string, part document.Part, since time.Time) (document.Part, error) {
	ticker := time.NewTicker(fastInterval)
	defer ticker.Stop()
	for {
		there, err := c.job.all.World.Documents.ByID(ctx, id)
		if err != nil && ctx.Err() == nil {
			c.job.log.WithError(err).Warn("document could not be read, will be tried again")
		}
		for _, p := range there.Parts {
			if p.Key == part.Key {
				part = p
			}
		}

		patience := recoveryPatience
		if part.State == document.Draining {
			patience = drainPatience
		}
		if time.Since(since) > patience || part.Final() {
			return part, nil
		}
		select {
		case <-ctx.Done():
			return part, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
