package worker

import (
	"context"
	"time"

	"livekit-recorder/shared/queue"
)

const (
	// longestWait is how long a recorder that has nothing waits before it looks for starts: two looks fit into a second,
	// for SQS asks only some of its servers when it is not to wait (developer guide, "Amazon SQS short and long polling").
	longestWait = 500 * time.Millisecond
	// packed is from how many hundredths of its places on a recorder does not wait.
	packed = 70
	// leading is how long a recorder does not wait that has got a start which nobody else took.
	leading = 5 * time.Minute
	// census is the time between two looks how much other recorders have.
	census = time.Minute
	// censusTimeout bounds one: starts wait for it.
	censusTimeout = 2 * time.Second
)

// Pace says how eagerly a recorder asks for starts, so that recordings gather on few recorders, and others become empty
// and can be stopped: SQS gives messages to whoever asks, evenly. A recorder that is nearly full, or has found that
// nobody else takes any, asks all the time. The others only look now and then whether something has been left, the
// emptier the later: a start waits for half a second that way while anybody has room.
//
// While nobody else has anything, there is nobody to leave starts to, and no waiting.
type Pace struct {
	Most int // recordings at once

	leads time.Time // until then it does not wait
}

// Wait is how long to wait before the queue is looked at, for what is there by then; 0 is not at all: the queue is to
// be asked to answer when something comes. Free are this recorder's places, elsewhere the recordings of others.
func (p *Pace) Wait(now time.Time, free, elsewhere int) time.Duration {
	if elsewhere <= 0 || now.Before(p.leads) || 100*(p.Most-free) >= packed*p.Most {
		return 0
	}
	return longestWait * time.Duration(free) / time.Duration(p.Most)
}

// Found tells of a start, how long it had been on the queue when it was received, and after which wait that was. If it
// lay there for a good part of that, no fuller recorder takes any.
func (p *Pace) Found(now time.Time, lay, after time.Duration) {
	if after > 0 && lay >= after/2 {
		p.leads = now.Add(leading)
	}
}

// polling asks for starts at the pace of a worker.
type polling struct {
	worker    *Worker
	pace      Pace
	elsewhere int
	counted   time.Time
}

// receive gets starts, perhaps none.
func (p *polling) receive(ctx context.Context, free int) []queue.Message {
	w := p.worker
	p.count(ctx)
	after := p.pace.Wait(time.Now(), free, p.elsewhere)
	if after == 0 {
		return w.receive(ctx, w.Starts.Receive, w.Starts, free)
	}

	if !w.waitFor(ctx, after) {
		return nil
	}
	messages := w.receive(ctx, w.Starts.Look, w.Starts, free)
	for _, m := range messages {
		p.pace.Found(time.Now(), m.Lay, after)
	}
	return messages
}

// count looks how many recordings others have: what is in flight, and not held here. If it is not known, nobody waits.
func (p *polling) count(ctx context.Context) {
	if time.Since(p.counted) < census {
		return
	}

	p.counted = time.Now()
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	inFlight, err := p.worker.Starts.InFlight(ctx)
	if err != nil {
		p.worker.Log.WithError(err).Debug("messages in flight are not known, starts are asked for at once")
	}
	p.elsewhere = inFlight - p.worker.holds.count()
}
