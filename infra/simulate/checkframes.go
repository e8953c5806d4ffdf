package simulate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"livekit-recorder/shared/document"
)

const (
	// startWithin is how soon a recording must run, when nothing is wrong.
	startWithin = 15 * time.Second
	// stopWithin is how soon a stop must be obeyed, when nothing is wrong.
	stopWithin = 30 * time.Second
	// endMargin is the end of a session, or of a wish, where frames may be cut off.
	endMargin = 2 * time.Second
)

// place is where a frame is.
type place struct {
	recording string
	target    string
	key       string
}

// frameKey is a frame by its track and number.
type frameKey struct {
	track  string
	number int64
}

// checkFrames compares what was sent with what is in completed files.
func (f *fleet) checkFrames(e evidence) (result Result) {
	places := f.places(e, &result)
	end := time.Now()
	for _, name := range f.server.names {
		p := f.server.all[name]
		for _, w := range f.wishes(p, end) {
			if w.wanted {
				f.checkWanted(p, w, places, &result)
			} else {
				f.checkUnwanted(p, w, places)
			}
		}

		for _, s := range p.sessions {
			for _, source := range s.sent {
				result.Frames += len(source.frames)
			}
		}
	}

	f.checkTwice(e, places)
	f.checkStopped(e)
	return result
}

// checkStopped sees that recordings that were stopped by their id end, unless they have been started again.
func (f *fleet) checkStopped(e evidence) {
	for _, c := range f.front.calls {
		if c.doubtful {
			continue
		}
		if c.start || c.recording == "" {
			continue
		}

		until, again := f.startedAgain(c)
		var late []time.Time
		for _, part := range e.documents[c.recording].Parts {
			for _, record := range e.files[part.Key].records {
				if s, ok := readStamp(record.data); ok && s.at.After(c.at.Add(stopWithin)) && f.calm(s.at) &&
					(!again || s.at.Before(until)) {
					late = append(late, s.at)
				}
			}
		}

		if len(late) > 0 {
			slices.SortFunc(late, time.Time.Compare)
			f.violate("stops-are-obeyed", "%s of %s was stopped at %.1f s, and has %s", c.recording, c.person,
				c.at.Sub(f.journal.began).Seconds(), f.ranges(late))
		}
	}
}

// startedAgain is when the person whose recording was stopped was to be recorded again, by a call or a webhook that was
// accepted after that. Should it be carried out before the stop is, the same recording goes on.
func (f *fleet) startedAgain(stop restAnswer) (at time.Time, again bool) {
	note := func(start time.Time) {
		if start.After(stop.at) && (!again || start.Before(at)) {
			at, again = start, true
		}
	}
	for _, c := range f.front.calls {
		if c.start && c.person == stop.person {
			note(c.at)
		}
	}
	for _, h := range f.front.hooks {
		if h.event == "participant_joined" && h.person == stop.person {
			note(h.at)
		}
	}
	return at, again
}

// places finds every frame in the completed files of all recordings.
func (f *fleet) places(e evidence, result *Result) map[frameKey][]place {
	places := map[frameKey][]place{}
	for id, r := range e.documents {
		for _, part := range r.Parts {
			if part.State != document.Completed {
				continue
			}

			for _, record := range e.files[part.Key].records {
				s, ok := readStamp(record.data)
				if !ok {
					continue // silence
				}
				if s.person != r.Participant {
					f.violate("right-person", "%s of %s has a frame of %s", part.Key, r.Participant, s.person)
				}
				k := frameKey{s.track, s.number}
				places[k] = append(places[k], place{id, r.Target, part.Key})
				result.Kept++
			}
		}
	}

	return places
}

// takes says whether a recording of a target has a source.
func takes(target string, s *source) bool {
	switch target {
	case "av":
		return true
	case "audio":
		return s.name == "microphone"
	case "video":
		return s.name == "camera"
	}
	return target == s.name || target == s.sid
}

// frames calls visit with each frame of a person's that a target has, between two times, where it is calm.
func (f *fleet) frames(p *person, target string, from, until time.Time, visit func(*source, sent)) {
	for _, s := range p.sessions {
		for _, source := range s.sent {
			if !takes(target, source) {
				continue
			}
			for _, frame := range source.frames {
				if frame.at.After(from) && frame.at.Before(until) && f.calm(frame.at) {
					visit(source, frame)
				}
			}
		}
	}
}

func (f *fleet) checkWanted(p *person, w wish, places map[frameKey][]place, result *Result) {
	missing := map[string][]time.Time{}
	f.frames(p, w.target, w.from.Add(startWithin), w.until.Add(-endMargin), func(s *source, frame sent) {
		first := s.frames[0].number == frame.number || frame.at.Sub(s.session.joined) < startWithin
		if first || f.quarantined(p.identity, frame.at) || f.observed(p.identity, frame.at) {
			return
		}
		result.Checked++
		for _, at := range places[frameKey{s.sid, frame.number}] {
			if at.target == w.target {
				return
			}
		}
		missing[s.name] = append(missing[s.name], frame.at)
	})

	for source, times := range missing {
		f.violate("calm-is-recorded", "%d frames of the %s of %s (%s) are in no file: %s",
			len(times), source, p.identity, w.target, f.ranges(times))
	}
}

func (f *fleet) checkUnwanted(p *person, w wish, places map[frameKey][]place) {
	var times []time.Time
	in := map[string]bool{}
	f.frames(p, w.target, w.from.Add(stopWithin), w.until, func(s *source, frame sent) {
		for _, at := range places[frameKey{s.sid, frame.number}] {
			if at.target == w.target {
				times = append(times, frame.at)
				in[at.recording] = true
				return
			}
		}
	})
	if len(times) > 0 {
		slices.SortFunc(times, time.Time.Compare)
		f.violate("stops-are-obeyed", "%s (%s) was stopped at %.1f s, and recorded on by %s: %s", p.identity, w.target,
			w.from.Sub(f.journal.began).Seconds(), strings.Join(keysOf(in), " "), f.ranges(times))
	}
}

// checkTwice sees that every frame is in one file of a target only, but for overlaps that the document lists. Two
// recordings may have the same while a fault kept their recorders from knowing of each other. When a part that no
// document knew of began is only known by when it came into the bucket.
func (f *fleet) checkTwice(e evidence, places map[frameKey][]place) {
	twice := map[string]int{}
	captured := f.captured()
	for frame, all := range places {
		for n, a := range all {
			for _, b := range all[:n] {
				same := a.recording == b.recording
				switch {
				case a.target != b.target,
					same && overlaps(e.documents[a.recording], a.key, b.key),
					same && (guessed(e.documents[a.recording], a.key) || guessed(e.documents[a.recording], b.key)),
					!same && !f.calm(captured[frame]):
					continue
				}
				pair := []string{a.key, b.key}
				slices.Sort(pair)
				twice[strings.Join(pair, " and ")]++
			}
		}
	}

	for pair, n := range twice {
		f.violate("exactly-once", "%d frames are in both %s", n, pair)
	}
}

// captured is when every frame was.
func (f *fleet) captured() map[frameKey]time.Time {
	captured := map[frameKey]time.Time{}
	for _, p := range f.server.all {
		for _, s := range p.sessions {
			for _, source := range s.sent {
				for _, frame := range source.frames {
					captured[frameKey{source.sid, frame.number}] = frame.at
				}
			}
		}
	}

	return captured
}

// overlaps says whether the later one of two parts is said to have the same as those before it.
func overlaps(r document.Recording, a, b string) bool {
	if a == b {
		return false
	}

	later := slices.DeleteFunc(slices.Clone(r.Parts), func(p document.Part) bool { return p.Key != a && p.Key != b })
	slices.SortStableFunc(later, func(x, y document.Part) int {
		if x.StartedAt == nil || y.StartedAt == nil {
			return 0
		}
		return x.StartedAt.Compare(*y.StartedAt)
	})

	return len(later) == 2 && (later[1].Overlap > 0 || single(later[0]) || single(later[1]))
}

// single says of a part that it has one picture at most: nobody knows how long that was shown, so it has no length that
// could be listed as an overlap.
func single(p document.Part) bool {
	var frames int64
	for _, t := range p.Tracks {
		frames += t.Frames
	}
	return p.Duration == 0 && frames <= 1
}

func keysOf[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// guessed says of a part that nothing but its file is known of it.
func guessed(r document.Recording, key string) bool {
	for _, p := range r.Parts {
		if p.Key == key {
			return p.Recovered && len(p.Tracks) == 0
		}
	}
	return false
}
