package hostile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
)

// Attack is what some people do for a while.
type Attack struct {
	Name   string
	Length time.Duration
	// Quick attacks are part of `make test`.
	Quick bool

	prefix string // of the names of those who do it
	act    func(context.Context, *cast) error
}

// Attacks returns all of them. Each lasts as long, but for endless frames, which are endless for a minute.
func Attacks(length time.Duration, tracks int) []Attack {
	return []Attack{
		{Name: "a frame without an end", Quick: true, Length: max(length, time.Minute), prefix: "endless-", act: endless},
		{Name: "every second packet missing, 4,000 a second", Quick: true, Length: length, prefix: "holes-", act: holes},
		{Name: "key frames of 2 MiB, one a second", Length: length, prefix: "bursts-", act: bursts},
		{Name: "tracks anew every 2 s, no reports", Length: length, prefix: "churn-", act: churn},
		{Name: "codecs and channels alternate", Length: length, prefix: "codecs-", act: codecs},
		{Name: "made-up sender reports", Quick: true, Length: length, prefix: "reports-", act: reports},
		{Name: "timestamps leap by hours", Quick: true, Length: length, prefix: "stamps-", act: stamps},
		{Name: fmt.Sprintf("%d tracks", tracks), Length: length, prefix: "tracks-", act: manyTracks(tracks)},
		{Name: "50 people come for a second each", Length: length, prefix: "odd-", act: passersBy},
	}
}

// Nobody attacks: it is measured what honest people alone cost.
func Nobody(length time.Duration) Attack {
	wait := func(ctx context.Context, _ *cast) error {
		<-ctx.Done()
		return nil
	}
	return Attack{Name: "nobody", Length: length, act: wait}
}

// Together are several attacks at once.
func Together(attacks []Attack, length time.Duration) Attack {
	act := func(ctx context.Context, c *cast) error {
		return each(len(attacks), func(n int) error {
			return attacks[n].act(ctx, &cast{arena: c.arena, prefix: c.prefix + attacks[n].prefix})
		})
	}
	return Attack{
		Name:   "all of it at once",
		Length: length,
		prefix: "all ",
		act:    act,
	}
}

// cast are those who take part in an attack.
type cast struct {
	*arena
	prefix string
}

// enter lets somebody in, who stays until the attack is over.
func (c *cast) enter(name string, o participant.Options) (*participant.Participant, error) {
	p, err := c.arena.enter(c.prefix+name, o)
	if err != nil {
		return nil, err
	}
	c.crowd.add(p)
	return p, nil
}

// silent are sender reports that never come.
func silent(time.Duration) (ahead time.Duration, any bool) { return 0, false }

// anewEvery is how long tracks last that are published anew all the time.
const anewEvery = 2 * time.Second

// churn has two people publish camera and microphone anew, again and again, without any sender reports.
func churn(ctx context.Context, c *cast) error {
	return each(2, func(n int) error {
		p, err := c.enter(fmt.Sprint(n), participant.Options{Reported: silent})
		if err != nil {
			return err
		}
		return anew(ctx, p, func(int) (camera, microphone string) { return "vp8", "opus" })
	})
}

// codecs has two people change codec, and the number of channels, with each track.
func codecs(ctx context.Context, c *cast) error {
	return each(2, func(n int) error {
		p, err := c.enter(fmt.Sprint(n), participant.Options{})
		if err != nil {
			return err
		}
		return anew(ctx, p, func(n int) (camera, microphone string) {
			return []string{"vp8", "h264", "vp9"}[n%3], []string{"opus", "opus-stereo"}[n%2]
		})
	})
}

// anew publishes tracks of changing signals until ctx is done.
func anew(ctx context.Context, p *participant.Participant, signals func(n int) (camera, microphone string)) error {
	for n := 0; ctx.Err() == nil; n++ {
		video, audio := signals(n)
		camera, err := p.Camera(video)
		if err != nil {
			return err
		}
		publish := p.Microphone
		if audio == "opus-stereo" {
			publish = p.StereoMicrophone
		}
		microphone, err := publish()
		if err != nil {
			return err
		}

		if stack.Pass(ctx, anewEvery) != nil {
			return nil
		}
		for _, t := range []*participant.Publication{camera, microphone} {
			if err := t.Unpublish(); err != nil {
				return err
			}
		}
	}
	return nil
}

// year is about one.
const year = 365 * 24 * time.Hour

// clocks are those of people whose sender reports are made up: by how much they are ahead.
func clocks() map[string]func(lasted time.Duration) time.Duration {
	return map[string]func(time.Duration) time.Duration{
		"ahead":   func(time.Duration) time.Duration { return 3 * year },
		"behind":  func(time.Duration) time.Duration { return -3 * year },
		"jumping": func(lasted time.Duration) time.Duration { return lasted.Truncate(4*time.Second) * 3600 },
		"back":    func(lasted time.Duration) time.Duration { return -lasted.Truncate(4*time.Second) * 3600 },
		"random":  func(time.Duration) time.Duration { return rand.N(2*year) - year },
	}
}

// reports has people tell what time it is not.
func reports(ctx context.Context, c *cast) error {
	all := clocks()
	var names []string
	for name := range all {
		names = append(names, name)
	}

	return each(len(names), func(n int) error {
		ahead := all[names[n]]
		return c.call(ctx, names[n], participant.Options{
			Reported: func(lasted time.Duration) (time.Duration, bool) { return ahead(lasted), true },
		})
	})
}

// stamps has people whose timestamps leap: by an hour each 3 seconds, to and fro, and anywhere.
func stamps(ctx context.Context, c *cast) error {
	const apart = 3 * time.Second
	leaps := []func(time.Duration) time.Duration{
		func(lasted time.Duration) time.Duration { return lasted.Truncate(apart) * 1200 },
		func(lasted time.Duration) time.Duration { return lasted / apart % 2 * time.Hour },
		func(time.Duration) time.Duration { return rand.N(12 * time.Hour) },
	}
	return each(len(leaps), func(n int) error {
		return c.call(ctx, fmt.Sprint(n), participant.Options{Stamped: leaps[n]})
	})
}

// call is somebody with camera and microphone, until ctx is done.
func (c *cast) call(ctx context.Context, name string, o participant.Options) error {
	p, err := c.enter(name, o)
	if err != nil {
		return err
	}
	if _, err := p.Microphone(); err != nil {
		return err
	}
	if _, err := p.Camera("vp8"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// each does something for several people at once.
func each(people int, do func(n int) error) error {
	var doing errgroup.Group
	for n := range people {
		doing.Go(func() error { return do(n) })
	}
	return doing.Wait()
}
