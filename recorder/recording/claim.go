package recording

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// headStart is how long the bucket may take to say who records, and under which name, before recording begins without it.
const headStart = time.Second

// claim is what the bucket says to a start.
type claim struct {
	verdict  ledger.Verdict
	current  string           // the recording that runs already
	document ledger.Recording // with its name, and the parts of earlier owners
	err      error            // it could not be asked
}

// refused says that this recorder is not to record.
func (c claim) refused() bool {
	return c.err != nil || c.verdict == ledger.Duplicate || c.verdict == ledger.Void
}

// errElsewhere ends a recording that another one has replaced by the time that the bucket answers.
var errElsewhere = errors.New("another recording of the participant goes on")

// carryThrough records, as soon as the bucket says that this recorder has the recording. If it does not answer, what is
// recorded meanwhile stays on the disk until it does.
func (t *take) carryThrough(ctx context.Context) error {
	// What decides who records, and under which name, must not be cut in two by a shutdown.
	durable := context.WithoutCancel(ctx)
	claiming, giveUp := context.WithCancel(durable)
	defer giveUp()
	answer := make(chan claim, 1)
	t.claims = answer
	go func() { answer <- t.claim(claiming, durable) }()
	hasty := time.NewTimer(headStart)
	defer hasty.Stop()
	defer t.tidy()
	select {
	case c := <-t.claims:
		t.adopt(c)
	case <-ctx.Done():
		giveUp()
		t.adopt(<-t.claims)
	case <-hasty.C:
		t.log.Warn("the bucket does not answer: recording without it")
		if err := t.beginUnclaimed(); err != nil {
			return err
		}
	}
	for {
		if t.refusal == nil {
			t.run(ctx)
		}
		if t.claims != nil { // it has ended before the bucket has answered
			if t.since().IsZero() && errors.Is(t.cause, command.ErrHandOver) {
				giveUp()
			}
			timeout := time.AfterFunc(insistFor, giveUp)
			t.adopt(<-t.claims)
			timeout.Stop()
		}
		if t.refusal != nil {
			return t.refused(ctx)
		}
		if again, err := t.settle(durable); !again {
			return err
		}
		t.log.Info("participant is back already, going on")
	}
}

// beginUnclaimed makes the directory of what is recorded before the bucket has answered. Should this recorder be killed, the
// start that lies there says what it is.
func (t *take) beginUnclaimed() error {
	if err := os.MkdirAll(t.directory(), 0o755); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	start, err := t.command.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.directory(), startFile), []byte(start), 0o644); err != nil {
		return fmt.Errorf("note start: %w", err)
	}
	return nil
}

// claim asks the bucket until it answers, or ctx is done: who records, and under which name.
func (t *take) claim(ctx, durable context.Context) (c claim) {
	own := ledger.NewRecording(t.command)
	c.err = t.insistLong(ctx, "claim recording", func() (err error) {
		start := t.command
		start.Heard = t.since()
		c.verdict, own.Epoch, c.current, err = t.Ledger.Start(durable, start)
		return err
	})
	if c.err == nil {
		t.log.WithFields(logrus.Fields{"verdict": c.verdict, "epoch": own.Epoch}).Info("start received")
	}
	if c.refused() {
		return c
	}
	if c.verdict == ledger.Over {
		own.Epoch = 1 // the claim is the other one's
	}
	own.Recorder, own.Bucket = t.Ledger.Owner, t.Bucket
	c.err = t.insistLong(ctx, "reserve file name", func() (err error) {
		c.document, err = t.Documents.Reserve(durable, own, t.fileName(t.command))
		return err
	})
	c.document.Epoch, c.document.Recorder, c.document.Bucket = own.Epoch, own.Recorder, own.Bucket
	return c
}

// fileName is what a start wants its file to be called.
func (s *Studio) fileName(start command.Command) string {
	template := cmp.Or(start.File, s.FileTemplate, ledger.DefaultFile)
	return ledger.FileName(template, ledger.NewRecording(start), start.RequestedAt)
}

// insistLong goes on for as long as there is something to be recorded, however long that is.
func (t *take) insistLong(ctx context.Context, what string, do func() error) error {
	for {
		err := insist(ctx, t.log, what, func(context.Context) error { return do() })
		if err == nil || ctx.Err() != nil || hopeless(err) {
			return err
		}
	}
}

// adopt does what the bucket says.
func (t *take) adopt(c claim) {
	t.claims = nil
	if c.refused() {
		t.refusal = &c
		return
	}
	t.mu.Lock()
	if t.seen {
		c.document.Session = t.document.Session
	}
	t.document, t.earlier = c.document, slices.Clone(c.document.Parts)
	t.mu.Unlock()
	if err := os.MkdirAll(t.directory(), 0o755); err != nil {
		t.refusal = &claim{err: fmt.Errorf("make scratch directory: %w", err)}
		return
	}
	// Owners that follow each other closely may not know of each other's parts yet: the epoch keeps their names apart.
	t.composer.adopt(c.document.File, max(len(t.earlier), c.document.Epoch-1), t.directory())
	if c.verdict == ledger.Over {
		t.Studio.mu.Lock()
		if t.end != nil {
			t.end(errElsewhere)
		}
		t.Studio.mu.Unlock()
	}
	t.recovering.Go(func() { t.recoverParts(context.Background()) })
	close(t.adopted)
	t.poke()
}

// refused ends a take that comes to nothing. What it has recorded meanwhile, somebody else has recorded.
func (t *take) refused(ctx context.Context) error {
	t.composer.abandon()
	t.composer.close(time.Now())
	durable := context.WithoutCancel(ctx)
	switch {
	case t.refusal.err != nil && errors.Is(context.Cause(ctx), command.ErrHandOver):
		return command.ErrHandOver
	case t.refusal.err != nil:
		return t.refusal.err
	case t.refusal.verdict == ledger.Duplicate:
		return t.dismiss(durable, "already being recorded as "+t.refusal.current)
	default:
		return t.dismiss(durable, "stopped before it began")
	}
}

// dismiss answers a start that comes to nothing: its document says so, unless something else came of it already (a copy
// of a start whose recording is long completed).
func (t *take) dismiss(ctx context.Context, reason string) error {
	if t.command.Session == "" { // asked for over REST: the caller knows its id, whose noting may still be under way
		if err := t.Documents.Request(ctx, t.document); err != nil {
			return fmt.Errorf("dismiss recording: %w", err)
		}
	}
	existing, err := t.Documents.ByID(ctx, t.document.ID)
	switch {
	case errors.Is(err, ledger.ErrNotFound), err == nil && existing.State != ledger.Requested:
		return nil
	case err != nil:
		return fmt.Errorf("dismiss recording: %w", err)
	}
	t.log.WithField("reason", reason).Info("start dismissed")
	existing.State, existing.Reason = ledger.Failed, reason
	if len(existing.Parts) > 0 { // found on the disk of a recorder that was killed
		conclude(&existing, reason, "")
	}
	return t.Documents.Save(ctx, existing)
}

// owned says that the bucket has answered, and this recorder has the recording.
func (t *take) owned() bool { return t.claims == nil && t.refusal == nil }

// since is when the first frame came; zero before.
func (t *take) since() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard
}
