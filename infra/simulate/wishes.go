package simulate

import (
	"cmp"
	"slices"
	"time"
)

// wish says whether something of a person is surely to be recorded in a time, or surely not. What is neither (a start
// that was sent before a stop and came after it, a session of which nobody has heard) is in no wish: nobody can say.
type wish struct {
	person, target string
	wanted         bool
	from, until    time.Time
}

// happening is what changes somebody's wish.
type happening struct {
	at   time.Time
	what string // began, ended, start, hook, stop, stopID, doubt
	sid  string
	id   string // of the recording
	to   string // target
}

// wishes works out what was wanted of a person, from what the function has accepted.
func (f *fleet) wishes(p *person, end time.Time) (all []wish) {
	happened := f.happenings(p)
	for _, target := range []string{"av", "audio", "video", "camera"} {
		w := wisher{person: p.identity, target: target, end: end}
		for _, h := range happened {
			w.take(h)
		}
		w.become("unclear", end)
		all = append(all, w.wishes...)
	}
	return all
}

func (f *fleet) happenings(p *person) (all []happening) {
	for _, s := range p.sessions {
		all = append(all, happening{at: s.joined, what: "began", sid: s.sid})
		if !s.left.IsZero() {
			all = append(all, happening{at: s.left, what: "ended", sid: s.sid})
		}
	}

	for _, h := range f.front.hooks {
		if h.person == p.identity && h.event == "participant_joined" {
			all = append(all, happening{
				at:   h.at,
				what: "hook",
				sid:  h.session,
				to:   "av",
			})
		}
	}

	for _, c := range f.front.calls {
		if c.person != p.identity {
			continue
		}

		h := happening{
			at:   c.at,
			what: "stop",
			id:   c.recording,
			to:   c.target,
		}

		switch {
		case c.start:
			h.what = "start"
		case c.recording != "":
			h.what = "stopID"
		}
		if c.doubtful {
			h.what = "doubt"
		}

		all = append(all, h)
	}

	slices.SortStableFunc(all, func(a, b happening) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	return all
}

// wisher follows one person's wish for one target.
type wisher struct {
	person, target string
	end            time.Time
	wishes         []wish

	session   string // that goes on
	state     string // wanted, unwanted, unclear
	since     time.Time
	stoppedAt time.Time // by REST, in the session that goes on
}

func (w *wisher) become(state string, at time.Time) {
	if w.state == state {
		return
	}
	if w.state == "wanted" || w.state == "unwanted" {
		w.wishes = append(w.wishes, wish{w.person, w.target, w.state == "wanted", w.since, at})
	}
	w.state, w.since = state, at
}

func (w *wisher) take(h happening) {
	switch h.what {
	case "began":
		w.become("unclear", h.at)
		w.session, w.stoppedAt = h.sid, time.Time{}
	case "ended":
		if w.session == h.sid {
			w.become("unclear", h.at)
			w.session = ""
		}

	case "hook", "start":
		w.start(h)
	case "stop":
		w.stoppedAt = h.at
		if w.session != "" {
			w.become("unwanted", h.at)
		}

	case "stopID", "doubt":
		w.stoppedAt = h.at
		w.become("unclear", h.at)
	}
}

func (w *wisher) start(h happening) {
	if h.to != w.target || w.session == "" || h.what == "hook" && h.sid != w.session {
		return
	}

	// A start that comes close behind a stop may overtake it; a webhook behind a stop may be older than that.
	after := h.at.Sub(w.stoppedAt)
	if !w.stoppedAt.IsZero() && (h.what == "hook" || after < time.Minute) {
		w.become("unclear", h.at)
		return
	}
	if w.state == "unwanted" || w.state == "unclear" || w.state == "" {
		w.become("wanted", h.at)
	}
}
