package service

import (
	"context"
	"errors"
	"fmt"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// errNotFinal says that a recording goes on: another recorder is about to bring it to its end.
var errNotFinal = errors.New("the recording has not ended")

// send puts a start on the queue, once more.
func (r *Recorder) send(ctx context.Context, start command.Command) error {
	body, err := start.Encode()
	if err != nil {
		return err
	}
	return r.world.Starts.Send(ctx, body)
}

// tell puts the notices of a recording's end on the control queue, one for each receiver. Whichever recorder gets one
// delivers it, so that none is lost with a recorder.
func (r *Recorder) tell(ctx context.Context, recording string) error {
	for _, receiver := range r.world.Notices.Receivers() {
		body, err := command.NewNotify(recording, receiver, r.world.Now()).Encode()
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
	ended, err := r.documents.ByID(ctx, c.Recording)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		r.world.Log.WithField("recording", c.Recording).Warn("notice is dropped: the recording has no document")
		return nil
	case err != nil:
		return fmt.Errorf("find recording: %w", err)
	case !ended.Final():
		return errNotFinal
	}
	return r.world.Notices.Deliver(ctx, c.Receiver, ended)
}
