package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

const (
	// seam is how exactly parts meet.
	seam = 100 * time.Millisecond
	// ending is how much of the very last that somebody sends may be missing: a goodbye is heard over TCP, and can be
	// there before the last packets are.
	ending = time.Second
	// finishWithin is how long it may take until everything is stored.
	finishWithin = 3 * time.Minute
	// lostByKill is what a killed recorder may lose beside the time until another one records: what was not in the journal
	// yet, and what was under way.
	lostByKill = 11 * time.Second
	// takeOver is the longest that may take: SQS's visibility timeout, and the way into the room.
	takeOver = 45 * time.Second
)

// Row is what one fault did.
type Row struct {
	Name   string
	Hit    int           // people whose recording got a new part, or a gap, by it
	Lost   time.Duration // the most that one of them lost
	Resume time.Duration // the longest until one of them went on who had lost something

	people map[*person]bool
}

// Report is what was found in the bucket.
type Report struct {
	Rows   []Row
	People int
	Parts  int
	Faults []string // what must not be
}

func (r *Report) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// check reads the bucket when everything is stored.
func (a *arena) check(ctx context.Context, happened []injected) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	report := Report{People: len(a.people)}
	for _, f := range happened {
		report.Rows = append(report.Rows, Row{Name: f.Name, people: map[*person]bool{}})
	}

	var recordings []document.Recording
	for _, p := range a.people {
		r, err := a.recording(ctx, p, document.Recording.Final)
		if err != nil {
			return report, err
		}
		recordings = append(recordings, r)

		all, err := a.system.REST().List(ctx, Room, p.name)
		if err != nil {
			return report, err
		}
		for _, other := range all {
			if len(other.Parts) > 0 && other.ID != r.ID {
				report.fault("%s was recorded twice: %s and %s", p.name, r.ID, other.ID)
			}
		}

		report.timeline(p, r, happened)
		for _, part := range r.Parts {
			if nothingStored(part) {
				continue
			}
			report.Parts++
			if complaints, err := analyse.Decode(ctx, a.system.Path(part.Key)); err != nil || complaints != "" {
				report.fault("%s does not decode: %v %s", part.Key, err, complaints)
			}
		}
	}

	report.limits(happened)
	left, err := a.system.Leftovers(ctx, recordings...)
	for _, what := range left {
		report.fault("%s was left behind", what)
	}
	return report, err
}

// timeline finds what a recording lacks of what was sent, and which fault was the reason.
func (r *Report) timeline(p *person, recording document.Recording, happened []injected) {
	if recording.State != document.Completed {
		r.fault("%s: %s: %s", p.name, recording.State, recording.Reason)
		return
	}

	expected := p.expected()
	if len(expected) == 0 {
		r.fault("%s sent nothing", p.name)
		return
	}

	for n, part := range recording.Parts {
		switch {
		case nothingStored(part): // its time is missing
		case part.State != document.Completed:
			r.fault("%s: %s: %s", part.Key, part.State, part.Reason)
		case n > 0 && part.Overlap > 0:
			r.hit(p, *part.StartedAt, happened)
		}
	}

	until := expected[len(expected)-1].To.Add(-ending)
	missing := timeline.Without(timeline.Until(expected, until), timeline.Recorded(recording, "audio"))
	for _, span := range timeline.Longer(missing, seam) {
		r.missing(p, span, happened)
	}
}

// blame is the last fault before a time: none, less than 0.
func blame(at time.Time, happened []injected) int {
	for n := len(happened) - 1; n >= 0; n-- {
		if !at.Before(happened[n].at) {
			return n
		}
	}
	return -1
}

// hit notes that a fault has made another recorder go on with somebody's recording. Before any fault that is a start
// that the queue has delivered twice.
func (r *Report) hit(p *person, at time.Time, happened []injected) {
	n := blame(at, happened)
	if n < 0 {
		return
	}
	row := &r.Rows[n]
	row.people[p] = true
	row.Hit = len(row.people)
}

// missing puts a time that is missing in somebody's recording down to a fault: the first one within it that may cost
// something, as it may last longer than was waited for and the next fault began; or else the last one before its end.
func (r *Report) missing(p *person, span timeline.Span, happened []injected) {
	n := blame(span.To, happened)
	for earlier := range happened[:n+1] {
		if f := happened[earlier]; !f.Lossless && !f.at.Before(span.From) {
			n = earlier
			break
		}
	}
	if n < 0 {
		r.fault("%s: %s is missing before anything had happened", p.name, span)
		return
	}

	row := &r.Rows[n]
	row.people[p] = true
	row.Hit = len(row.people)
	row.Lost = max(row.Lost, span.Length())
	row.Resume = max(row.Resume, span.To.Sub(happened[n].at))
}

// nothingStored knows the parts of recorders that were killed in their first seconds.
func nothingStored(part document.Part) bool {
	return part.State == document.Failed && strings.HasSuffix(part.Reason, "before anything of it was stored")
}

func (r *Report) limits(happened []injected) {
	for n, f := range happened {
		switch row := r.Rows[n]; {
		case f.Lossless && row.Lost > seam:
			r.fault("%s: %.1f s were lost", f.Name, row.Lost.Seconds())
		case row.Lost > lostByKill+takeOver:
			r.fault("%s: %.1f s were lost, at most %.0f are allowed",
				f.Name, row.Lost.Seconds(), (lostByKill + takeOver).Seconds())
		}
	}
}
