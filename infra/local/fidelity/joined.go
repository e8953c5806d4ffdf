package fidelity

import (
	"context"
	"errors"
	"syscall"
	"time"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// joinedCases are those whose recordings need several parts, and end as one file.
func joinedCases() []Case {
	return []Case{
		{Name: "camera 8 s after the microphone, joined", Quick: true, Own: true, Joined: true, Act: lateCamera,
			Limits: exact},
		{Name: "handed over, joined", Own: true, Joined: true, Act: handedOver, Limits: exact},
	}
}

// handedOver has the recorder end in the middle of a call. Another one goes on.
func handedOver(ctx context.Context, s *Scene) error {
	p, _, _, err := s.call(nil, participant.Options{}, "vp8")
	if err != nil {
		return err
	}
	defer p.Leave()
	if err := p.AwaitSent(ctx, 8*time.Second); err != nil {
		return err
	}

	_, err = s.system.StartRecorder(ctx, s.recorderEnv()...)
	if err == nil {
		err = s.recorder.Signal(syscall.SIGTERM)
	}
	if err == nil {
		err = s.recorder.Wait(ctx)
	}
	return errors.Join(err, stack.Pass(ctx, 8*time.Second))
}

// recorderEnv is what recorders of a system of the case's own are told.
func (s *Scene) recorderEnv() []string {
	env := []string{"LIVEKIT_URL=" + s.bot.URL}
	if s.joined {
		env = append(env, "JOIN_PARTS=on", "HAND_OVER_TIMEOUT=40s")
	}
	return env
}

// ended says that there is nothing left to do for a recording.
func (c Case) ended(r document.Recording) bool {
	return r.Final() && (!c.Joined || len(r.Parts) == 1 && len(r.Parts[0].Joined) > 1)
}
