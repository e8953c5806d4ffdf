package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// errNotFinal says that a recording goes on: another recorder is about to bring it to its end.
var errNotFinal = errors.New("the recording has not ended")

// errNotBegun says that its document does not say yet that it has begun: it is about to.
var errNotBegun = errors.New("the recording has not begun")

// send puts a start on the queue, once more.
func (r *Recorder) send(ctx context.Context, start command.Command) error {
	body, err := start.Encode()
	if err != nil {
		return err
	}
	return r.world.Starts.Send(ctx, body)
}

// tell tells everybody of a recording's end, when its parts have been joined: that, too, waits on the control queue,
// until a recorder has room for it.
func (r *Recorder) tell(ctx context.Context, ended document.Recording) error {
	if !r.settings.JoinParts {
		return r.tellNow(ctx, ended)
	}
	there, err := r.documents.ByID(ctx, ended.ID)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return r.tellNow(ctx, ended)
	case err != nil:
		return fmt.Errorf("find recording: %w", err)
	case !there.Several():
		if err := r.joiner.Tidy(ctx, there); err != nil {
			return err
		}
		return r.tellNow(ctx, there)
	}

	join := command.NewJoin(there.ID, r.world.Now())
	join.ID = cmp.Or(there.RequestID, join.ID)
	body, err := join.Encode()
	if err != nil {
		return err
	}
	if err := r.world.Controls.Send(ctx, body); err != nil {
		return fmt.Errorf("queue joining of parts: %w", err)
	}
	return r.sendNotices(ctx, there, r.world.Notices.ReceiversOfParts(there))
}

// join joins the parts of a recording, and tells everybody of its end. With the last try it is told of as it is.
func (r *Recorder) join(ctx context.Context, c command.Command, last bool) error {
	log := r.world.Log.WithFields(c.Trace())
	ended, err := r.documents.ByID(ctx, c.Recording)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		log.Warn("parts are not joined: the recording has no document")
		return nil
	case err != nil:
		return fmt.Errorf("find recording: %w", err)
	case !ended.Final() && !last:
		return errNotFinal
	}

	if err := r.joiner.Join(ctx, ended); err != nil && !last {
		return err
	} else if err != nil {
		log.WithError(err).Error("parts could not be joined, and stay as they are")
	}
	if len(ended.Labels) > 0 { // the file has none yet
		joined, err := r.documents.ByID(ctx, c.Recording)
		if err != nil {
			return fmt.Errorf("find joined recording: %w", err)
		}
		r.recovery.Tag(ctx, joined, joined.Parts...)
	}
	return r.tellNow(ctx, ended)
}

// tellNow puts the notices of a recording's end on the control queue, one for each receiver. Whichever recorder gets
// one delivers it, so that none is lost with a recorder.
func (r *Recorder) tellNow(ctx context.Context, ended document.Recording) error {
	return r.sendNotices(ctx, ended, r.world.Notices.Receivers(ended))
}

// tellBegun does the same with those of its beginning.
func (r *Recorder) tellBegun(ctx context.Context, begun document.Recording) error {
	return r.sendNotices(ctx, begun, r.world.Notices.ReceiversOfBeginnings(begun))
}

// tellAll does it with all notices that there may be of a recording.
func (r *Recorder) tellAll(ctx context.Context, about document.Recording) error {
	if err := r.tellBegun(ctx, about); err != nil || !about.Final() {
		return err
	}
	return r.tell(ctx, about)
}

func (r *Recorder) sendNotices(ctx context.Context, about document.Recording, receivers []string) error {
	for _, receiver := range receivers {
		notice := command.NewNotify(about.ID, receiver, r.world.Now())
		notice.ID = cmp.Or(about.RequestID, notice.ID)
		body, err := notice.Encode()
		if err != nil {
			return err
		}
		if err := r.world.Controls.Send(ctx, body); err != nil {
			return fmt.Errorf("queue notice: %w", err)
		}
	}
	return nil
}

// notify delivers a notice.
func (r *Recorder) notify(ctx context.Context, c command.Command) error {
	there, err := r.documents.ByID(ctx, c.Recording)
	begins := r.world.Notices.Begins(c.Receiver)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		r.world.Log.WithFields(c.Trace()).Warn("notice is dropped: the recording has no document")
		return nil
	case err != nil:
		return fmt.Errorf("find recording: %w", err)
	case begins && len(there.Parts) > 0:
		there = there.Beginning()
	case begins && there.Final(): // nobody could be sure that it had begun
		return nil
	case begins:
		return errNotBegun
	case !there.Final():
		return errNotFinal
	}
	return r.world.Notices.Deliver(ctx, c.Receiver, there)
}
