package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/retry"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

const (
	// maxJoins is how many recordings wait here at once to have their parts joined, one after the other.
	maxJoins = 10
	// joinBusy is how long they wait at least when a recorder has no room for them.
	joinBusy = 30 * time.Second
	// lastJoin is how often a join is received at most before it is given up: some tries before the queue would move it to
	// the dead-letter queue, and nobody would be told of the recording.
	lastJoin = MaxReceives - 10
)

var (
	// errUnheld says that a message belongs to somebody else by now.
	errUnheld = errors.New("the message could not be held")
	// errNoRoom says that what is being recorded needs this recorder.
	errNoRoom = errors.New("this recorder has no room for it")
	// errTooLong says that a message has been held for as long as SQS allows it.
	errTooLong = errors.New("SQS holds no message for longer")
)

// line is where recordings wait to have their parts joined.
type line struct {
	all chan struct{} // has an item for each
	one chan struct{} // and for the one whose turn it is
}

// join has the parts of a recording joined, one recording at a time, and only with room for another start: what is
// being recorded comes first. Meanwhile the message is held. What is cut off, or fails, comes back to whichever
// recorder there is then.
func (w *Worker) join(ctx context.Context, m queue.Message, c command.Command, joins line) {
	log := w.Log.WithFields(logrus.Fields{"recording": c.Recording, "receives": m.Receives})
	err := errNoRoom
	select {
	case joins.all <- struct{}{}:
		defer func() { <-joins.all }()
		err = w.held(ctx, m, func(ctx context.Context) error { return w.joinNext(ctx, m, c, joins) })
	default:
	}

	after := noticeAfter(m.Receives)
	switch {
	case err == nil:
		w.settle(ctx, log, "delete", func(ctx context.Context) error { return w.Controls.Delete(ctx, m) })
		return
	case errors.Is(err, errUnheld):
		log.WithError(err).Warn("joining of parts is left to the recorder that has the message now")
		return
	case errors.Is(err, guard.ErrPanic): // as if this recorder had died
		return
	case ctx.Err() != nil:
		after = 0 // another recorder can go on at once
	case errors.Is(err, errNoRoom):
		after = max(joinBusy, noticeAfter(m.Receives/8)) // there may be room soon
	default:
		log.WithError(err).WithField("after", after.String()).Warn("parts could not be joined, will be tried again")
	}
	w.settle(ctx, log, "release", func(ctx context.Context) error { return w.Controls.Release(ctx, m, after) })
}

// joinNext joins the parts of a recording when it is its turn.
func (w *Worker) joinNext(ctx context.Context, m queue.Message, c command.Command, joins line) error {
	select {
	case joins.one <- struct{}{}:
		defer func() { <-joins.one }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	last := m.Receives >= lastJoin
	if !w.Ready() && !last {
		return errNoRoom
	}
	return w.Carry.Join(ctx, c, last)
}

// held does something for which a message is held, for as long as SQS allows it at most.
func (w *Worker) held(ctx context.Context, m queue.Message, do func(context.Context) error) error {
	ctx, cancel := context.WithDeadlineCause(ctx, m.At.Add(MaxHold), errTooLong)
	defer cancel()
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)

	done := make(chan error, 1)
	go func() { // ends when do does, for which the loop waits
		err := guard.ErrPanic
		_ = guard.Run(w.Log.WithField("message", m.ID), "carry out a command", func() { err = do(ctx) }) // has been logged
		done <- err
	}()
	ticker := time.NewTicker(renewal)
	defer ticker.Stop()
	for until := m.At.Add(visibility); ; {
		select {
		case err := <-done:
			if err != nil && errors.Is(context.Cause(ctx), errUnheld) {
				err = errors.Join(errUnheld, err)
			}
			return err
		case <-ticker.C:
		}
		began := time.Now()
		if err := w.keep(ctx, m); err == nil {
			until = began.Add(visibility)
		} else if errors.Is(err, queue.ErrGone) || time.Now().After(until) {
			lost(fmt.Errorf("%w: %w", errUnheld, err))
		}
	}
}

// keep gives a sign of life, also while everything comes to its end.
func (w *Worker) keep(ctx context.Context, m queue.Message) error {
	ctx, cancel := retry.WithGrace(ctx, renewTimeout, hurriedCall)
	defer cancel()
	failed, err := w.Controls.Hide(ctx, []string{m.Receipt}, visibility)
	if err == nil {
		err = failed[m.Receipt]
	}
	return err
}
