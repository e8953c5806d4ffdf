package worker

import (
	"context"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

const (
	// deadInterval is the time between two looks for dead letters, deadSearch the time between two searches for their
	// queue, until it is found: the recorder may have no right to ask.
	deadInterval = time.Minute
	deadSearch   = 10 * time.Minute
	// deadAgain is how long a dead letter is kept back that cannot be buried, or not yet, so that others get their turn.
	deadAgain = 5 * time.Minute
)

// pollDead looks after starts that the queue has given up because no recorder brought them to an end, not even to that
// of being given up: all of them died. Whatever else is among the dead letters stays there for somebody to look at.
func (w *Worker) pollDead(ctx context.Context) {
	dead := w.findDead(ctx)
	for dead != nil && w.waitFor(ctx, deadInterval) {
		w.buryAll(ctx, dead)
	}
}

func (w *Worker) buryAll(ctx context.Context, dead *queue.Queue) {
	messages, err := dead.Receive(ctx, queue.MaxBatch, visibility)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).Warn("dead letters cannot be read, will be tried again")
	}
	for _, m := range messages {
		w.guarded(m, "bury a start", func() { w.bury(ctx, dead, m) })
	}
}

// findDead finds the dead-letter queue of starts; nil if there is none, or ctx is done.
func (w *Worker) findDead(ctx context.Context) *queue.Queue {
	for {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		dead, err := w.Starts.DeadLetters(bounded)
		cancel()
		if err == nil {
			return dead
		}
		if ctx.Err() == nil {
			w.Log.WithError(err).Warn("dead-letter queue of starts cannot be found, will be tried again")
		}
		if !w.waitFor(ctx, deadSearch) {
			return nil
		}
	}
}

// bury sees to it that a start is not wanted any more, and puts it on the queue again: whoever gets it finds nothing to
// record, recovers what there is, makes the document final and tells everybody.
func (w *Worker) bury(ctx context.Context, dead *queue.Queue, m queue.Message) {
	c, err := command.Decode(m.Body)
	if err == nil && c.Action != command.Start {
		err = errWrongQueue
	}
	log := w.Log.WithFields(c.Trace()).WithField("message", m.ID)
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, stopTimeout)
		if err = w.GiveUp(bounded, c, true); err == nil {
			err = w.Starts.Send(bounded, m.Body)
		}
		cancel()
	}

	if err != nil {
		log.WithError(err).Info("dead letter stays where it is for now")
		w.settle(ctx, log, "keep back", func(ctx context.Context) error { return dead.Release(ctx, m, deadAgain) })
		return
	}
	log.Error("start is given up: it was among the dead letters")
	w.settle(ctx, log, "delete", func(ctx context.Context) error { return dead.Delete(ctx, m) })
}
