package environment

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/ecs"
)

const (
	// awake is for how long a service that had recorders is not asked about again. Should the last one be stopped
	// meanwhile, its scaling starts another one: the metrics of a queue that has been in use lately are a minute old.
	// Those of a queue that nobody has used for six hours may be a quarter of an hour late: they are not waited for.
	awake = time.Minute
	// wakeTimeout bounds the asking, the SDK's retries included: a start waits for it with its answer.
	wakeTimeout = 2 * time.Second
	// wakeAgain is the time between two attempts when the first has failed.
	wakeAgain = 5 * time.Second
)

// waking starts the first recorder of a service that has none, as soon as there is something to be recorded.
type waking struct {
	recorders *ecs.Service
	log       logrus.FieldLogger

	mu   sync.Mutex // guards:
	next time.Time  // when the service is asked about again
}

// wake does that, if it may be needed. Whoever comes while another one does it does not wait. A fault is logged, and is
// no fault of the start, which waits on its queue.
func (w *waking) wake(ctx context.Context) {
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	if time.Now().Before(w.next) {
		return
	}

	ctx, cancel := context.WithTimeout(ctx, wakeTimeout)
	defer cancel()
	woken, err := w.first(ctx)
	w.next = time.Now().Add(awake)
	if err != nil {
		w.next = time.Now().Add(wakeAgain)
		w.log.WithError(err).Error("it is not known whether there is a recorder: the start waits until one is started")
	}
	if woken {
		w.log.Info("the first recorder is started")
	}
}

// first has the service start a recorder if it is to have none. If its scaling starts several at the same moment, this
// takes some of them back, for the minute until scaling looks again.
func (w *waking) first(ctx context.Context) (woken bool, err error) {
	state, err := w.recorders.State(ctx)
	if err != nil || state.Wanted > 0 {
		return false, err
	}
	return true, w.recorders.Want(ctx, 1)
}
