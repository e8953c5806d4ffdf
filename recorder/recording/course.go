package recording

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// What happens beside the [Event]s that [step] knows.
type (
	// lookAgain asks to look at the ledger now.
	lookAgain struct{}
	// timerRan is a timer that has run out; stale if it has been armed anew since.
	timerRan struct {
		timer Timer
		armed int
	}
	// partChanged is what has become of this recorder's part n, counted from 0.
	partChanged struct {
		n    int
		part document.Part
	}
	// unrecorded is a track that cannot be recorded.
	unrecorded document.Unrecorded
	// described is what LiveKit says of the participant, and since when.
	described struct {
		profile document.Profile
		at      time.Time
	}
	// partRecovered is what has become of another recorder's part.
	partRecovered struct{ part document.Part }
	// recovered says that a recovery has ended, by what is closed when it has.
	recovered struct{ which chan struct{} }
	// saved says that the document has been written as it was then, or could not be.
	saved struct{ ok bool }
	// granted is what the bucket has said to a bid, with the recording's document.
	granted struct {
		Granted
		recording document.Recording
	}
	// yielded has the message that the recording's owner holds.
	yielded struct{ message string }
)

// course is one recorder's hold on one recording: it feeds [step] with events and does what it says. One goroutine owns
// it; everything slow happens elsewhere and posts an event.
type course struct {
	job   job
	inbox *mailbox[Event]
	state State

	feed    *feed
	papers  papers
	timers  timers
	watch   watch
	tasks   tasks
	message string // that the owner of the recording holds
	discard bool   // what has come is not wanted

	measured measured
	shared   shared
}

// shared is what other goroutines may look at.
type shared struct {
	squeezed atomic.Bool  // it has been ended for want of space
	heard    atomic.Bool  // something of it has come, and may lie on the disk
	tried    atomic.Bool  // the ledger may know of this attempt
	unnamed  atomic.Int64 // since when frames come for which there is no name, in nanoseconds; 0: that is not so
}

// job is what a course has to do, and what with. It does not change.
type job struct {
	all       *Recordings
	start     command.Command
	baton     Baton
	documents ledger.Documents // which remember this recording's
	policy    Policy
	attempt   string // different for every attempt of every recorder
	directory scratch.Directory
	log       logrus.FieldLogger
}

// tasks are what goes on beside the course's own goroutine. All of it has ended when the course has.
type tasks struct {
	ctx    context.Context
	end    context.CancelFunc
	wg     *sync.WaitGroup
	writes *mailbox[func(context.Context)] // in order, one after the other
}

func newCourse(all *Recordings, start command.Command, baton Baton, attempt int) *course {
	log := all.World.Log.WithFields(start.Trace())
	c := &course{
		inbox: newMailbox[Event](),
		job: job{
			all:       all,
			start:     start,
			baton:     baton,
			documents: all.World.Documents.Knowing(&ledger.Copy{}),
			policy:    all.Policy.since(all.World.Now().Sub(start.RequestedAt)).of(start),
			attempt:   fmt.Sprintf("%s %d", all.Names.Recorder, attempt),
			directory: all.World.Scratch.Attempt(start.Recording, attempt),
			log:       log,
		},
	}
	c.measured = measured{taken: time.Now(), waited: all.World.Now().Sub(start.RequestedAt)}
	c.papers.recording, c.papers.wanted = all.Names.Document(start)
	c.timers = timers{running: map[Timer]*armed{}, post: c.inbox.post}
	c.watch.bid = func() {}
	c.watch.recovery = make(chan struct{})
	close(c.watch.recovery)
	return c
}

// run carries the recording through until this recorder's hold on it ends.
func (c *course) run(ctx context.Context) Result {
	c.tasks.wg = &sync.WaitGroup{}
	c.tasks.ctx, c.tasks.end = context.WithCancel(ctx)
	c.tasks.writes = newMailbox[func(context.Context)]()
	defer c.finish()
	c.feed = newFeed(func() Following {
		return c.job.all.World.Rooms.Follow(c.job.start.Room, interest(c.job.start), c.job.log)
	}, c.composer(c.tasks.ctx), c.inbox.post, c.job.log)
	c.task(func(ctx context.Context) { c.feed.run(ctx, c.tasks.end) })
	c.task(c.write)

	var effects []Effect
	c.state, effects = begin(c.job.policy, c.job.start.Session)
	c.perform(effects)
	relinquished := c.job.baton.Relinquished()
	ticker := time.NewTicker(fastInterval)
	defer ticker.Stop()
	for c.state.Phase != Over {
		select {
		case <-c.tasks.ctx.Done():
			return Result{Outcome: TryAgain}
		case <-relinquished:
			relinquished = nil
			c.handle(Relinquish{})
		case <-c.inbox.C:
			for _, e := range c.inbox.take() {
				c.handle(e)
			}
		case <-ticker.C:
			if c.lookIsDue() {
				c.look()
			}
		}
		c.save()
	}
	return Result{Outcome: c.state.Ending.Outcome, Message: c.message}
}

// finish ends all tasks, and gives the disk back.
func (c *course) finish() {
	c.timers.stop()
	c.tasks.end()
	c.tasks.wg.Wait()
	<-c.feed.storing
	clear := c.job.directory.Clear
	if c.discard {
		clear = c.job.directory.Drop
	}
	if err := clear(); err != nil {
		c.job.log.WithError(err).Warn("files stay on the disk, and will be stored later")
		c.job.all.World.Recovery.Later(c.job.directory)
	}
}

// task runs something beside the course, until the course ends. A fault in it ends the course.
func (c *course) task(do func(context.Context)) {
	c.tasks.wg.Go(func() {
		if guard.Run(c.job.log, "carry a recording through", func() { do(c.tasks.ctx) }) != nil {
			c.tasks.end()
		}
	})
}

// insisting runs something that has to succeed, beside the course.
func (c *course) insisting(what string, do func(context.Context) error) {
	c.task(func(ctx context.Context) {
		if err := insist(ctx, c.job.log, what, do); err != nil && ctx.Err() == nil {
			c.job.log.WithError(err).Error("could not " + what + ", and trying again does not help")
		}
	})
}

// composer makes parts of what this recorder receives.
func (c *course) composer(ctx context.Context) *parts.Composer {
	world := c.job.all.World
	return parts.New(parts.Config{
		Context: ctx,
		Open:    world.Open,
		Begin: func(path, name, container string) parts.Upload {
			return world.Storage.Begin(c.job.log, path, name, container)
		},
		Key: world.Storage.Key,
		Directory: func() (string, error) {
			return c.job.directory.Path, c.note()
		},
		Repair:  world.Recovery.For(c.job.log).Index,
		Kinds:   kinds(c.job.start),
		Changed: func(n int, part document.Part) { c.inbox.post(partChanged{n, part}) },
		Log:     c.job.log,
	})
}

// handle takes what has happened.
func (c *course) handle(e Event) {
	switch known := e.(type) {
	case lookAgain:
		c.look()
		return
	case saved:
		c.papers.written(known.ok)
		return
	case looked:
		c.looked(known)
		return
	case partChanged:
		if c.papers.change(known.n, known.part); !c.papers.filling() {
			return
		}
		e = TooManyParts{}
	case unrecorded:
		c.refuse(document.Unrecorded(known))
		return
	case described:
		c.papers.describe(known)
		return
	case partRecovered:
		c.amend(known.part)
		return
	case recovered:
		if known.which != c.watch.recovery {
			return // an earlier one: what the newest one looks for may not have been found yet
		}
		e = Recovered{}
	case timerRan:
		if !c.timers.due(known) {
			return
		}
		e = TimerFired{known.timer}
	case granted:
		c.measured.granted(known.Grant)
		if !known.Grant.Verdict.Refused() {
			c.papers.granted(known.recording, known.Grant.Verdict)
			c.papers.noted.before = !known.Grant.Began.IsZero()
		}
		e = known.Granted
	case yielded:
		c.message = known.message
		e = Yielded{}
	case InRoom:
		c.look() // whoever wanted to tell it something while it was out of the room could not
	case Left:
		c.watch.moved = time.Now()
	case Joined:
		c.watch.moved = time.Now()
		c.papers.recording.Session, c.papers.joinedAt = known.Session, time.Now()
		c.measured.joined()
	case PartsFail:
		known.Everywhere = c.papers.fruitless()
		e = known
	case FirstFrame:
		c.shared.heard.Store(true)
		if !c.job.policy.Share { // how long somebody is there before they share their screen says nothing
			c.measured.firstFrame()
		}
		if c.state.Epoch == 0 {
			c.shared.unnamed.Store(time.Now().UnixNano())
		}
		c.papers.began = c.job.all.World.Now().UTC()
	}
	c.step(e)
}

// refuse notes a track that cannot be recorded.
func (c *course) refuse(t document.Unrecorded) {
	listed, news := c.papers.refuse(t)
	if news { // else it has been said, perhaps by another recorder
		metrics.Unrecorded.With(string(t.Reason)).Inc()
	}
	if !listed {
		return
	}
	c.job.log.WithFields(logrus.Fields{
		"track":  t.SID,
		"source": t.Source,
		"codec":  t.Codec,
		"reason": t.Reason,
	}).Warn("a track cannot be recorded")
}

func (c *course) step(e Event) {
	before := c.state
	var effects []Effect
	c.state, effects = step(c.job.policy, c.state, e)
	c.measured.moved(before.Ending, c.state.Ending)
	if before.Phase != c.state.Phase || before.Ending != c.state.Ending {
		c.job.log.WithFields(logrus.Fields{
			"event": fmt.Sprintf("%T", e),
			"from":  before.String(),
			"to":    c.state.String(),
		}).Info("recording moves on")
	}
	c.perform(effects)
}
