// Package timeline compares what was sent with what was recorded. Both are times by the publisher's clock, so that it
// does not matter how busy the machine was, or when a call returned.
package timeline

import (
	"fmt"
	"slices"
	"time"

	"livekit-recorder/shared/document"
)

// Span is a time in which something was sent, or recorded, without a pause. To is behind the last frame.
type Span struct{ From, To time.Time }

// Length is the span's.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

func (s Span) String() string {
	const layout = "15:04:05.000"
	return fmt.Sprintf("%s + %.2f s", s.From.UTC().Format(layout), s.Length().Seconds())
}

// Frames makes spans of the times of frames, in their order, that are so long each. A frame that is later than the
// end of the one before it by half of that begins another span.
func Frames(times []time.Time, length time.Duration) (spans []Span) {
	for _, at := range times {
		if n := len(spans); n > 0 && at.Sub(spans[n-1].To) < length/2 {
			spans[n-1].To = at.Add(length)
			continue
		}
		spans = append(spans, Span{From: at, To: at.Add(length)})
	}
	return spans
}

// Join sorts spans, and makes one of those that overlap or are at most so far apart.
func Join(spans []Span, apart time.Duration) (joined []Span) {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b Span) int { return a.From.Compare(b.From) })

	for _, s := range sorted {
		n := len(joined)
		if n == 0 || s.From.Sub(joined[n-1].To) > apart {
			joined = append(joined, s)
			continue
		}
		if s.To.After(joined[n-1].To) {
			joined[n-1].To = s.To
		}
	}
	return joined
}

// Length is that of all spans together.
func Length(spans []Span) (length time.Duration) {
	for _, s := range spans {
		length += s.Length()
	}
	return length
}

// From is what of spans is later than a time.
func From(spans []Span, at time.Time) []Span {
	return Without(spans, []Span{{To: at}})
}

// Until is what of spans is earlier than a time.
func Until(spans []Span, at time.Time) (earlier []Span) {
	for _, s := range spans {
		if s.To.After(at) {
			s.To = at
		}
		if s.To.After(s.From) {
			earlier = append(earlier, s)
		}
	}
	return earlier
}

// Without is what of spans is not in others.
func Without(spans, others []Span) (left []Span) {
	for _, s := range spans {
		for _, other := range Join(others, 0) {
			if !other.To.After(s.From) || !other.From.Before(s.To) {
				continue
			}
			if other.From.After(s.From) {
				left = append(left, Span{From: s.From, To: other.From})
			}
			s.From = other.To
		}
		if s.To.After(s.From) {
			left = append(left, s)
		}
	}

	return left
}

// Longer leaves out the spans that are not longer than that: how exactly parts meet, and a frame that was lost.
func Longer(spans []Span, than time.Duration) []Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return s.Length() <= than })
}

// Part is the time that a part of a recording has.
func Part(p document.Part) Span {
	if p.StartedAt == nil {
		return Span{}
	}
	return Span{From: *p.StartedAt, To: p.StartedAt.Add(seconds(p.Duration))}
}

// Recorded are the times of which a recording's stored parts have frames of a kind of track: audio or video. What the
// document says of the tracks of a recovered part may be older than its file, or missing: those parts count as a
// whole.
func Recorded(r document.Recording, kind string) []Span {
	var recorded []Span
	for _, part := range r.Parts {
		if part.State != document.Completed {
			continue
		}
		if part.Recovered {
			recorded = append(recorded, Part(part))
			continue
		}
		for _, t := range part.Tracks {
			if t.Kind == kind {
				recorded = append(recorded, track(part, t)...)
			}
		}
	}

	return Join(recorded, 0)
}

// track are the times in which a part has frames of a track.
func track(part document.Part, t document.TrackReport) []Span {
	at := func(offset float64) time.Time { return part.StartedAt.Add(seconds(offset)) }

	whole := Until([]Span{{From: at(t.Offset), To: at(t.Offset + t.Duration)}}, Part(part).To)
	var gaps []Span
	for _, gap := range t.Gaps {
		gaps = append(gaps, Span{From: at(gap.Start), To: at(gap.Start + gap.Length)})
	}
	return Without(whole, gaps)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
