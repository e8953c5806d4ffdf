package recording

import (
	"context"
	"errors"
	"fmt"
	"time"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

const (
	// deadLetterPatience is how often a recording's document may have missed being saved before its recorder is taken for
	// gone.
	deadLetterPatience = 3
	// startPatience is how much longer than its participant is waited for a start may take that has no document yet.
	startPatience = 3 * time.Minute
)

// ErrAlive says that a recorder has the recording, or may take it up, by another message.
var ErrAlive = errors.New("a recorder has the recording, or may take it up")

// GiveUp makes sure that nothing is recorded any more for a start that could not be carried out, again and again.
// Carried out once more after that, it is brought to its end. If that is all there is of it, everybody is told at once.
func (r *Recordings) GiveUp(ctx context.Context, start command.Command) error {
	stop := command.NewStop(start.Room, start.Participant, r.World.Now())
	stop.Recording = start.Recording
	ended, err := r.World.Ledger.GiveUp(ctx, stop, document.ReasonGivenUp)
	if err != nil {
		return fmt.Errorf("give recording up: %w", err)
	}
	r.tellOwners(ctx, stop, ended)
	if err := r.World.Documents.Dismiss(ctx, start.Recording, document.ReasonGivenUp); err != nil {
		return err
	}

	there, err := r.World.Documents.ByID(ctx, start.Recording)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("find recording: %w", err)
	case !there.Final(): // whoever brings it to its end tells
		return nil
	}
	if there.Reason == document.ReasonGivenUp {
		metrics.Ended.With(string(document.Failed), "given_up").Inc()
	}
	return r.World.Tell(ctx, there)
}

// Bury is [Recordings.GiveUp] for a start that was found among the dead letters: nobody has given it up before. It is
// [ErrAlive] while a recorder has the recording all the same, if only to wait for its participant, or while it may be
// quarantined.
func (r *Recordings) Bury(ctx context.Context, start command.Command) error {
	waits := max(r.Policy.StartTimeout, r.Policy.RejoinWindow) + startPatience
	until, err := r.World.Ledger.Expected(ctx, start, waits)
	switch {
	case err != nil:
		return fmt.Errorf("find out whether a recorder has the recording: %w", err)
	case r.World.Now().Before(until):
		return ErrAlive
	}

	there, err := r.World.Documents.ByID(ctx, start.Recording)
	switch {
	case errors.Is(err, ledger.ErrNotFound): // nothing but the start was ever known of it
		own, _ := r.Names.Document(start)
		if err := r.World.Documents.Request(ctx, own); err != nil {
			return fmt.Errorf("note recording: %w", err)
		}
	case err != nil:
		return fmt.Errorf("find recording: %w", err)
	case there.State == document.Active && r.World.Now().Sub(there.UpdatedAt) < deadLetterPatience*refresh(there):
		return ErrAlive
	}
	return r.GiveUp(ctx, start)
}

// letGoTimeout bounds the telling of the ledger that a recorder lives.
const letGoTimeout = 5 * time.Second

// letGo tells the ledger that this attempt ends, or is about to, and that its recorder has not died of it. If the
// bucket does not hear of it, one death too many is counted.
func (c *course) letGo(ctx context.Context) {
	if ctx.Err() != nil || !c.shared.tried.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, letGoTimeout)
	defer cancel()
	if err := c.job.all.World.Ledger.LetGo(ctx, c.job.start, c.job.attempt); err != nil {
		c.job.log.WithError(err).Warn("the ledger could not be told that this recorder lives")
	}
}

// mourn tells the ledger that recorders have died of a recording that was not admitted here: from now on it waits. If
// the bucket does not hear of it, the next one that looks at it tells it.
func (c *course) mourn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, letGoTimeout)
	defer cancel()
	if err := c.job.all.World.Ledger.Mourn(ctx, c.theBid()); err != nil {
		c.job.log.WithError(err).Warn("the ledger could not be told that recorders have died")
	}
}
