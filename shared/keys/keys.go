// Package keys has LiveKit's API keys: those of the environment, or those of a secret in AWS Secrets Manager, which is
// read while the program runs. So a key can be changed without a deployment, and while it is, the one before it is
// good, too: it takes a while until everybody who signs or verifies has the new one.
package keys

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// refreshEvery is how old keys may become before the secret is read again.
	refreshEvery = 5 * time.Minute
	// readTimeout bounds the reading of the secret: whoever waits for it has to answer somebody. The function gives one
	// attempt up after 3 seconds, and has time for another one.
	readTimeout = 5 * time.Second
	// failurePause is how long nobody tries again after a reading that has failed, stalePause the same while there are
	// keys that may still be good: whoever has them need not wait.
	failurePause, stalePause = time.Second, 30 * time.Second
	// burst is how often the secret is read at once because of signatures that nobody knows, and gap is what lies between
	// two readings in the long run: anybody may send such signatures.
	burst, gap = 5, 5 * time.Second
	// previousFor is how long signatures by the key before the current one are accepted: tokens that it has signed may be
	// good for days, and a key that was changed because somebody has stolen it must not be good for ever.
	previousFor = 7 * 24 * time.Hour
)

// Key is an API key. It prints as a word that tells nothing of it.
type Key struct{ ID, Secret string }

// Format implements [fmt.Formatter].
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(an API key)") } // whoever formats knows of errors

// MarshalText implements [encoding.TextMarshaler], for logs in JSON.
func (Key) MarshalText() ([]byte, error) { return []byte("(an API key)"), nil }

// Set is the current key and the one before it, which is empty if there is none.
type Set struct {
	Current, Previous Key
	// Since is when the current key was made; zero: nobody knows.
	Since time.Time
}

// All are the keys with which LiveKit may be called: it is LiveKit that decides. The current one comes first.
func (s Set) All() []Key {
	if s.Previous == (Key{}) || s.Previous == s.Current {
		return []Key{s.Current}
	}
	return []Key{s.Current, s.Previous}
}

// Accepted are the keys whose signatures are accepted.
func (s Set) Accepted(now time.Time) []Key {
	if !s.Since.IsZero() && now.Sub(s.Since) > previousFor {
		return []Key{s.Current}
	}
	return s.All()
}

// Keys has the keys as they are now.
type Keys struct {
	read func(context.Context) (Set, error) // nil: they never change
	log  logrus.FieldLogger
	turn chan struct{} // taken by whoever reads

	mu      sync.Mutex // guards:
	known   Set        // empty before the first reading
	good    time.Time  // when the reading that made them known began
	began   time.Time  // when the last reading began
	err     error      // of the last reading
	allowed allowance
}

// Fixed are keys that never change.
func Fixed(current, previous Key) *Keys {
	return &Keys{known: Set{Current: current, Previous: previous}}
}

// changing are keys that have to be read.
func changing(read func(context.Context) (Set, error), log logrus.FieldLogger) *Keys {
	return &Keys{
		read:    read,
		log:     log,
		turn:    make(chan struct{}, 1),
		allowed: allowance{left: burst},
	}
}

// Known returns the keys, after another reading if they are old. If that fails, old ones are still good; an error says
// that there are none.
func (k *Keys) Known(ctx context.Context) (Set, error) {
	if k.read == nil {
		return k.known, nil
	}

	now := time.Now()
	k.mu.Lock()
	known, there := k.known, !k.good.IsZero()
	fresh := now.Sub(k.good) < refreshEvery || now.Sub(k.began) < stalePause
	k.mu.Unlock()
	switch {
	case !there:
		return k.readSince(ctx, now.Add(-failurePause))
	case fresh:
		return known, nil
	}

	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	default:
		return known, nil // somebody else reads
	}
	if again, err := k.readInTurn(ctx, now.Add(-stalePause)); err == nil {
		known = again
	}
	return known, nil
}

// Again returns the keys after another reading: a signature is by none of those that were known, or LiveKit refuses
// them. There is none if there were too many in the last seconds; then the keys are those that are known. An error says
// that nobody can tell whether there are others.
func (k *Keys) Again(ctx context.Context) (Set, error) {
	if k.read == nil {
		return k.known, nil
	}

	now := time.Now()
	k.mu.Lock()
	allowed, known, err := k.allowed.take(now), k.known, k.err
	k.mu.Unlock()
	if !allowed {
		return known, err
	}
	return k.readSince(ctx, now)
}

// Try does something with the current key, and if that is refused, with those that another reading brings, one after
// another. The error is the first refusal if all are refused.
func (k *Keys) Try(ctx context.Context, refused func(error) bool, do func(Key) error) error {
	known, err := k.Known(ctx)
	if err != nil {
		return err
	}
	refusal := do(known.Current)
	if refusal == nil || !refused(refusal) {
		return refusal
	}

	again, err := k.Again(ctx)
	if err != nil {
		again = known // of which the previous one is left
	}
	for _, key := range again.All() {
		if key == known.Current {
			continue
		}
		if err := do(key); err == nil || !refused(err) {
			return err
		}
	}
	return refusal
}

// readSince reads the keys, unless somebody else has begun to do so since a moment, successfully or not.
func (k *Keys) readSince(ctx context.Context, moment time.Time) (Set, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return Set{}, fmt.Errorf("read API keys: %w", ctx.Err())
	}
	return k.readInTurn(ctx, moment)
}

// readInTurn does that for whoever has the turn.
func (k *Keys) readInTurn(ctx context.Context, moment time.Time) (Set, error) {
	k.mu.Lock()
	known, err, done := k.known, k.err, !k.began.Before(moment)
	k.mu.Unlock()
	if done {
		return known, err
	}

	began := time.Now()
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	read, err := k.read(reading)
	if err != nil && ctx.Err() != nil {
		return Set{}, err // whoever asked has gone: that says nothing of the secret
	}
	k.note(began, read, err)
	return read, err
}

// note notes what has come of a reading.
func (k *Keys) note(began time.Time, read Set, err error) {
	k.mu.Lock()
	before, again := k.known, k.err != nil && err != nil
	k.began, k.err = began, err
	if err == nil {
		k.known, k.good = read, began
	}
	k.mu.Unlock()

	switch {
	case err != nil && !again: // said once
		k.log.WithError(err).Warn("LiveKit's API keys cannot be read, will be tried again")
	case err == nil && read.Current != before.Current:
		k.log.WithField("previous", read.Previous != Key{}).Info("LiveKit's API keys have been read")
	}
}

// allowance lets something happen in bursts, and now and then in the long run.
type allowance struct {
	left  int
	since time.Time // when the last one was given back
}

func (a *allowance) take(now time.Time) bool {
	if back := int(now.Sub(a.since) / gap); back > 0 {
		a.left, a.since = min(burst, a.left+back), now
	}
	if a.left == 0 {
		return false
	}
	a.left--
	return true
}
