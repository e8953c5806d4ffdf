package fidelity

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/stack"
)

// Bench is where cases are run.
type Bench struct {
	// System records everybody whose room begins with RoomPrefix; it has a recorder.
	System *stack.Stack
	// Work is a directory for the logs and files of systems that cases have for themselves.
	Work string
	// Media is the directory for encoded test signals.
	Media string
	// Browser is for the cases that need one.
	Browser *browser.Browser
	// Minutes is the length of the long case.
	Minutes int
}

// RoomPrefix begins the names of the cases' rooms.
const RoomPrefix = "auto-fidelity-"

// identity is who is recorded in every case.
const identity = "alice"

// Case is something that happens to a call, and how good its recording must be nevertheless.
type Case struct {
	Name string
	// Quick cases are part of `make test`.
	Quick bool
	// Own cases have a system of their own, whose recorder is behind a relay.
	Own bool
	// Joined cases have one whose recorders join parts.
	Joined bool
	// Browser cases have Chromium publish.
	Browser bool
	Act     func(context.Context, *Scene) error
	Limits  Limits
}

// Limits are what a case's result must keep.
type Limits struct {
	Parts  int           // exactly
	Offset time.Duration // of sound against picture, at any time
	Gap    time.Duration
	Frames float64 // share, at least
	// Gaps are the kinds of gaps that must be listed, as "audio muted".
	Gaps []string
}

// Untimed are the limits without those of when a browser sends. That is the browser's own affair, and the machine's:
// beside two busy loops on two cores its sound was up to 66 ms late, and a picture came 107 ms beside its time. No
// recorder can know. `make fidelity` measures it, on a machine that has nothing else to do.
func (l Limits) Untimed() Limits {
	l.Offset, l.Gap = participant.FlashEvery, participant.FlashEvery
	return l
}

// Scene is one case as it plays.
type Scene struct {
	*Bench
	Room   string
	Truth  Truth
	system *stack.Stack
	// bot is the recorder's network, in systems of a case's own.
	bot *relay.Relay
	// recorder is the first one there; joined says that it joins parts.
	recorder *stack.Process
	joined   bool

	cameras []*participant.Publication
	mu      sync.Mutex
	undo    []func()
}

// Run plays a case and measures its recording.
func (c Case) Run(ctx context.Context, b *Bench) (result Result, err error) {
	room := RoomPrefix + strings.NewReplacer(" ", "-", ",", "", "%", "", "→", "to", ":", "").Replace(c.Name)
	s := &Scene{
		Bench:  b,
		Room:   room,
		system: b.System,
		Truth:  Truth{Delay: participant.EncoderDelay},
		joined: c.Joined,
	}
	defer s.end()
	if c.Own {
		if err := s.own(ctx); err != nil {
			return result, err
		}
	}

	if err := c.Act(ctx, s); err != nil {
		return result, err
	}
	for _, camera := range s.cameras {
		s.Truth.Sent = append(s.Truth.Sent, camera.Sent()...)
	}

	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rest := s.system.REST()
	recording, err := rest.AwaitOf(waiting, room, identity, c.ended)
	if err != nil {
		return result, err
	}

	all, err := rest.List(ctx, room, identity)
	if err != nil {
		return result, err
	}
	if len(all) != 1 {
		return result, fmt.Errorf("%d recordings, where one was to go on", len(all))
	}
	return Measure(ctx, s.system, recording, s.Truth)
}

// Check says what of a result is beyond the limits.
func (l Limits) Check(r Result) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if r.Parts != l.Parts {
		fault("%d parts, not %d", r.Parts, l.Parts)
	}
	if worst := max(r.Start.Abs(), r.End.Abs()); worst > l.Offset+r.Stood {
		fault("sound is %.1f ms beside the picture, at most %.0f are allowed, %.1f of them the publisher's own",
			ms(worst), ms(l.Offset+r.Stood), ms(r.Stood))
	}

	if r.Gap > l.Gap+r.Stood {
		fault("a gap is wrong by %.1f ms, at most %.0f are allowed, %.1f of them the publisher's own",
			ms(r.Gap), ms(l.Gap+r.Stood), ms(r.Stood))
	}
	if r.Placement > l.Gap {
		fault("the signal is %.1f ms from where startedAt puts it", ms(r.Placement))
	}
	if r.Drift.Abs() > time.Millisecond {
		fault("drifts by %.2f ms a minute", ms(r.Drift))
	}

	if r.Frames < l.Frames {
		fault("only %.2f %% of the frames, at least %.2f are wanted", 100*r.Frames, 100*l.Frames)
	}
	if len(r.Complaints) > 0 {
		fault("ffmpeg complains: %s", strings.Join(r.Complaints, "; "))
	}

	for _, kind := range l.Gaps {
		if !strings.Contains(strings.Join(r.Gaps, ";"), kind) {
			fault("no gap %q is listed", kind)
		}
	}

	return faults
}

func (s *Scene) later(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.undo = append(s.undo, f)
}

func (s *Scene) end() {
	for n := len(s.undo) - 1; n >= 0; n-- {
		s.undo[n]()
	}
}

// own brings up a system for this case, with a relay between its recorder and its LiveKit server.
func (s *Scene) own(ctx context.Context) (err error) {
	o := s.Bench.System.Options
	work := filepath.Join(s.Work, s.Room)
	s.system, err = stack.Start(ctx, stack.Options{
		Tools:      o.Tools,
		Binaries:   o.Binaries,
		Work:       work,
		BucketRoot: filepath.Join(work, "s3"),
		AutoRecord: RoomPrefix + "*/*",
	})

	s.later(s.system.Stop)
	if err != nil {
		return err
	}
	if s.bot, err = s.network(); err != nil {
		return err
	}

	s.recorder, err = s.system.StartRecorder(ctx, s.recorderEnv()...)
	return err
}

// network makes a relay to the scene's LiveKit server.
func (s *Scene) network() (*relay.Relay, error) {
	r, err := relay.Start(s.system.LiveKit)
	if err == nil {
		s.later(r.Close)
	}
	return r, err
}

// join lets alice in, over a network if one is given.
func (s *Scene) join(network *relay.Relay, o participant.Options) (*participant.Participant, error) {
	url := s.system.LiveKit
	if network != nil {
		url = network.URL
	}
	if o.Epoch.IsZero() {
		o.Epoch = time.Now()
	}

	p, err := participant.Join(url, stack.LiveKitKey, stack.LiveKitSecret, s.Room, identity, s.Media, o)
	if err != nil {
		return nil, err
	}

	var once sync.Once
	s.later(func() { once.Do(p.Leave) })
	s.Truth.Epoch = o.Epoch.Add(o.ClockOffset)
	return p, nil
}

// camera publishes and notes what is sent.
func (s *Scene) camera(p *participant.Participant, signal string) (*participant.Publication, error) {
	camera, err := p.Camera(signal)
	if err == nil {
		s.cameras = append(s.cameras, camera)
	}
	return camera, err
}

// call lets alice in with camera and microphone.
func (s *Scene) call(network *relay.Relay, o participant.Options, signal string) (
	p *participant.Participant, camera, microphone *participant.Publication, err error,
) {
	if p, err = s.join(network, o); err != nil {
		return nil, nil, nil, err
	}
	if microphone, err = p.Microphone(); err != nil {
		return nil, nil, nil, err
	}
	camera, err = s.camera(p, signal)
	return p, camera, microphone, err
}
