package recording

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// settle finishes the files and writes down what came of it all.
// Again says that the participant is back, and is to be recorded on.
func (t *take) settle(ctx context.Context) (again bool, err error) {
	if t.endHandOver != nil {
		t.endHandOver()
	}
	t.composer.close(time.Now())
	t.recovering.Wait()
	document := t.current()
	log := t.log.WithField("reason", t.reason)
	switch {
	case t.taken, errors.Is(t.cause, command.ErrLost):
		log.Warn("recording goes on elsewhere")
		stored := slices.DeleteFunc(t.composer.snapshot(), func(p ledger.Part) bool { return p.State != ledger.Completed })
		err := insist(ctx, log, "amend document", func(ctx context.Context) error {
			return t.Documents.Amend(ctx, document, stored)
		})
		if t.doubled(ctx) {
			log.Info("start has come in two messages, the other one is held")
			return false, err
		}
		return false, errors.Join(command.ErrLost, err)
	case errors.Is(t.cause, command.ErrHandOver):
		log.Info("recording is handed over")
		return false, errors.Join(command.ErrHandOver, insist(ctx, log, "save document", func(ctx context.Context) error {
			return t.Documents.Save(ctx, document)
		}))
	}
	if err := insist(ctx, log, "look for other recorders' parts", t.findParts); err != nil {
		log.WithError(err).Warn("parts of other recorders may be unfinished")
	}
	t.recoverParts(ctx)
	document = t.current()
	departed := ""
	if t.reason == reasonLeft {
		departed = document.Session
	}
	conclude(&document, t.reason, t.unrecordable)
	ended := false
	err = insist(ctx, log, "save document", func(ctx context.Context) (err error) {
		if err = t.Documents.Save(ctx, document); err == nil {
			ended, err = t.Ledger.Ended(ctx, document, departed)
		}
		return err
	})
	if errors.Is(err, ledger.ErrSuperseded) {
		return false, errors.Join(command.ErrLost, err)
	}
	if err != nil || !ended {
		t.joined, t.reason, t.cause = false, "", nil
		return err == nil, err
	}
	log.WithFields(logrus.Fields{"state": document.State, "parts": len(document.Parts)}).Info("recording ended")
	if saved, err := t.Documents.ByID(ctx, document.ID); err == nil {
		document = saved // with the parts that other recorders have brought to their end
	}
	t.Notify(document)
	return false, nil
}

// doubled says whether the recorder that has taken over holds another message than this one: this one's work is done, and
// would only take the recording back.
func (t *take) doubled(ctx context.Context) bool {
	var held string
	err := insist(ctx, t.log, "read ledger", func(ctx context.Context) (err error) {
		held, err = t.Ledger.Message(ctx, t.document)
		return err
	})
	return err == nil && held != "" && held != t.command.Message
}

// tidy removes the recording's scratch directories, unless a file is left in one that could not be stored.
func (t *take) tidy() {
	unnamed := filepath.Join(t.Scratch, t.command.Recording+"."+unclaimedEpoch)
	if parts, _ := filepath.Glob(filepath.Join(unnamed, "*"+localPrefix+"[0-9]*")); len(parts) == 0 { // the pattern is a good one
		for _, note := range []string{startFile, offsetFile} {
			_ = os.Remove(filepath.Join(unnamed, note)) // if that fails, the next step says so
		}
	}
	for _, directory := range []string{unnamed, t.directory()} {
		if err := os.Remove(directory); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.log.WithError(err).Warn("scratch directory is not empty")
		}
	}
}

// conclude gives a document its final state.
func conclude(document *ledger.Recording, reason, unrecordable string) {
	document.State, document.Reason = ledger.Failed, reason
	for _, part := range document.Parts {
		if part.State == ledger.Completed {
			document.State = ledger.Completed
		} else if document.State == ledger.Failed && part.Reason != "" {
			document.Reason = part.Reason
		}
		if part.StartedAt != nil {
			end := part.StartedAt.Add(time.Duration(part.Duration * float64(time.Second)))
			if document.EndedAt == nil || end.After(*document.EndedAt) {
				document.EndedAt = &end
			}
		}
	}
	if document.State == ledger.Completed {
		document.Reason = reason
	}
	if len(document.Parts) > 0 || reason == reasonNotJoined {
		return
	}
	document.Reason = reasonNoMedia
	if unrecordable != "" {
		document.Reason += " (" + unrecordable + ")"
	}
	document.Reason += "; " + reason
}

// insist repeats what has to succeed, until it does or the time for it is over, but not what is hopeless.
func insist(ctx context.Context, log logrus.FieldLogger, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, insistFor)
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = maxPause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do(ctx)
		if hopeless(err) {
			err = permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(insistFor), backoff.WithNotify(func(err error, after time.Duration) {
		log.WithError(err).WithField("retryIn", after.String()).Warn("could not " + what)
	}))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// hopeless says that trying again does not help.
func hopeless(err error) bool {
	return errors.Is(err, ledger.ErrSuperseded) || errors.Is(err, ledger.ErrCorrupt) || errors.Is(err, ledger.ErrNamesTaken)
}

// permanent marks an error that trying again does not help against.
func permanent(err error) error { return backoff.Permanent(err) }
