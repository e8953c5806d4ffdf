package recording

import (
	"slices"
	"time"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

const (
	// saveInterval is how often a document is saved in which nothing but numbers has changed, and soundInterval the same
	// without a picture: little of it changes, and an hour of sound alone is to cost less.
	saveInterval  = 5 * time.Minute
	soundInterval = 40 * time.Minute
	// gapInterval is the same if it has another gap. Should its recorder die, the gaps of the last of it are not known.
	gapInterval = time.Minute
)

// noteDelay is how long a session that was joined waits for the first report of a track, to be written down with it.
// Most publish when they join: that is one write of the ledger, and of the document, in place of two and three. Should
// the recorder die in that time, what it has of a file is found without the document.
const noteDelay = 2 * time.Second

// saveRetry is how long a document waits that could not be saved: the bucket may refuse it at once, every time.
const saveRetry = 2 * time.Second

// papers are what a course knows of its recording's document. Only its goroutine touches them.
type papers struct {
	recording document.Recording // without parts
	wanted    string             // the file name that was asked for
	earlier   []document.Part    // of other owners
	own       []document.Part
	joinedAt  time.Time // when the session that it is of was joined
	began     time.Time // when this recorder's first frame came
	hold      hold      // what may be written of the document

	saving bool // a write is under way
	last   document.Recording
	lastAt time.Time
	noted  sighting // what the ledger knows
	full   bool     // no more parts are to begin
}

// hold is what a recorder may write of a document.
type hold int

const (
	nothing  hold = iota // the bucket has not answered yet
	ownParts             // what became of this recorder's parts: the recording is another one's
	all                  // everything
)

// granted takes the document that the bucket has.
func (p *papers) granted(r document.Recording, v ledger.Verdict) {
	mine := p.recording
	p.recording, p.earlier, p.hold = r, r.Parts, all
	p.last, p.lastAt = r, time.Now() // it was written, or read, just now
	if v == ledger.Extra {
		p.hold = ownParts
	}
	p.recording.Parts = nil
	p.recording = p.recording.Seen(mine)
}

// describe notes what is said of the participant.
func (p *papers) describe(d described) { p.recording = p.recording.Described(d.profile, d.at) }

// refuse notes a track that cannot be recorded. It says whether the document lists it from now on, and whether it was
// not known; of too many, some are news that is not listed.
func (p *papers) refuse(t document.Unrecorded) (listed, news bool) {
	before := len(p.recording.Unrecorded)
	p.recording, news = p.recording.Without(t)
	return len(p.recording.Unrecorded) > before, news
}

// change notes what has become of this recorder's part n.
func (p *papers) change(n int, part document.Part) {
	for len(p.own) <= n {
		p.own = append(p.own, document.Part{})
	}
	p.own[n] = part
}

// filling says, once, that the document has as many parts as it may have.
func (p *papers) filling() bool {
	before := p.full
	p.full = before || len(p.earlier)+len(p.own) >= document.MaxParts
	return p.full && !before
}

// fruitless says that this recorder, and the owners before it, mostOwners in all, have begun no part that came to
// anything: no recorder can write down what is sent.
func (p *papers) fruitless() bool {
	since := p.recording.Epoch - mostOwners
	return since >= 0 && !slices.ContainsFunc(slices.Concat(p.earlier, p.ours()), func(part document.Part) bool {
		return part.State != document.Failed && document.EpochOf(p.recording.File, part.Key) > since
	})
}

// mostOwners is how many owners in a row may fail to write anything before a recording ends.
const mostOwners = 10

// ours are this recorder's parts that have a name.
func (p *papers) ours() []document.Part {
	return slices.DeleteFunc(slices.Clone(p.own), func(part document.Part) bool { return part.Key == "" })
}

// current is the document as it is at the moment.
func (p *papers) current() document.Recording {
	return p.recording.Running(slices.Concat(p.earlier, p.ours()))
}

// due says whether the document should be saved now.
func (p *papers) due(now document.Recording) bool {
	failed := p.last.ID == ""
	if p.hold == nothing || p.saving || failed && time.Since(p.lastAt) < saveRetry {
		return false
	}
	switch {
	case now.Epoch == p.last.Epoch && time.Since(p.joinedAt) < noteDelay && !p.reported():
		return false
	case differ(now, p.last):
		return true
	}

	interval := refresh(now)
	if longGaps(now) != longGaps(p.last) || changes(now) != changes(p.last) {
		interval = gapInterval
	}
	return len(now.Parts) > 0 && time.Since(p.lastAt) >= interval
}

func (p *papers) written(ok bool) {
	p.saving = false
	if !ok { // it is due again
		p.last, p.noted = document.Recording{}, sighting{before: p.noted.before}
	}
}

// differ says whether a document has changed so that others should know at once. A part's tracks are among that: its
// first report may come just after it was saved without any, and should the recorder die, nobody else can say what they
// were.
func differ(a, b document.Recording) bool {
	return a.State != b.State || a.Session != b.Session || a.Epoch != b.Epoch ||
		len(a.Unrecorded) != len(b.Unrecorded) ||
		!slices.EqualFunc(a.Parts, b.Parts, func(a, b document.Part) bool {
			return a.State == b.State && a.Key == b.Key && len(a.Tracks) == len(b.Tracks)
		})
}

// reported says whether anything is known of a track of this recorder's.
func (p *papers) reported() bool {
	return slices.ContainsFunc(p.ours(), func(part document.Part) bool { return len(part.Tracks) > 0 })
}

// refresh is how often a document is saved although nothing but numbers has changed.
func refresh(r document.Recording) time.Duration {
	pictured := slices.ContainsFunc(r.Parts, func(part document.Part) bool {
		return slices.ContainsFunc(part.Tracks, func(t document.TrackReport) bool { return t.Kind == "video" })
	})
	if pictured {
		return saveInterval
	}
	return soundInterval
}

// changes counts those of what is said of the participant.
func changes(r document.Recording) int { return len(r.Changes) + r.ChangesOmitted }

// longGaps counts the gaps of a second and more: should the recorder die, whoever recovers the part must know of them.
func longGaps(r document.Recording) (n int) {
	for _, part := range r.Parts {
		for _, t := range part.Tracks {
			for _, gap := range t.Gaps {
				if gap.Length >= 1 {
					n++
				}
			}
		}
	}
	return n
}
