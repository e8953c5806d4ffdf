// Package hostile has people send what no browser would, into a room in which honest people are recorded by the same
// recorder, and measures what that costs: the recorder's memory, processor time and open files, and what of the honest
// people's calls is missing in their files.
package hostile

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// Room is the room that everybody is in; the system must record whoever joins it.
const Room = "hostile"

const (
	// joinWithin bounds the coming of honest people, until they are recorded.
	joinWithin = time.Minute
	// pause is the time between two attacks: what is behind the one does not count for the other.
	pause = 2 * time.Second
)

// Plan is what is to happen.
type Plan struct {
	// Honest is how many honest people there are.
	Honest int
	// Attacks come one after the other.
	Attacks []Attack
	// Media is the directory for encoded test signals.
	Media string
	// Say tells what happens.
	Say func(string, ...any)
}

// arena is where it happens.
type arena struct {
	Plan
	system   *stack.Stack
	recorder *stack.Process
	honest   []*person
	crowd    crowd
	watch    *watch
	rows     []Row
	// published counts the tracks that were really published by those who publish many.
	published atomic.Int64
}

// person is somebody honest.
type person struct {
	*participant.Participant
	name   string
	camera *participant.Publication
}

// Run lets everything happen. The system must be up, with that recorder and no other.
func Run(ctx context.Context, s *stack.Stack, recorder *stack.Process, plan Plan) (Report, error) {
	a := &arena{
		Plan:     plan,
		system:   s,
		recorder: recorder,
		watch:    &watch{recorder: recorder, liveKit: s.LiveKitPID()},
	}
	for _, signal := range []string{"vp8", "vp9", "h264", "opus", "opus-stereo"} {
		if _, err := participant.Make(ctx, plan.Media, signal); err != nil {
			return Report{}, err
		}
	}

	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { a.watch.run(watching) })
	defer watcher.Wait()
	defer stop()
	defer a.goodbye()

	if err := a.welcome(ctx); err != nil {
		return Report{}, err
	}
	for _, attack := range a.Attacks {
		if err := a.suffer(ctx, attack); err != nil {
			return Report{}, err
		}
	}

	a.Say("everybody leaves")
	a.goodbye()
	return a.check(ctx)
}

// welcome lets the honest people come, and returns when all of them are recorded.
func (a *arena) welcome(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	a.Say("%d honest people come", a.Honest)

	codecs := []string{"vp8", "h264", "vp9"}
	for n := range a.Honest {
		name := fmt.Sprint("honest-", n)
		p, err := a.enter(name, participant.Options{})
		if err != nil {
			return err
		}
		a.honest = append(a.honest, &person{Participant: p, name: name})
		if _, err := p.Microphone(); err != nil {
			return err
		}
		if a.honest[n].camera, err = p.Camera(codecs[n%len(codecs)]); err != nil {
			return err
		}
	}

	for _, p := range a.honest {
		_, err := a.system.REST().AwaitOf(ctx, Room, p.name, func(r document.Recording) bool {
			return r.State == document.Active
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// goodbye lets the honest people leave.
func (a *arena) goodbye() {
	var leaving sync.WaitGroup
	for _, p := range a.honest {
		leaving.Go(p.Leave)
	}
	leaving.Wait()
}

// suffer lets an attack happen.
func (a *arena) suffer(ctx context.Context, attack Attack) error {
	a.Say("%s", attack.Name)
	err := a.measured(ctx, attack, func() error {
		lasting, cancel := context.WithTimeout(ctx, attack.Length)
		defer cancel()
		defer a.crowd.leave()
		err := attack.act(lasting, &cast{arena: a, prefix: attack.prefix})
		if err != nil && lasting.Err() == nil {
			return fmt.Errorf("%s: %w", attack.Name, err)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return stack.Pass(ctx, pause)
}

// measured notes what something costs.
func (a *arena) measured(ctx context.Context, attack Attack, happen func() error) error {
	row := Row{Attack: attack, From: time.Now()}
	before, beforeFFmpeg, err := a.recorder.Usages()
	if err != nil {
		return err
	}

	a.watch.reset()
	dropped := a.watch.lost()
	if err := happen(); err != nil {
		return err
	}

	after, afterFFmpeg, err := a.recorder.Usages()
	if err != nil {
		return err
	}
	row.To = time.Now()
	lasted := row.To.Sub(row.From).Seconds()
	row.Recorder = (after.CPU - before.CPU).Seconds() / lasted
	row.FFmpeg = (afterFFmpeg.CPU - beforeFFmpeg.CPU).Seconds() / lasted
	row.Peak = a.watch.peak()
	now := a.watch.lost()
	row.Dropped = Dropped{Recorder: now.Recorder - dropped.Recorder, LiveKit: now.LiveKit - dropped.LiveKit}
	a.rows = append(a.rows, row)
	return ctx.Err()
}

// enter lets somebody into the room.
func (a *arena) enter(name string, o participant.Options) (*participant.Participant, error) {
	return participant.Join(a.system.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, Room, name, a.Media, o)
}
