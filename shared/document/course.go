package document

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"livekit-recorder/shared/command"
)

// Reasons that recordings and parts have in several places.
const (
	ReasonNotJoined = "participant did not join"
	ReasonNoMedia   = "nothing was published that could be recorded"
	// ReasonNoShare is the same of a recording that waited for a screen.
	ReasonNoShare = "no screen was shared"
	// ReasonUnsteady makes a recording failed, although its parts are there: it is not what anybody wanted.
	ReasonUnsteady = "the tracks change again and again, so that there would be too many parts"
	// ReasonGivenUp does the same.
	ReasonGivenUp = "it could not be started, again and again"
)

// failing are the reasons that make a recording failed, whatever there is of it.
var failing = []string{ReasonUnsteady, ReasonGivenUp}

// ErrSuperseded says that a document was last written by a recorder with a higher epoch: the writer has lost the
// recording.
var ErrSuperseded = errors.New("another recorder has taken this recording over")

// ErrUnfinished says that a document cannot be final yet: it has a part of which nobody has said what became of it.
var ErrUnfinished = errors.New("a part of the recording has not come to its end")

// Begun says that something has come of a recording, if only files that nobody has told the end of yet.
func (r Recording) Begun() bool { return r.State != Requested || len(r.Parts) > 0 }

// Unfinished says that what has become of a part is not known.
func (r Recording) Unfinished() bool {
	return slices.ContainsFunc(r.Parts, func(p Part) bool { return !p.Final() })
}

// Owned returns a document as the recorder has it from now on that owns the recording, or writes to it.
func (r Recording) Owned(recorder, bucket string, epoch int) Recording {
	r.Recorder, r.Bucket, r.Epoch = recorder, bucket, epoch
	return r
}

// Running returns a document with the parts so far of a recording that goes on.
func (r Recording) Running(parts []Part) Recording {
	r.Parts = arranged(parts)
	if len(r.Parts) > 0 {
		r.State, r.StartedAt = Active, r.Parts[0].StartedAt
	}
	return r
}

// Beginning returns a document as it is when the recording has begun, for somebody who is to be told of that although
// it may have ended meanwhile.
func (r Recording) Beginning() Recording {
	r.State, r.Reason, r.EndedAt = Active, "", nil
	return r
}

// WithoutGaps returns a document in which the gaps of tracks are only counted.
func (r Recording) WithoutGaps() Recording {
	r.Parts = slices.Clone(r.Parts)
	for n := range r.Parts {
		tracks := slices.Clone(r.Parts[n].Tracks)
		for m := range tracks {
			tracks[m].GapsOmitted += len(tracks[m].Gaps)
			tracks[m].Gaps = nil
		}
		r.Parts[n].Tracks = tracks
	}
	return r
}

// WithoutTracks returns a document that says nothing of tracks.
func (r Recording) WithoutTracks() Recording {
	r.Parts = slices.Clone(r.Parts)
	for n := range r.Parts {
		r.Parts[n].Tracks = []TrackReport{}
	}
	return r
}

// Saved returns what a recorder's document becomes beside the one that is there already: parts that others have brought
// further are theirs. [ErrSuperseded] if the one that is there is of a higher epoch.
func (r Recording) Saved(there Recording) (Recording, error) {
	if there.Epoch > r.Epoch {
		return there, ErrSuperseded
	}
	r.Parts, r.Join = merged(r.Parts, there.Parts), there.Join
	return r.missed(there), nil
}

// Amended returns a document with what became of parts that are not its owner's, or not any more. To a final document,
// only parts are added that are final.
func (r Recording) Amended(parts []Part) Recording {
	if r.Final() {
		parts = slices.DeleteFunc(slices.Clone(parts), func(p Part) bool { return !p.Final() })
	}
	if len(parts) == 0 {
		return r
	}

	r.Parts = merged(parts, r.Parts, Completed)
	if r.Final() {
		return r.Concluded(r.Reason)
	}
	return r
}

// Dismissed returns the document of a recording that came to nothing.
func (r Recording) Dismissed(reason string) Recording {
	r.State, r.Reason = Failed, reason
	return r
}

// Concluded returns a document in its final state. It is completed if one of its parts is, unless the reason says
// otherwise. Without any part, tracks that could not be recorded are what there is to say.
func (r Recording) Concluded(reason string) Recording {
	r.State, r.Reason, r.StartedAt, r.EndedAt = Failed, reason, nil, nil
	for _, part := range r.Parts {
		if part.State == Completed && !slices.Contains(failing, reason) {
			r.State = Completed
		}
		if start := part.StartedAt; start != nil && (r.StartedAt == nil || start.Before(*r.StartedAt)) {
			r.StartedAt = start
		}
		if end := part.end(); part.StartedAt != nil && (r.EndedAt == nil || end.After(*r.EndedAt)) {
			r.EndedAt = &end
		}
	}

	switch {
	case r.State == Completed, slices.Contains(failing, reason):
	case len(r.Parts) > 0:
		for _, part := range r.Parts {
			r.Reason = cmp.Or(part.Reason, r.Reason)
		}
	case r.refusal() != "":
		r.Reason = r.refusal()
	case reason == ReasonNotJoined:
	default:
		r.Reason = r.nothing() + "; " + reason
	}
	return r
}

// nothing says what a recording lacked of which nothing has come.
func (r Recording) nothing() string {
	if r.Media == command.Screen {
		return ReasonNoShare
	}
	return ReasonNoMedia
}

// rank orders the states of parts by how much is settled. No part ever goes back.
var rank = map[State]int{Active: 0, Draining: 1, Failed: 2, Completed: 3}

// merged takes the parts of both lists. Of what both have, the state that more is settled in counts; of the same state,
// the first list's has the newer numbers, unless the part is final: then whoever wrote first was the one that stored
// it. Except for a state in which the first list's counts all the same.
func merged(first, second []Part, except ...State) []Part {
	all := slices.Clone(first)
	for _, other := range second {
		n := slices.IndexFunc(all, func(p Part) bool { return p.Key == other.Key })
		switch {
		case n < 0:
			all = append(all, other)
		case rank[other.State] > rank[all[n].State]:
			all[n] = other
		case other.State == all[n].State && other.Final() && !slices.Contains(except, other.State):
			all[n] = other
		}
	}
	return arranged(withoutJoined(all, all))
}

// arranged puts parts into the order of time, those of which it is not known when they began last, and notes by how
// much each has the same as those before it. Of too many gaps, some are left out.
func arranged(parts []Part) []Part {
	parts = slices.Clone(parts)
	thin(parts)
	slices.SortStableFunc(parts, func(a, b Part) int {
		switch {
		case a.StartedAt != nil && b.StartedAt != nil:
			return a.StartedAt.Compare(*b.StartedAt)
		case a.StartedAt != nil:
			return -1
		case b.StartedAt != nil:
			return 1
		}
		return 0
	})

	var end time.Time
	for n := range parts {
		p := &parts[n]
		if p.StartedAt == nil {
			continue
		}
		p.Overlap = max(0, end.Sub(*p.StartedAt).Seconds())
		if stop := p.end(); stop.After(end) {
			end = stop
		}
	}
	return parts
}

// end is when a part ends, by the publisher's clock.
func (p Part) end() time.Time {
	if p.StartedAt == nil {
		return time.Time{}
	}
	return p.StartedAt.Add(time.Duration(p.Duration * float64(time.Second)))
}
