// Package worker takes commands off the queues. It holds each start message while its recording runs, so that the
// message comes back to another recorder if this one dies.
package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

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
	// maxRetry is the longest pause before something that has failed is tried again.
	maxRetry = 20 * time.Second
	// stopTimeout bounds the carrying out of a stop, which others wait for; it is tried again.
	stopTimeout = 30 * time.Second
)

// The redrive policies of the two queues (template.yaml): what has been received that often, and was not deleted, goes to
// the dead-letter queue. Starts wait for the bucket while they are held, stops are tried again, for more than half an hour.
const (
	MaxReceives     = 10
	MaxStopReceives = 100
)

// MaxHold is the longest that a start message can be held: 10 minutes less than SQS allows.
const MaxHold = queue.MaxInFlight - 10*time.Minute

// Worker serves the two queues.
type Worker struct {
	Starts, Controls *queue.Queue
	// Start does what a start asks for and returns when that is over, or nearly at once when its context is done.
	// Nil takes the message off the queue; [command.ErrHandOver], which is also the cause of the context's end, makes it
	// visible at once, and [command.ErrLost] leaves it alone. Offer does so while Start still runs, so that another
	// recorder, or another Start of this one, can go on before this one ends.
	Start func(ctx context.Context, c command.Command, offer func()) error
	// GiveUp is told about a start that has failed for the last time, before the queue moves it to the dead-letter queue.
	GiveUp func(context.Context, command.Command, error)
	// Doubt is told about a recording whose message could not be held: somebody else may have it. Nil: nobody is.
	Doubt func(recording string)
	// Stop does what a stop asks for.
	Stop func(context.Context, command.Command) error
	// MaxRecordings is how many starts are held at most.
	MaxRecordings int
	// Hold is how long a start is held before its recording is handed over, at most [MaxHold].
	Hold time.Duration
	// HasRoom says whether another start can be taken although there are fewer than MaxRecordings; nil: always.
	HasRoom func() bool
	Log     logrus.FieldLogger

	mu       sync.Mutex
	held     map[string]*held // by message id
	draining bool             // whatever is held from now on is handed over at once
}

// Run serves until ctx is done; then it hands over what runs and returns when all of it is settled.
func (w *Worker) Run(ctx context.Context) {
	var polling, starts, renewing sync.WaitGroup
	polling.Go(func() { w.pollStarts(ctx, &starts) })
	polling.Go(func() { w.pollControls(ctx) })
	renew, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	renewing.Go(func() { w.renew(renew) })
	polling.Wait()
	time.Sleep(drainPause)
	w.endAll()
	starts.Wait()
	stopRenewing()
	renewing.Wait()
}

func (w *Worker) pollStarts(ctx context.Context, starts *sync.WaitGroup) {
	slots := make(chan struct{}, w.MaxRecordings)
	for {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		<-slots // there was room for one; this goroutine is the only one that takes it
		if w.HasRoom != nil && !w.HasRoom() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			continue
		}
		for _, m := range w.receive(ctx, w.Starts, w.MaxRecordings-len(slots)) {
			slots <- struct{}{}
			starts.Go(func() {
				defer func() { <-slots }()
				w.start(ctx, m)
			})
		}
	}
}

func (w *Worker) pollControls(ctx context.Context) {
	for ctx.Err() == nil {
		var stops sync.WaitGroup
		for _, m := range w.receive(ctx, w.Controls, queue.MaxBatch) {
			stops.Go(func() { w.stop(ctx, m) })
		}
		stops.Wait()
	}
}

// receive long-polls once. An error is logged and waited out.
func (w *Worker) receive(ctx context.Context, q *queue.Queue, limit int) []queue.Message {
	messages, err := q.Receive(ctx, limit, visibility)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).WithField("queue", q.URL).Error("queue cannot be read, will be tried again")
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return messages
}

func (w *Worker) start(ctx context.Context, m queue.Message) {
	c, ok := w.decode(m, w.Starts, command.Start)
	if !ok {
		return
	}
	c.Message = m.ID
	// The recording ends when Run says so, not when polling does.
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	if !w.hold(m, c.Recording, end) {
		return // SQS has delivered it again although we hold it: the new receipt is kept
	}
	err := w.Start(ctx, c, func() { w.offer(m) })
	m, offered := w.release(m)
	log := w.Log.WithFields(logrus.Fields{"recording": c.Recording, "room": c.Room, "participant": c.Participant})
	switch {
	case err == nil:
		w.settle(log, "delete", func(ctx context.Context) error { return w.Starts.Delete(ctx, m) })
	case errors.Is(err, command.ErrLost):
		log.WithError(err).Warn("start left to the recorder that has it now")
	case errors.Is(err, command.ErrHandOver) && offered:
		log.Info("start has been offered to other recorders")
	case errors.Is(err, command.ErrHandOver):
		w.settle(log, "offer", func(ctx context.Context) error { return w.handOn(ctx, m) })
	default:
		log.WithError(err).WithField("receives", m.Receives).Error("start failed, will be tried again")
		if m.Receives >= MaxReceives && w.GiveUp != nil {
			w.GiveUp(context.WithoutCancel(ctx), c, err)
		}
		w.settle(log, "release", func(ctx context.Context) error { return w.Starts.Release(ctx, m, retryAfter(m)) })
	}
}

func (w *Worker) stop(ctx context.Context, m queue.Message) {
	c, ok := w.decode(m, w.Controls, command.Stop)
	if !ok {
		return
	}
	log := w.Log.WithFields(logrus.Fields{"recording": c.Recording, "room": c.Room, "participant": c.Participant})
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := w.Stop(bounded, c); err != nil {
		log.WithError(err).WithField("receives", m.Receives).Error("stop failed, will be tried again")
		w.settle(log, "release", func(ctx context.Context) error { return w.Controls.Release(ctx, m, retryAfter(m)) })
		return
	}
	w.settle(log, "delete", func(ctx context.Context) error { return w.Controls.Delete(ctx, m) })
}

// retryAfter grows with the number of failures: 2, 4, 8 … at most 20 seconds.
func retryAfter(m queue.Message) time.Duration {
	return min(maxRetry, time.Second<<min(max(m.Receives, 1), 6))
}

// decode reads a message. Garbage goes back to the queue at once, whose redrive policy moves it to the dead-letter queue.
func (w *Worker) decode(m queue.Message, q *queue.Queue, action command.Action) (command.Command, bool) {
	c, err := command.Decode(m.Body)
	if err == nil && c.Action != action {
		err = errors.New("this command is on the wrong queue")
	}
	if err == nil {
		return c, true
	}
	log := w.Log.WithFields(logrus.Fields{"message": m.ID, "receives": m.Receives, "bytes": len(m.Body)})
	if m.Receives <= 1 { // said once
		log.WithError(err).Error("message cannot be read, leaving it to the dead-letter queue")
	}
	w.settle(log, "release", func(ctx context.Context) error { return q.Release(ctx, m, 0) })
	return c, false
}

// settle does the last thing with a message. If that fails, the message comes back, and comes to the same end again.
func (w *Worker) settle(log logrus.FieldLogger, what string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		log.WithError(err).Errorf("could not %s message", what)
	}
}
