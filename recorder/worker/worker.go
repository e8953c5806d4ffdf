// Package worker takes commands off the queues. It holds each start message while its recording runs, so that the
// message comes back to another recorder if this one dies.
package worker

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/retry"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

const (
	// visibility is how long SQS waits for a sign of life before it hands a message to another recorder.
	visibility = 30 * time.Second
	// renewal is the time between two signs of life, at most: two may be lost.
	renewal = 10 * time.Second
	// pause follows a receive that failed (the SDK has retried by then).
	pause = time.Second
	// drainPause is how long messages are kept back after this recorder's own long polls have been cut off: SQS may not
	// have noticed yet, and would give a message to a poll that nobody reads the answer of.
	drainPause = 500 * time.Millisecond
	// renewTimeout bounds the renewing of one batch: after one that hangs there is time for another sign of life.
	renewTimeout = 5 * time.Second
	// callTimeout bounds a call that settles a message.
	callTimeout = 20 * time.Second
	// hurriedCall is the same when everything has to end.
	hurriedCall = 3 * time.Second
	// maxRetry is the longest pause before something that has failed is tried again.
	maxRetry = 20 * time.Second
	// stopTimeout bounds the carrying out of a stop; it is tried again.
	stopTimeout = 30 * time.Second
	// noticeTimeout bounds one attempt to deliver a notice, maxNoticePause the time between two.
	noticeTimeout  = 20 * time.Second
	maxNoticePause = 15 * time.Minute
	// maxControls is how many stops and notices are carried out at once, maxNotices how many notices: receivers that do
	// not answer must not hold up stops.
	maxControls = 20
	maxNotices  = 5
)

// MaxReceives is the redrive policy of both queues (template.yaml): what has been received that often, and was not
// deleted, goes to the dead-letter queue. That is more than half an hour also for messages that nobody gets to see,
// because the answers to receives get lost; and a day for notices whose receiver is away.
const MaxReceives = 100

// MaxHold is the longest that a start message can be held: 10 minutes less than SQS allows.
const MaxHold = queue.MaxInFlight - 10*time.Minute

// Outcome is what is to become of a start message.
type Outcome int

// The outcomes.
const (
	Done      Outcome = iota // its work is done, durably: delete it
	Refused                  // it asks for nothing that is wanted: delete it
	Offered                  // other recorders are to have it
	Left                     // another recorder has the recording, by a message of its own: this one is not needed
	TryAgain                 // nothing has come of it here
	Elsewhere                // it must not be carried out here, for now
)

// Ending is how the doing of a start has ended. Owner is the message by which another recorder has the recording, if it
// is left to that one; empty if that is not known.
type Ending struct {
	Outcome Outcome
	Owner   string
}

// Worker serves the two queues.
type Worker struct {
	Starts, Controls *queue.Queue
	// Start does what a start asks for, and returns when that is over, or a while after the baton is to be given up.
	Start func(ctx context.Context, c command.Command, b *Baton) Ending
	// GiveUp is told about a start that has failed for the last time, before the queue moves it to the dead-letter queue:
	// nothing may be recorded for it any more. It is carried out once more then. Dead says that it was found in that
	// queue: an error leaves it there for now.
	GiveUp func(ctx context.Context, c command.Command, dead bool) error
	// Doubt is told about a recording whose message could not be held: somebody else may have it.
	Doubt func(recording string)
	// Carry does what there is to do beside starts.
	Carry Carry
	// MaxRecordings is how many starts are held at most, not counting those that only wait for somebody.
	MaxRecordings int
	// Hold is how long a start is held before its recording is handed over, at most [MaxHold].
	Hold time.Duration
	// Ready says whether another start can be taken, if there are fewer than MaxRecordings.
	Ready func() bool
	Log   logrus.FieldLogger

	holds holds
}

// Carry does what controls ask for.
type Carry struct {
	// Stop does what a stop asks for, Notify tells a receiver of a recording's end.
	Stop, Notify func(context.Context, command.Command) error
	// Join makes one file of a recording's parts, which may take long. Last says that there is no other try: whatever
	// cannot be done, the recording must be brought to its end.
	Join func(ctx context.Context, c command.Command, last bool) error
}

// Run serves until ctx is done; then it gives up what runs, and returns when all of it is settled. Force ends at once
// what is not.
func (w *Worker) Run(ctx, force context.Context) {
	var polling, starts, renewing sync.WaitGroup
	polling.Go(func() { w.pollStarts(ctx, force, &starts) })
	polling.Go(func() { w.pollControls(ctx) })
	polling.Go(func() { w.pollDead(ctx) })
	renew, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	renewing.Go(func() { w.renew(renew) })
	polling.Wait()

	time.Sleep(drainPause)
	w.holds.drain()
	starts.Wait()
	stopRenewing()
	renewing.Wait()
}

func (w *Worker) pollStarts(ctx, force context.Context, starts *sync.WaitGroup) {
	all := newPlaces(w.MaxRecordings)
	w.holds.places.Store(all)
	asking := polling{worker: w, pace: Pace{Most: w.MaxRecordings}}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case all.taken <- struct{}{}:
			<-all.taken // there was a place
		}
		if !w.Ready() || all.closed() {
			w.wait(ctx)
			continue
		}

		for _, m := range asking.receive(ctx, max(1, all.free())) {
			p, ok := all.take()
			if !ok || !w.Ready() { // somebody has come meanwhile for whom a start has waited
				if ok {
					p.leave()
				}
				w.settle(force, w.Log, "release", func(ctx context.Context) error { return w.Starts.Release(ctx, m, 0) })
				continue
			}
			starts.Go(func() {
				defer p.leave()
				w.guarded(m, "carry out a start", func() { w.start(force, m, p) })
			})
		}
	}
}

// Free is how many more recordings there are places for.
func (w *Worker) Free() int {
	all := w.holds.places.Load()
	switch {
	case all == nil: // it has not begun
		return w.MaxRecordings
	case all.closed():
		return 0
	}
	return all.free()
}

// wait lets a moment pass.
func (w *Worker) wait(ctx context.Context) { w.waitFor(ctx, pause) }

// waitFor lets time pass. It says no if ctx is done.
func (w *Worker) waitFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// receiving is one of a queue's ways to get messages.
type receiving func(ctx context.Context, limit int, visibility time.Duration) ([]queue.Message, error)

// receive asks a queue once. An error is logged and waited out.
func (w *Worker) receive(ctx context.Context, ask receiving, q *queue.Queue, limit int) []queue.Message {
	messages, err := ask(ctx, limit, visibility)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).WithField("queue", q.URL).Error("queue cannot be read, will be tried again")
		w.wait(ctx)
	}
	return messages
}

// start carries a start through. Force ends it wherever it is.
func (w *Worker) start(force context.Context, m queue.Message, p *place) {
	c, ok := w.decode(m, w.Starts, command.Start)
	if !ok {
		return
	}

	log := w.Log.WithFields(c.Trace())
	baton, fresh := w.holds.take(w.Starts, m, c.Recording, p)
	if !fresh {
		log.Info("start is held already, by this message or another one")
		return
	}
	defer w.holds.drop(baton)
	metrics.StartsTaken.Inc()

	ending := w.Start(force, c, baton)
	if ending.Outcome == TryAgain && baton.Receives() >= MaxReceives {
		ending = w.lastTry(force, c, baton, log)
	}
	w.settleStart(force, ending, baton, log)
}

// lastTry brings a start to an end that has failed for the last time.
func (w *Worker) lastTry(force context.Context, c command.Command, baton *Baton, log logrus.FieldLogger) Ending {
	log.Error("start has failed for the last time, and is given up")
	bounded, cancel := context.WithTimeout(force, stopTimeout)
	defer cancel()
	if err := w.GiveUp(bounded, c, false); err != nil {
		log.WithError(err).Error("start could not be given up, it goes to the dead-letter queue")
		return Ending{Outcome: TryAgain}
	}
	return w.Start(force, c, baton)
}

// settleStart does the last thing with a start's messages.
func (w *Worker) settleStart(force context.Context, ending Ending, baton *Baton, log logrus.FieldLogger) {
	switch ending.Outcome {
	case Done:
		w.settle(force, log, "delete", baton.delete)
	case Refused:
		w.settle(force, log, "delete", func(ctx context.Context) error { return baton.leave(ctx, "") })
	case Offered:
		metrics.HandOvers.Inc()
		if len(baton.held()) == 0 {
			return // it has been
		}
		w.settle(force, log, "offer", func(ctx context.Context) error {
			if err := baton.Offer(ctx); err != nil {
				return errors.Join(err, baton.release(ctx, 0))
			}
			return nil
		})
	case Left:
		if ending.Owner == "" {
			log.Warn("start is left to the recorder that has it now")
			return
		}
		w.settle(force, log, "let go of", func(ctx context.Context) error { return baton.leave(ctx, ending.Owner) })
	case Elsewhere:
		metrics.StartsReturned.With("elsewhere").Inc()
		w.settle(force, log, "turn away", baton.turnAway)
	case TryAgain:
		metrics.StartsReturned.With("try_again").Inc()
		after := retryAfter(baton.Receives())
		log.WithField("after", after.String()).Warn("nothing has come of the start here, it goes back to the queue")
		w.settle(force, log, "release", func(ctx context.Context) error { return baton.release(ctx, after) })
	}
}

// renew keeps the held messages invisible to other recorders.
func (w *Worker) renew(ctx context.Context) {
	defer metrics.Renewing.End()
	for {
		metrics.Renewing.Turn()
		// so that recorders that started together do not call together
		jitter := time.Duration(rand.Int64N(int64(renewal / 5)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewal - jitter):
		}
		_ = guard.Run(w.Log, "hold messages", func() { w.renewAll(ctx) }) // the next round goes on
	}
}

// guarded does what a message asks for. After a panic the message is nobody's: it comes back when it is visible again,
// and goes to the dead-letter queue in the end.
func (w *Worker) guarded(m queue.Message, what string, do func()) {
	_ = guard.Run(w.Log.WithFields(logrus.Fields{"message": m.ID, "receives": m.Receives}), what, do) // has been logged
}

func (w *Worker) renewAll(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	receipts, began := w.holds.receipts(w.Hold), time.Now()
	failed, err := w.Starts.Hide(bounded, slices.Collect(maps.Keys(receipts)), visibility)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).Warn("messages could not be held, recordings go on")
	}

	answers := maps.Clone(failed)
	for receipt := range receipts {
		if _, refused := failed[receipt]; !refused && err == nil {
			answers[receipt] = nil
		}
	}
	w.holds.renewed(began, answers)

	for receipt, err := range failed {
		b := receipts[receipt]
		w.Log.WithError(err).WithFields(b.trace()).
			Warn("message could not be held, recording goes on while the ledger says so")
		w.Doubt(b.recording)
	}
}

// retryAfter grows with the number of failures: 2, 4, 8 … at most 20 seconds.
func retryAfter(receives int) time.Duration {
	return min(maxRetry, time.Second<<min(max(receives, 1), 6))
}

var errWrongQueue = errors.New("this command is on the wrong queue")

// decode reads a message. Garbage goes back to the queue at once, whose redrive policy moves it to the dead-letter
// queue.
func (w *Worker) decode(m queue.Message, q *queue.Queue, actions ...command.Action) (command.Command, bool) {
	c, err := command.Decode(m.Body)
	if err == nil && !slices.Contains(actions, c.Action) {
		err = errWrongQueue
	}
	if err == nil {
		return c, true
	}
	log := w.Log.WithFields(logrus.Fields{"message": m.ID, "receives": m.Receives, "bytes": len(m.Body)})
	if m.Receives <= 1 { // said once
		log.WithError(err).Error("message cannot be read, leaving it to the dead-letter queue")
	}
	w.settle(context.Background(), log, "release", func(ctx context.Context) error { return q.Release(ctx, m, 0) })
	return c, false
}

// settle does the last thing with a message. If that fails, the message comes back, and comes to the same end again.
// When everything has to end by force, there is not much time for it, even if it has begun before.
func (w *Worker) settle(force context.Context, log logrus.FieldLogger, what string, do func(context.Context) error) {
	ctx, cancel := retry.WithGrace(force, callTimeout, hurriedCall)
	defer cancel()
	if err := do(ctx); err != nil {
		log.WithError(err).Errorf("could not %s message", what)
	}
}
