package simulate

import (
	"slices"
	"time"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
)

// tick publishes everybody's next frames, and brings them to those that follow them. It is called every
// [frameInterval].
func (s *server) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	reached := s.watch(now)

	for _, name := range s.names {
		p := s.all[name]
		stay := p.now()
		if stay == nil || s.down {
			continue
		}
		for _, source := range stay.sent {
			if frame, ok := source.next(p.identity, now); ok {
				s.deliver(reached, p, source, frame)
			}
		}
	}
}

// watch looks after the bots' connections, and returns those of which the network lets frames through.
func (s *server) watch(now time.Time) (reached []*bot) {
	for _, b := range s.bots {
		if !b.connected || b.process.killed() {
			continue
		}

		fault := s.network.between(b.process.host, LiveKit)
		switch {
		case fault == nil || fault.mode == Flaky:
			b.cutSince = time.Time{}
			for _, f := range b.followings {
				s.reconcile(f)
			}
			reached = append(reached, b)
		case b.cutSince.IsZero():
			b.cutSince = now
		case now.Sub(b.cutSince) > resumeWindow:
			s.lose(b, errLost)
		}
	}

	return reached
}

func (s *server) deliver(reached []*bot, p *person, source *source, frame track.Frame) {
	for _, b := range reached {
		if b.key.room != p.room {
			continue
		}
		for _, f := range b.followings {
			if f.interest.Identity == p.identity && f.wants(source) {
				if time.Now().Before(p.deadlyUntil) {
					s.deadly(b.process, p)
				}
				f.frame(source, frame)
			}
		}
	}
}

func (f *Following) wants(s *source) bool {
	return slices.Contains(f.interest.Tracks, s.name) || slices.Contains(f.interest.Tracks, s.sid)
}

// frame brings one frame to a follower: a track begins with its first one, pictures with a key frame.
func (f *Following) frame(s *source, frame track.Frame) {
	v := f.tracks[s]
	if v == nil {
		v = &view{track: &Track{server: f.server, source: s, process: f.bot.process}}
		f.tracks[s] = v
		f.send(room.TrackStarted{Track: v.track})
	}
	if v.keyed = v.keyed || frame.Key; !v.keyed {
		s.wantKey = true
		return
	}

	v.track.stats.Frames++
	v.track.stats.PacketsReceived++
	if frame.Key {
		v.track.stats.KeyFrames++
	}
	f.send(room.TrackFrame{Track: v.track, Frame: frame})
}

// reconcile tells a follower what has changed about the participant since the last time. The lock is held.
func (s *server) reconcile(f *Following) {
	p := s.all[f.interest.Identity]
	if p == nil || f.bot == nil || f.bot.key.room != p.room {
		return
	}

	stay := p.now()
	if s.down {
		stay = nil
	}

	sid := ""
	if stay != nil {
		sid = stay.sid
	}

	if sid != f.session {
		f.endTracks()
		if f.session = sid; sid == "" {
			f.send(room.Left{})
			return
		}
		f.send(room.Joined{Session: sid})
	}

	if stay == nil {
		return
	}

	for _, source := range stay.sent {
		if f.wants(source) && f.muted[source] != source.muted {
			f.muted[source] = source.muted
			f.send(room.TrackMuted{SID: source.sid, Muted: source.muted})
		}
	}
}

func (f *Following) endTracks() {
	for _, v := range f.tracks {
		f.send(room.TrackEnded{Track: v.track})
	}
	clear(f.tracks)
	clear(f.muted)
}

// changed tells everybody whom a change concerns at once, if the network lets it through.
func (s *server) changed(roomName string) {
	for key, b := range s.bots {
		if key.room != roomName || !b.connected || b.process.killed() {
			continue
		}
		if fault := s.network.between(b.process.host, LiveKit); fault != nil && fault.mode != Flaky {
			continue
		}
		for _, f := range b.followings {
			s.reconcile(f)
		}
	}
}

// forget removes the bots of a process that is gone.
func (s *server) forget(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, b := range s.bots {
		if b.process == p {
			delete(s.bots, key)
		}
	}
	delete(s.stopped, p.name)
}
