package recording

import (
	"context"
	"slices"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

const (
	// handOverInterval is how often a draining recorder looks whether another one has taken a recording up.
	handOverInterval = 500 * time.Millisecond
	// drainedSave bounds the telling of others that this recorder lives, before it offers a recording to them.
	drainedSave = 3 * time.Second
	// drainPatience is how long the recorder that has taken over waits for the draining one to store its part, before it
	// takes it for dead: longer than ECS gives a task to stop (120 s at most).
	drainPatience = 150 * time.Second
	// lostPatience is how long a recorder that has lost a recording goes on at most until the other one's part runs, and
	// that one waits for the part of a recorder that may be alive: it looks at the ledger every 5 s.
	lostPatience = 30 * time.Second
)

// handOver lets the recording go on until another recorder's part runs, make before break, and says when that is: after
// it has offered the recording to other recorders, or when one has it already (SQS was out of reach, and has taken this
// recorder for dead). It returns nil if there is nothing to go on with.
func (t *take) handOver() <-chan struct{} {
	patience := t.HandOver
	if t.cause == command.ErrLost {
		t.taken, patience = true, lostPatience
	}
	if !t.taken && t.cause != command.ErrHandOver || patience == 0 || t.composer.part == nil {
		return nil
	}
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.endHandOver = func() {
		cancel()
		<-done
	}
	// Whoever takes over must know that this recorder lives, or would take its part for a dead one's.
	t.composer.drain()
	go func() {
		defer close(done)
		if !t.taken {
			saving, cancel := context.WithTimeout(ctx, drainedSave)
			err := t.Documents.Save(saving, t.current())
			cancel()
			if err != nil { // the bucket is away, and others can only record without a name until it is back
				t.log.WithError(err).Warn("document could not be saved, will be tried again")
			}
			t.offer()
			t.log.Info("recording is offered to other recorders, and goes on until one has it")
		}
		t.awaitSuccessor(ctx)
	}()
	return done
}

// awaitSuccessor returns when another recorder's part runs, when the recording is no longer wanted, or when ctx is done.
// Meanwhile it tells the document of parts that begin: whoever takes over must know of them, should this recorder die.
func (t *take) awaitSuccessor(ctx context.Context) {
	ticker := time.NewTicker(handOverInterval)
	defer ticker.Stop()
	told := 0 // parts
	for {
		if parts := t.composer.snapshot(); len(parts) > told {
			if err := t.Documents.Amend(ctx, t.current(), parts); err == nil {
				told = len(parts)
			} else if ctx.Err() == nil {
				t.log.WithError(err).Warn("document could not be saved, will be tried again")
			}
		}
		select {
		case <-ctx.Done():
			t.log.Warn("no other recorder has taken the recording up in time")
			return
		case <-ticker.C:
		}
		switch holding, err := t.Ledger.Holding(ctx, t.current()); {
		case err != nil:
			t.log.WithError(err).Warn("ledger could not be read, recording goes on")
		case holding == ledger.Stopped, holding == ledger.Departed:
			return
		case holding == ledger.Lost:
			t.taken = true
			if t.succeeded(ctx) {
				return
			}
		}
	}
}

// succeeded says whether the recorder that has taken over has begun a part, or has ended the recording.
func (t *take) succeeded(ctx context.Context) bool {
	document, err := t.Documents.ByID(ctx, t.document.ID)
	if err != nil {
		t.log.WithError(err).Warn("document could not be read, recording goes on")
		return false
	}
	known := t.current().Parts
	return document.Final() || slices.ContainsFunc(document.Parts, func(p ledger.Part) bool {
		return p.State == ledger.Active && !slices.ContainsFunc(known, func(o ledger.Part) bool { return o.Key == p.Key })
	})
}

// drain marks the open part. Parts that follow have names of their own: the successor's have the next numbers.
func (c *composer) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	for n := range c.parts {
		if c.parts[n].State == ledger.Active {
			c.parts[n].State = ledger.Draining
		}
	}
}

// drained waits for a part whose recorder is shutting down, or may live. It says no if that takes too long since the take-over.
func (t *take) drained(ctx context.Context, part *ledger.Part, since time.Time) bool {
	ticker := time.NewTicker(handOverInterval)
	defer ticker.Stop()
	for {
		document, err := t.Documents.ByID(ctx, t.document.ID)
		if err != nil {
			t.log.WithError(err).Warn("document could not be read, will be tried again")
		}
		for _, p := range document.Parts {
			if p.Key == part.Key {
				*part = p
			}
		}
		patience := lostPatience
		if part.State == ledger.Draining {
			patience = drainPatience
		}
		switch {
		case part.Final():
			return true
		case time.Since(since) > patience:
			return false
		}
		<-ticker.C
	}
}
