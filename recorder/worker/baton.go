package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// Baton is the hold on the start of one recording. Usually that is one message; a start that comes in two is held by
// both, for either may be the one that is left when the other is gone.
type Baton struct {
	recording  string
	body       string // of all its messages
	queue      *queue.Queue
	place      *place
	relinquish chan struct{}

	mu       sync.Mutex // guards:
	messages []queue.Message
	sure     time.Time // when the queue last said that the first one is ours; zero if it is not
	offering bool
	offered  bool
	given    bool // relinquished
	ended    bool // its messages go back to the queue: what comes from now on is another attempt's
}

func newBaton(q *queue.Queue, m queue.Message, recording string, p *place) *Baton {
	return &Baton{
		recording:  recording,
		body:       m.Body,
		queue:      q,
		place:      p,
		relinquish: make(chan struct{}),
		messages:   []queue.Message{m},
		sure:       m.At,
	}
}

// Message is the id of the first of its messages. It is empty when that may be another recorder's by now, or gone: then
// nobody must take it for one that brings the recording to the next recorder.
func (b *Baton) Message() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.sure) > visibility {
		return ""
	}
	return b.messages[0].ID
}

// renewed takes what the queue has said at a time of the receipts that were to be renewed, by receipt: it has not said
// anything of those that are missing.
func (b *Baton) renewed(at time.Time, answers map[string]error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch err, known := answers[b.messages[0].Receipt]; {
	case !known:
	case err != nil:
		b.sure = time.Time{}
	default:
		b.sure = at
	}
}

// trace says for the log what is held.
func (b *Baton) trace() map[string]any {
	start, err := command.Decode(b.body)
	if err != nil { // it could be read when it was taken
		return map[string]any{"recording": b.recording}
	}
	return start.Trace()
}

// Relinquished is closed when the recording is to be given to another recorder: this one shuts down, or has held the
// message for nearly as long as SQS allows.
func (b *Baton) Relinquished() <-chan struct{} { return b.relinquish }

// Rest gives up the place among this recorder's recordings: the start only waits for somebody.
func (b *Baton) Rest() { b.place.rest() }

// Wake takes a place again, if there is one.
func (b *Baton) Wake() bool { return b.place.wake() }

// Admit asks whether this recorder may carry the start out, given what the ledger suspects it of.
func (b *Baton) Admit(s ledger.Suspicion) bool {
	return b.place.all.admit(b.place, s, b.Receives() > 1)
}

// Alone says whether the recorder has nothing else, and takes nothing else.
func (b *Baton) Alone() bool { return b.place.all.alone(b.place) }

// Clear ends the suspicion.
func (b *Baton) Clear() { b.place.all.clear(b.place) }

// turnAway gives a start back that must not be carried out here. A suspect waits a little for a recorder that has
// nothing else, or until it may be tried again; so that this does not count as failures, it is sent anew when it was
// received often. Anything else goes to others at once: this recorder takes nothing more while it has a suspect.
func (b *Baton) turnAway(ctx context.Context) error {
	away, pause := b.place.all.turnedAway(b.place)
	least := max(turnedAwayFor, min(pause, turnedAwayMost))
	switch {
	case !away:
		return b.release(ctx, 0)
	case b.Receives() >= MaxReceives/2:
		return b.Offer(ctx)
	}
	return b.release(ctx, least+time.Duration(rand.Int64N(int64(turnedAwayFor))))
}

const (
	// turnedAwayFor is how long a suspect is kept back at least, and half of what it is at most if nothing but a free
	// recorder is waited for: several may have turned it away that will be free at different times.
	turnedAwayFor = 10 * time.Second
	// turnedAwayMost is the same for one that nobody is to try for a while: if it is not wanted any more, whoever gets
	// the start then brings it to its end.
	turnedAwayMost = time.Minute
)

func (b *Baton) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.given {
		b.given = true
		close(b.relinquish)
	}
}

// Offer gives the start to other recorders, as a new message, while this one's recording goes on; once more if it is
// asked again, for the one before may have come to nothing. It is a new message because recordings that are handed on
// for days would otherwise be taken for poison by the number of receives, and end with what SQS allows a message in the
// queue, and in flight.
func (b *Baton) Offer(ctx context.Context) error {
	b.mu.Lock()
	messages, offered := slices.Clone(b.messages), b.offered
	b.offering = true // the new message may be here before the answer is
	b.mu.Unlock()
	if err := b.queue.Send(ctx, b.body); err != nil {
		return err
	}

	b.mu.Lock()
	b.offered = true
	b.mu.Unlock()
	if offered {
		return nil
	}
	for _, m := range messages { // should that fail, it comes twice, which recorders notice
		_ = b.queue.Delete(ctx, m)
	}
	return nil
}

// add takes one more message with the same start, or the newest receipt of one that is held. It says no if the
// recording has been offered, or is about to be, or if this attempt has ended: then the message is another recorder's,
// or another attempt's.
func (b *Baton) add(m queue.Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offered || b.ended {
		return false
	}
	for n := range b.messages {
		if b.messages[n].ID == m.ID {
			b.messages[n] = m
			if n == 0 {
				b.sure = m.At
			}
			return true
		}
	}
	if b.given || b.offering {
		return false
	}
	b.messages = append(b.messages, m)
	return true
}

// receipts are those that must be renewed. Old says that one of the messages has been held for longer than limit.
func (b *Baton) receipts(limit time.Duration) (receipts []string, old bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offered || b.ended {
		return nil, false
	}
	for _, m := range b.messages {
		receipts = append(receipts, m.Receipt)
		old = old || time.Since(m.At) > limit
	}
	return receipts, old
}

// held are its messages, unless they have been offered.
func (b *Baton) held() []queue.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offered {
		return nil
	}
	return slices.Clone(b.messages)
}

// end returns what it holds, for the last time: that is neither renewed nor added to any more.
func (b *Baton) end() []queue.Message {
	held := b.held()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	return held
}

// Receives is how often its start has been received, at most.
func (b *Baton) Receives() (most int) {
	for _, m := range b.held() {
		most = max(most, m.Receives)
	}
	return most
}

// delete takes its messages off the queue.
func (b *Baton) delete(ctx context.Context) (err error) {
	for _, m := range b.held() {
		err = errors.Join(err, b.queue.Delete(ctx, m))
	}
	return err
}

// leave leaves the recording to the recorder that holds the message with that id, or to nobody. The first message is
// not needed any more then. Those that have come since may have been sent because something has changed, or be what is
// left of that recorder's: whoever gets them finds out.
func (b *Baton) leave(ctx context.Context, owner string) (err error) {
	for n, m := range b.end() {
		switch {
		case m.ID == owner:
		case n == 0:
			err = errors.Join(err, b.queue.Delete(ctx, m))
		default:
			err = errors.Join(err, b.queue.Release(ctx, m, 0))
		}
	}
	return err
}

// release makes its messages visible to all recorders after a delay. If they are gone, because the recording has been
// offered, or because another recorder has carried them out as far as it saw then, a new message takes their place:
// there is something left to do.
func (b *Baton) release(ctx context.Context, after time.Duration) (err error) {
	messages := b.end()
	gone := 0
	for _, m := range messages {
		switch released := b.queue.Release(ctx, m, after); {
		case errors.Is(released, queue.ErrGone):
			gone++
		default:
			err = errors.Join(err, released)
		}
	}

	if gone == len(messages) {
		return b.queue.Send(ctx, b.body)
	}
	return err
}
