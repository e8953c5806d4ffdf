package hostile

import (
	"context"
	"time"

	"livekit-recorder/infra/local/fidelity"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

const (
	// arrival is how much of the very last may be missing: a goodbye takes another way than media do.
	arrival = time.Second
	// seam is how exactly what was sent and what was recorded are compared.
	seam = 50 * time.Millisecond
)

// complete are the limits for the recordings of honest people, beside that nothing may lack.
var complete = fidelity.Limits{
	Parts:  1,
	Offset: 10 * time.Millisecond,
	Gap:    20 * time.Millisecond,
}

// Honest is what was found of somebody honest.
type Honest struct {
	Name   string
	Result fidelity.Result
	Gaps   int // but for the one between the last frame and the goodbye
}

// measure compares an honest person's recording with what was sent.
func (a *arena) measure(ctx context.Context, r *Report, p *person, all []document.Recording) error {
	var theirs []document.Recording
	for _, recording := range all {
		if recording.Participant == p.name {
			theirs = append(theirs, recording)
		}
	}
	if len(theirs) != 1 {
		r.fault("%s has %d recordings, where one was to go on", p.name, len(theirs))
		return nil
	}

	truth := fidelity.Truth{Epoch: p.Epoch, Delay: participant.EncoderDelay, Sent: p.camera.Sent()}
	result, err := fidelity.Measure(ctx, a.system, theirs[0], truth)
	if err != nil {
		r.fault("%s: %s", p.name, err)
		return ctx.Err()
	}
	for _, fault := range complete.Check(result) {
		r.fault("%s: %s", p.name, fault)
	}
	gaps := gapsOf(theirs[0])
	r.Honest = append(r.Honest, Honest{Name: p.name, Result: result, Gaps: len(gaps)})
	sound := r.blame("audio", p.Sent("audio"), theirs[0])
	r.blame("video", p.Sent("video"), theirs[0])

	if result.Frames < 1 || len(gaps) > 0 || sound > 0 {
		r.lacking("%s: only %.2f %% of the frames, %d gaps, %.2f s of sound are missing",
			p.name, 100*result.Frames, len(gaps), sound.Seconds())
	}
	return nil
}

// gapsOf are the gaps in a recording, but for those that begin when hardly anything is left: nothing is sent between
// the last frame and the goodbye.
func gapsOf(recording document.Recording) (gaps []document.Gap) {
	for _, part := range recording.Parts {
		for _, t := range part.Tracks {
			for _, gap := range t.Gaps {
				if gap.Start < part.Duration-arrival.Seconds() {
					gaps = append(gaps, gap)
				}
			}
		}
	}
	return gaps
}

// blame puts what is missing down to what happened meanwhile, and returns how much that is.
func (r *Report) blame(kind string, sent []timeline.Span, recording document.Recording) time.Duration {
	wanted := timeline.From(sent, *recording.StartedAt)
	if len(wanted) == 0 {
		return 0
	}

	wanted = timeline.Until(wanted, wanted[len(wanted)-1].To.Add(-arrival))
	missing := timeline.Longer(timeline.Without(wanted, timeline.Recorded(recording, kind)), seam)
	for n := range r.Rows {
		row := &r.Rows[n]
		row.Missing += timeline.Length(timeline.Until(timeline.From(missing, row.From), row.To))
	}
	return timeline.Length(missing)
}
