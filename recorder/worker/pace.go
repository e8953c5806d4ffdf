package worker

import (
	"context"
	"slices"
	"time"

	"livekit-recorder/shared/queue"
)

const (
	// longestWait is how long a recorder that has nothing waits before it looks for starts: two looks fit into a second,
	// for SQS asks only some of its servers when it is not to wait (developer guide, "Amazon SQS short and long polling").
	longestWait = 500 * time.Millisecond
	// packed is from how many hundredths of its places on a recorder does not wait.
	packed = 60
	// fresh is how long a start must have been there for a recorder to take it that only looks now and then: whoever
	// waits for starts all the time has it by then. Where SQS takes 50 ms to hand a message out, a shrinking fleet had 2
	// recorders too many on average that way, and 6 without (infra/simulate/scaling).
	fresh = 100 * time.Millisecond
	// leading is how long a recorder does not wait that has got a start which nobody else took.
	leading = 5 * time.Minute
	// census is the time between two looks how much other recorders have.
	census = time.Minute
	// censusTimeout bounds one: starts wait for it.
	censusTimeout = 2 * time.Second
)

// Pace says how eagerly a recorder asks for starts, so that recordings gather on few recorders, and others become empty
// and can be stopped: SQS gives messages to whoever asks, evenly. A recorder that is mostly full, or has found that
// nobody else takes any, asks all the time. The others only look now and then whether something has been left, the
// emptier the later: a start waits for half a second that way while anybody has room.
//
// What has only just come is put back once, so that those who wait for it get it.
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

// PutsBack says whether a start is to be put back that was received after a wait, given how long it had been there, and
// how often it has been received.
func (p *Pace) PutsBack(lay, after time.Duration, receives int) bool {
	return after > 0 && receives == 1 && lay < fresh
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
	messages := p.putBack(ctx, w.receive(ctx, w.Starts.Look, w.Starts, free), after)
	for _, m := range messages {
		p.pace.Found(time.Now(), m.Lay, after)
	}
	return messages
}

// putBack puts messages back that others are about to take, and returns the rest. Those that may not have got back are
// among them: nobody else would have them for the length of their visibility timeout. Should another recorder have one
// as well, the ledger tells.
func (p *polling) putBack(ctx context.Context, messages []queue.Message, after time.Duration) (kept []queue.Message) {
	var receipts []string
	for _, m := range messages {
		if p.pace.PutsBack(m.Lay, after, m.Receives) {
			receipts = append(receipts, m.Receipt)
		}
	}
	if len(receipts) == 0 {
		return messages
	}

	bounded, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	failed, err := p.worker.Starts.Hide(bounded, receipts, 0)
	if err != nil {
		p.worker.Log.WithError(err).Debug("starts could not be put back, they are carried out here")
		return messages
	}
	return slices.DeleteFunc(messages, func(m queue.Message) bool {
		return slices.Contains(receipts, m.Receipt) && failed[m.Receipt] == nil
	})
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
