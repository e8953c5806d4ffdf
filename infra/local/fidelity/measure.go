// Package fidelity measures recordings against what was sent: it makes people join, mute, lose packets, reconnect and
// change their cameras, and reads the finished files.
package fidelity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// Result is what was found in the files of one recording.
type Result struct {
	Parts    int
	Keys     []string // of the parts
	Duration time.Duration
	// Start and End are by how much sound is late against the picture, at the beginning and at the end, beside what the
	// publisher sent.
	Start, End time.Duration
	// Drift is how much that changes in a minute; 0 for recordings of less than one.
	Drift time.Duration
	// Placement is how far flashes or beeps are from where the document's startedAt puts them. NaN-like -1 if nobody
	// knows when they were sent (in a browser).
	Placement time.Duration
	// Gap is by how much the time between two flashes, or two beeps, is not a whole number of seconds.
	Gap time.Duration
	// Frames is the share of the pictures sent (or else received) that is in the files. What is received must be there.
	Frames float64
	// Stood is by how much the publisher itself sent sound later than it should have.
	Stood time.Duration
	// Lost counts packets, Dropped frames.
	Lost, Dropped int64
	Gaps          []string
	Complaints    []string
}

// Truth is what the publisher knows.
type Truth struct {
	Epoch time.Time // of the flashes; zero if unknown
	Delay time.Duration
	Sent  []time.Time // pictures; none if unknown
	// Stood is for how long the publisher's sound stood still, in all. Its timestamps do not show that, only the next
	// report does.
	Stood time.Duration
}

// Measure reads the parts of a recording.
func Measure(ctx context.Context, s *stack.Stack, r document.Recording, truth Truth) (Result, error) {
	result := Result{
		Parts:     len(r.Parts),
		Placement: -1,
		Stood:     truth.Stood,
	}
	if r.State != document.Completed {
		return result, fmt.Errorf("recording %s: %s", r.State, r.Reason)
	}

	var written, received float64
	for n, part := range r.Parts {
		m, err := measure(ctx, s.Path(part.Key), truth, part)
		if err != nil {
			return result, fmt.Errorf("%s: %w", part.Key, err)
		}

		result.Keys = append(result.Keys, part.Key)
		result.Duration += m.duration
		if m.complaints != "" {
			result.Complaints = append(result.Complaints, fmt.Sprintf("part %d: %s", n+1, m.complaints))
		}
		if len(m.offsets) > 0 {
			start, end := median(m.offsets[:min(5, len(m.offsets))]), median(m.offsets[max(0, len(m.offsets)-5):])
			result.Start, result.End = larger(result.Start, start), larger(result.End, end)
			if m.duration >= time.Minute {
				result.Drift = larger(result.Drift, slope(m.flashes, m.offsets))
			}
		}

		result.Placement, result.Gap = max(result.Placement, m.placement), max(result.Gap, m.gap)
		written += float64(m.pictures)
		for _, t := range part.Tracks {
			result.Lost += t.PacketsLost
			result.Dropped += t.DroppedFrames
			if t.Kind == "video" {
				received += float64(t.Frames + t.DroppedFrames)
				if t.Frames != int64(m.pictures) {
					result.Complaints = append(result.Complaints,
						fmt.Sprintf("part %d has %d pictures, %d were received", n+1, m.pictures, t.Frames))
				}
			}
			for _, gap := range t.Gaps {
				result.Gaps = append(result.Gaps, fmt.Sprintf("%s %s %.2f+%.2f", t.Kind, gap.Kind, gap.Start, gap.Length))
			}
		}
	}

	if sent := sentFrom(truth.Sent, r); sent > 0 {
		received = sent
	}

	result.Frames = 1
	if received > 0 {
		result.Frames = written / received
	}
	return result, nil
}

// sentFrom counts the pictures sent from the first one on that was recorded.
func sentFrom(sent []time.Time, r document.Recording) (n float64) {
	for _, part := range r.Parts {
		for _, t := range part.Tracks {
			if t.Kind != "video" || t.FirstFrameAt == nil {
				continue
			}
			for _, at := range sent {
				if !at.Before(t.FirstFrameAt.Add(-10 * time.Millisecond)) {
					n++
				}
			}
			return n
		}
	}

	return 0
}

type measurement struct {
	duration       time.Duration
	flashes        []time.Duration // that have a beep, in order
	offsets        []time.Duration // of the beeps against them
	placement, gap time.Duration
	pictures       int
	complaints     string
}

func measure(ctx context.Context, path string, truth Truth, part document.Part) (m measurement, err error) {
	file, err := analyse.Probe(ctx, path)
	if err != nil {
		return m, err
	}

	m.duration, m.placement = file.Duration(), -1
	if m.complaints, err = analyse.Decode(ctx, path); err != nil {
		return m, err
	}

	var flashes, beeps []time.Duration
	if video, ok := file.Stream("video"); ok {
		m.pictures = video.Packets()
		if flashes, err = analyse.Flashes(ctx, path); err != nil {
			return m, err
		}
	}

	if _, ok := file.Stream("audio"); ok {
		if beeps, err = analyse.Beeps(ctx, path); err != nil {
			return m, err
		}
	}

	for n := range beeps {
		beeps[n] -= truth.Delay
	}

	if len(flashes)+len(beeps) == 0 && m.duration > 2*participant.FlashEvery { // a shorter one may lie between two
		return m, errors.New("neither a flash nor a beep")
	}

	for _, flash := range flashes {
		for _, beep := range beeps {
			if d := beep - flash; d.Abs() < 400*time.Millisecond {
				m.flashes, m.offsets = append(m.flashes, flash), append(m.offsets, d)
			}
		}
	}

	for _, signal := range [][]time.Duration{flashes, beeps} {
		m.gap = max(m.gap, worst(signal, median(phases(signal))))
		if !truth.Epoch.IsZero() && len(signal) > 0 {
			expected := phase(truth.Epoch.Sub(*part.StartedAt))
			m.placement = max(m.placement, phase(median(phases(signal))-expected).Abs())
		}
	}

	return m, nil
}

// phase is a time's distance from a whole number of flashes, from minus a half to half of the time between two.
func phase(d time.Duration) time.Duration {
	return d - time.Duration(math.Round(float64(d)/float64(participant.FlashEvery)))*participant.FlashEvery
}

// phases are those of all times, with the first one's taken for zero and added again: they do not wrap around.
func phases(times []time.Duration) (all []time.Duration) {
	for _, t := range times {
		all = append(all, phase(t-times[0])+phase(times[0]))
	}
	return all
}

// worst is the largest distance of a phase from the usual one.
func worst(times []time.Duration, usual time.Duration) (largest time.Duration) {
	for _, p := range phases(times) {
		largest = max(largest, (p - usual).Abs())
	}
	return largest
}

// slope is by how much values change in a minute: that of the line with the least squares of distances.
func slope(times, values []time.Duration) time.Duration {
	var t, v float64
	for n := range times {
		t, v = t+times[n].Minutes()/float64(len(times)), v+float64(values[n])/float64(len(times))
	}

	var covariance, variance float64
	for n := range times {
		d := times[n].Minutes() - t
		covariance, variance = covariance+d*(float64(values[n])-v), variance+d*d
	}

	if variance == 0 {
		return 0
	}
	return time.Duration(covariance / variance)
}

func median(values []time.Duration) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func larger(a, b time.Duration) time.Duration {
	if b.Abs() > a.Abs() {
		return b
	}
	return a
}

func (r Result) String() string {
	return fmt.Sprintf("%d part(s), %.1f s, A/V %+.1f … %+.1f ms, drift %+.2f ms/min, placement %.1f ms, gaps ± %.1f ms, "+
		"frames %.2f %%, %d packets lost, %d frames dropped, sound stood still for %.1f ms, gaps [%s]",
		r.Parts, r.Duration.Seconds(), ms(r.Start), ms(r.End), ms(r.Drift), ms(r.Placement), ms(r.Gap),
		100*r.Frames, r.Lost, r.Dropped, ms(r.Stood), strings.Join(r.Gaps, "; "))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
