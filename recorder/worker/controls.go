package worker

import (
	"context"
	"sync"
	"time"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

// pollControls carries out what else there is. It does not wait for the slowest.
func (w *Worker) pollControls(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	defer metrics.Controls.End()
	slots, notices := make(chan struct{}, maxControls), make(chan struct{}, maxNotices)
	joins := line{make(chan struct{}, maxJoins), make(chan struct{}, 1)}
	for {
		metrics.Controls.Turn()
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		<-slots // there was room for one; this goroutine is the only one that takes it

		for _, m := range w.receive(ctx, w.Controls.Receive, w.Controls, maxControls-len(slots)) {
			slots <- struct{}{}
			running.Go(func() {
				defer func() { <-slots }()
				w.guarded(m, "carry out a command", func() { w.control(ctx, m, notices, joins) })
			})
		}
	}
}

// control carries out what is no start. Notices has an item for each that is being delivered.
func (w *Worker) control(ctx context.Context, m queue.Message, notices chan struct{}, joins line) {
	c, ok := w.decode(m, w.Controls, command.Stop, command.Notify, command.Join)
	switch {
	case !ok:
	case c.Action == command.Join:
		w.join(ctx, m, c, joins)
	case c.Action == command.Notify:
		w.notify(ctx, m, c, notices)
	default:
		w.stop(ctx, m, c)
	}
}

// notify delivers a notice. What cannot be delivered, or not now because too many others are, comes back later, to
// whichever recorder there is then.
func (w *Worker) notify(ctx context.Context, m queue.Message, c command.Command, notices chan struct{}) {
	log := w.Log.WithFields(c.Trace()).WithField("receiver", c.Receiver)
	after := noticeAfter(m.Receives)
	select {
	case notices <- struct{}{}:
		err := w.deliver(ctx, c, notices)
		if err == nil {
			w.settle(ctx, log, "delete", func(ctx context.Context) error { return w.Controls.Delete(ctx, m) })
			return
		}
		log.WithError(err).WithField("after", after.String()).Warn("notice could not be delivered, will be tried again")
	default:
	}

	if ctx.Err() != nil {
		after = 0 // another recorder can go on at once
	}
	w.settle(ctx, log, "release", func(ctx context.Context) error { return w.Controls.Release(ctx, m, after) })
}

// deliver delivers a notice, and gives its place up.
func (w *Worker) deliver(ctx context.Context, c command.Command, notices chan struct{}) error {
	defer func() { <-notices }()
	bounded, cancel := context.WithTimeout(ctx, noticeTimeout)
	defer cancel()
	return w.Carry.Notify(bounded, c)
}

func (w *Worker) stop(ctx context.Context, m queue.Message, c command.Command) {
	log := w.Log.WithFields(c.Trace())
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := w.Carry.Stop(bounded, c); err != nil {
		log.WithError(err).WithField("receives", m.Receives).Error("stop failed, will be tried again")
		w.settle(context.Background(), log, "release", func(ctx context.Context) error {
			return w.Controls.Release(ctx, m, retryAfter(m.Receives))
		})
		return
	}
	w.settle(context.Background(), log, "delete", func(ctx context.Context) error { return w.Controls.Delete(ctx, m) })
}

// noticeAfter grows with the number of failures, from a second to a quarter of an hour: a receiver may be away for a
// day.
func noticeAfter(receives int) time.Duration {
	return min(maxNoticePause, time.Second<<min(max(receives-1, 0), 12))
}
