package simulate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
)

// errLost is what a bot's connection ends with.
var errLost = errors.New("the connection to LiveKit was lost")

const (
	// resumeWindow is how long a bot's connection may be cut and still come back by itself.
	resumeWindow = 20 * time.Second
	// joinTimeout bounds the joining of a room.
	joinTimeout = 10 * time.Second
	// eventBuffer is more than any recorder may be behind.
	eventBuffer = 8192
)

// server is the simulated LiveKit server with everybody who is on it.
type server struct {
	*people
	network *network
	journal *journal
	dice    *dice
	broken  func(format string, args ...any) // reports a violation
	deadly  func(*process, *person)          // a recorder gets a frame that kills it

	bots    map[botKey]*bot
	stopped map[string]func(recording string) // what gets a hint, by process
	down    bool
	ahead   time.Duration // by how much its clock is ahead of the true time, as webhooks show it
}

type botKey struct{ process, room string }

// bot is a recorder's hidden participant.
type bot struct {
	key        botKey
	process    *process
	connected  bool
	cutSince   time.Time
	followings []*Following
}

// Following is one recording's view of one participant.
type Following struct {
	server   *server
	bot      *bot
	interest room.Interest
	events   chan room.Event
	session  string            // as last told
	tracks   map[*source]*view // that have been told of
	muted    map[*source]bool  // as last told
	closed   bool
}

type view struct {
	track *Track
	keyed bool
}

// Track is a track as the follower of one recorder sees it.
type Track struct {
	server  *server
	source  *source
	process *process
	stats   track.Stats
}

// Rooms are the rooms as one recorder reaches them.
type Rooms struct {
	server  *server
	process *process
}

// Follow joins a room and follows somebody.
func (r *Rooms) Follow(name string, interest room.Interest, _ logrus.FieldLogger) *Following {
	f := &Following{
		server:   r.server,
		interest: interest,
		events:   make(chan room.Event, eventBuffer),
		tracks:   map[*source]*view{},
		muted:    map[*source]bool{},
	}
	if r.process.alive() != nil {
		return f
	}

	s := r.server
	s.mu.Lock()
	defer s.mu.Unlock()

	key := botKey{r.process.name, name}
	b := s.bots[key]
	if b == nil {
		b = &bot{key: key, process: r.process}
		s.bots[key] = b
		go s.connect(b)
	}

	f.bot = b
	b.followings = append(b.followings, f)
	if b.connected {
		f.send(room.Connected{})
		s.reconcile(f)
	}
	return f
}

// connect joins the room, or closes the bot's followings.
func (s *server) connect(b *bot) {
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	err := s.network.ask(ctx, b.process, LiveKit)
	if err == nil {
		err = pause(ctx, s.dice.between(50*time.Millisecond, 400*time.Millisecond))
	}
	if b.process.killed() {
		return
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.down {
		s.lose(b, errors.Join(errLost, err))
		return
	}
	b.connected = true
	for _, f := range b.followings {
		f.send(room.Connected{})
		s.reconcile(f)
	}
}

// lose ends a bot: everybody who follows somebody by it is told. The lock is held.
func (s *server) lose(b *bot, err error) {
	if s.bots[b.key] == b {
		delete(s.bots, b.key)
	}
	for _, f := range b.followings {
		f.endTracks()
		f.send(room.Closed{Err: err})
		f.closed = true
	}
	b.followings = nil
}

// TellStop hints another recorder to look at the ledger.
func (r *Rooms) TellStop(ctx context.Context, name, recorder, recording string) error {
	if err := r.server.network.ask(ctx, r.process, LiveKit); err != nil {
		return err
	}

	r.server.mu.Lock()
	b, tell := r.server.bots[botKey{recorder, name}], r.server.stopped[recorder]
	r.server.mu.Unlock()
	if b == nil || tell == nil || b.process.killed() || r.server.network.between(b.process.host, LiveKit) != nil {
		return nil // data to nobody is lost, and nobody says so
	}
	tell(recording)
	return nil
}

// Reachable says whether LiveKit can be reached from this recorder, as far as it knows: a fresh cut is not noticed.
func (r *Rooms) Reachable() bool {
	c := r.server.network.between(r.process.host, LiveKit)
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return !r.server.down && (c == nil || c.mode == Flaky || time.Since(c.since) < 5*time.Second)
}

// Events are what happens.
func (f *Following) Events() <-chan room.Event { return f.events }

// Close ends the following, and the bot's stay if it was the last.
func (f *Following) Close() {
	if f.bot == nil || f.bot.process.alive() != nil {
		return
	}

	s := f.server
	s.mu.Lock()
	defer s.mu.Unlock()
	f.closed = true
	f.bot.followings = slices.DeleteFunc(f.bot.followings, func(o *Following) bool { return o == f })
	if len(f.bot.followings) == 0 && s.bots[f.bot.key] == f.bot {
		delete(s.bots, f.bot.key)
	}
}

func (f *Following) send(e room.Event) {
	if f.closed {
		return
	}
	select {
	case f.events <- e:
	default:
		f.closed = true
		f.server.broken("%s does not take the events of %s", f.bot.process.name, f.interest.Identity)
	}
}

// SID is the track's identifier.
func (t *Track) SID() string { return t.source.sid }

// Source is "camera" or "microphone".
func (t *Track) Source() string { return t.source.name }

// Codec is the track's codec.
func (t *Track) Codec() track.Codec { return t.source.codec }

// Stats counts what has come so far.
func (t *Track) Stats() track.Stats {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	return t.stats
}

// Synced says that times are exact: here they always are.
func (t *Track) Synced() bool { return true }

// Time is when a frame was captured.
func (t *Track) Time(f track.Frame) time.Time { return t.source.capturedAt(f) }

// Settle is the same.
func (t *Track) Settle(f track.Frame) time.Time { return t.source.capturedAt(f) }

// ClockOffset is by how much the publisher's clock, which is the true one here, is ahead of the recorder's.
func (t *Track) ClockOffset() time.Duration { return -t.process.offset() }

// RequestKeyFrame makes the next picture one.
func (t *Track) RequestKeyFrame() {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.source.wantKey = true
}
