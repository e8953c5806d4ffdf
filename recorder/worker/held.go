package worker

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

// held is a start message whose recording runs.
type held struct {
	message   queue.Message
	recording string
	end       context.CancelCauseFunc
	offered   bool // to other recorders: it is not renewed any more
}

// hold keeps a message from now on, or takes note of the new receipt of one that is held already.
func (w *Worker) hold(m queue.Message, recording string, end context.CancelCauseFunc) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.held[m.ID]; h != nil {
		h.message, h.offered = m, false
		return false
	}
	if w.held == nil {
		w.held = map[string]*held{}
	}
	w.held[m.ID] = &held{message: m, recording: recording, end: end}
	if w.draining {
		end(command.ErrHandOver)
	}
	return true
}

// release ends the holding and returns the message with its newest receipt, and whether it is visible already.
func (w *Worker) release(m queue.Message) (newest queue.Message, offered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.held[m.ID]
	delete(w.held, m.ID)
	return h.message, h.offered
}

// offer gives a held message to other recorders, while its recording goes on.
func (w *Worker) offer(m queue.Message) {
	w.mu.Lock()
	h := w.held[m.ID]
	h.offered = true
	newest := h.message
	w.mu.Unlock()
	w.settle(w.Log, "offer", func(ctx context.Context) error { return w.handOn(ctx, newest) })
}

// handOn gives a start to other recorders, as a new message: recordings that are handed on for days would otherwise be
// taken for poison by the number of receives, and end with what SQS allows a message in the queue, and in flight.
func (w *Worker) handOn(ctx context.Context, m queue.Message) error {
	if err := w.Starts.Send(ctx, m.Body); err != nil {
		return errors.Join(err, w.Starts.Release(ctx, m, 0))
	}
	return w.Starts.Delete(ctx, m) // should that fail, it comes twice, which recorders notice
}

func (w *Worker) endAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	for _, h := range w.held {
		h.end(command.ErrHandOver)
	}
}

// renew keeps the held messages invisible to other recorders.
func (w *Worker) renew(ctx context.Context) {
	for {
		jitter := time.Duration(rand.Int64N(int64(renewal / 5))) // so that recorders that started together do not call together
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewal - jitter):
		}
		w.renewAll(ctx)
	}
}

func (w *Worker) renewAll(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	receipts := w.receipts()
	failed, err := w.Starts.Hide(bounded, slices.Collect(maps.Keys(receipts)), visibility)
	if err != nil && ctx.Err() == nil {
		w.Log.WithError(err).Warn("messages could not be held, recordings go on")
	}
	for receipt, err := range failed {
		recording := receipts[receipt]
		w.Log.WithError(err).WithField("recording", recording).Warn("message could not be held, recording goes on while the ledger says so")
		if w.Doubt != nil {
			w.Doubt(recording)
		}
	}
}

// receipts returns those of the held messages, with their recordings, and ends what has been held for nearly too long.
func (w *Worker) receipts() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	receipts := map[string]string{}
	for _, h := range w.held {
		if h.offered {
			continue
		}
		if time.Since(h.message.At) > w.Hold {
			h.end(command.ErrHandOver)
		}
		receipts[h.message.Receipt] = h.recording
	}
	return receipts
}
