package simulate

import (
	"time"
)

// reasons are LiveKit's, for those who meant to leave and those who did not.
const (
	meant   = "CLIENT_INITIATED"
	unmeant = "SIGNAL_CLOSE"
	reload  = "DUPLICATE_IDENTITY"
)

// play makes one move. It does not block: what lasts has a goroutine of its own.
func (f *fleet) play(m Move) {
	f.journal.note("PLAN", "%s", m)
	h, p := f.hosts[m.Host%len(f.hosts)], f.server.all[f.server.names[m.Person%len(f.server.names)]]
	switch m.Do {
	case Join:
		f.join(p, m.Webhook)
	case Leave:
		f.leave(p, m)
	case Hop:
		f.hop(p, m)
	case Mute:
		f.mute(p, m.Target)
	case StartByREST:
		go f.front.start(p.room, p.identity, m.Target)
	case StopPerson:
		go f.front.stop(p.room, p.identity)
	case StopRecording:
		go f.front.stopID(p.room, p.identity, f.dice.below)
	case Boot:
		f.boot(h, m.NewDisk)
	case Redeliver:
		f.disturbed(string(m.Do), 0)
		f.queues.redeliver(f.dice)
	case Duplicate:
		f.queues.duplicate(f.dice)
	case Clock:
		if m.Service == LiveKit {
			f.server.setClock(seconds(m.Seconds))
		} else {
			f.setClock(h, seconds(m.Seconds))
		}
	default:
		f.playFault(m, h, p)
	}
}

// playFault makes a move after which frames may get lost.
func (f *fleet) playFault(m Move, h *host, p *person) {
	f.disturbed(m.String(), seconds(m.Seconds))
	switch m.Do {
	case Kill:
		f.kill(h, "")
	case Vanish:
		f.kill(h, "")
		h.disk = newDisk()
	case Terminate:
		f.terminate(h)
	case Cut:
		time.AfterFunc(seconds(m.Seconds), f.network.begin(h.name, m.Service, m.Mode))
	case Outage:
		time.AfterFunc(seconds(m.Seconds), f.network.begin(everybody, m.Service, m.Mode))
	case MuxerDies, MuxerHangs:
		for _, r := range h.alive() {
			r.muxer.disturb(f.dice, m.Do == MuxerHangs)
		}

	case DiskFull:
		d := h.disk
		d.setFull(true)
		time.AfterFunc(seconds(m.Seconds), func() { d.setFull(false) })

	case Poison:
		f.server.mu.Lock()
		p.deadlyUntil = time.Now().Add(seconds(m.Seconds))
		f.server.mu.Unlock()
	case LiveKitRestarts:
		f.restartLiveKit(seconds(m.Seconds))
	default:
		f.violate("plan", "there is no move %q", m.Do)
	}
}

// disturbed notes a disturbance that lasts from now on.
func (f *fleet) disturbed(what string, lasts time.Duration) {
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	now := time.Now()
	f.disturbances = append(f.disturbances, disturbance{what, now, now.Add(lasts)})
}

// hook sends a webhook. The server's lock is held.
func (f *fleet) hook(name string, p *person, s *session, reason string, fate Hook) {
	f.nextEvent++
	f.front.post(event{
		name:    name,
		room:    p.room,
		person:  p.identity,
		session: s.sid,
		reason:  reason,
		at:      time.Now().Add(f.server.ahead),
	}, f.nextEvent, fate)
}

func (f *fleet) join(p *person, fate Hook) {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	if p.now() != nil || f.server.down {
		return
	}
	s := f.server.join(p)
	f.journal.note("livekit", "%s joins as %s", p.identity, s.sid)
	f.hook("participant_joined", p, s, "", fate)
	f.server.changed(p.room)
}

func (f *fleet) leave(p *person, m Move) {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	s := p.now()
	if s == nil || f.server.down {
		return
	}

	reason := meant
	if m.Lost {
		reason = unmeant
	}

	f.end(p, s, reason, m.Webhook)
	f.server.changed(p.room)
}

// end ends a session. The lock is held.
func (f *fleet) end(p *person, s *session, reason string, fate Hook) {
	s.left = time.Now()
	f.journal.note("livekit", "%s leaves, was %s (%s)", p.identity, s.sid, reason)
	f.hook("participant_left", p, s, reason, fate)
}

// hop ends a session and begins another one: at once if the new one pushes the old one out, else after some seconds.
func (f *fleet) hop(p *person, m Move) {
	f.server.mu.Lock()
	s := p.now()
	if s == nil || f.server.down {
		f.server.mu.Unlock()
		return
	}
	fate := m.Webhook
	if m.Next != nil {
		fate = *m.Next
	}
	if !m.Lost {
		f.end(p, s, meant, m.Webhook)
		f.server.changed(p.room)
		f.server.mu.Unlock()
		time.AfterFunc(seconds(m.Seconds), func() { f.join(p, fate) })
		return
	}

	f.end(p, s, reload, m.Webhook)
	next := f.server.join(p)
	f.journal.note("livekit", "%s joins as %s", p.identity, next.sid)
	f.hook("participant_joined", p, next, "", fate)
	f.server.changed(p.room)
	f.server.mu.Unlock()
}

func (f *fleet) mute(p *person, source string) {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	s := p.now()
	if s == nil {
		return
	}

	for _, t := range s.sent {
		if t.name == source {
			t.muted = !t.muted
			t.wantKey = true
			f.journal.note("livekit", "%s of %s is muted: %t", source, p.identity, t.muted)
		}
	}

	f.server.changed(p.room)
}

// setClock sets a machine's clock, under its recorders' feet.
func (f *fleet) setClock(h *host, ahead time.Duration) {
	h.skew = ahead
	for _, r := range h.alive() {
		r.setClock(ahead)
	}
}

// setClock sets LiveKit's clock.
func (s *server) setClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}

// restartLiveKit kills the server. It says goodbye to nobody; when it is back, people come back in new sessions.
func (f *fleet) restartLiveKit(lasts time.Duration) {
	s := f.server
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.down {
		return
	}

	s.down = true
	for _, b := range s.bots {
		s.lose(b, errLost)
	}

	var back []*person
	for _, name := range s.names {
		if p := s.all[name]; p.now() != nil {
			p.now().left = time.Now()
			back = append(back, p)
		}
	}

	time.AfterFunc(lasts, func() {
		s.mu.Lock()
		s.down = false
		s.mu.Unlock()
		for _, p := range back {
			time.AfterFunc(f.dice.between(500*time.Millisecond, 8*time.Second), func() { f.join(p, Hook{}) })
		}
	})
}
