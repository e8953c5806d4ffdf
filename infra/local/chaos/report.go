package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

const (
	// seam is how exactly parts meet.
	seam = 100 * time.Millisecond
	// finishWithin is how long it may take until everything is stored.
	finishWithin = 3 * time.Minute
	// lostByKill is what a killed recorder may lose beside the time until another one records: a tail interval, and what
	// was under way.
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
	var recordings []ledger.Recording
	for _, p := range a.people {
		r, err := a.recording(ctx, p, ledger.Recording.Final)
		if err != nil {
			return report, err
		}
		recordings = append(recordings, r)
		all, err := stack.REST{Base: a.system.API}.List(ctx, Room, p.name)
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

// timeline finds what a recording lacks, and which fault was the reason.
func (r *Report) timeline(p *person, recording ledger.Recording, happened []injected) {
	if recording.State != ledger.Completed {
		r.fault("%s: %s: %s", p.name, recording.State, recording.Reason)
		return
	}
	end := p.first
	for _, part := range recording.Parts {
		if nothingStored(part) {
			continue // its time is a gap
		}
		if part.State != ledger.Completed {
			r.fault("%s: %s: %s", part.Key, part.State, part.Reason)
			continue
		}
		r.attribute(p, end, *part.StartedAt, happened)
		for _, t := range part.Tracks {
			for _, gap := range t.Gaps { // within a part, when LiveKit was away
				if t.Kind == "audio" && gap.Length > seam.Seconds() {
					from := part.StartedAt.Add(time.Duration(gap.Start * float64(time.Second)))
					r.attribute(p, from, from.Add(time.Duration(gap.Length*float64(time.Second))), happened)
				}
			}
		}
		if stop := part.StartedAt.Add(time.Duration(part.Duration * float64(time.Second))); stop.After(end) {
			end = stop
		}
	}
	r.attribute(p, end, p.left.Add(-time.Second), happened)
}

// attribute puts what lies between two times of somebody's recording down to the last fault before it.
func (r *Report) attribute(p *person, end, start time.Time, happened []injected) {
	lost := start.Sub(end)
	for n := len(happened) - 1; n >= 0; n-- {
		f := happened[n]
		if start.Before(f.at) {
			continue
		}
		row := &r.Rows[n]
		if lost < -seam || lost > seam { // a part that overlaps, or a gap
			row.people[p] = true
			row.Hit = len(row.people)
			row.Lost = max(row.Lost, lost)
			if lost > seam {
				row.Resume = max(row.Resume, start.Sub(f.at))
			}
		}
		return
	}
	if lost > seam {
		r.fault("%.1f s are missing before anything had happened", lost.Seconds())
	}
}

// nothingStored knows the parts of recorders that were killed in their first seconds.
func nothingStored(part ledger.Part) bool {
	return part.State == ledger.Failed && strings.HasSuffix(part.Reason, "before anything of it was stored")
}

func (r *Report) limits(happened []injected) {
	for n, f := range happened {
		switch row := r.Rows[n]; {
		case f.Lossless && row.Lost > seam:
			r.fault("%s: %.1f s were lost", f.Name, row.Lost.Seconds())
		case row.Lost > lostByKill+takeOver:
			r.fault("%s: %.1f s were lost, at most %.0f are allowed", f.Name, row.Lost.Seconds(), (lostByKill + takeOver).Seconds())
		}
	}
}
