package fidelity

import (
	"context"
	"errors"
	"slices"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/stack"
)

// exact are the limits for what needs no excuse: the last pictures before somebody leaves may not reach the server.
var exact = Limits{Parts: 1, Offset: 10 * time.Millisecond, Gap: 20 * time.Millisecond, Frames: 0.995}

func (l Limits) in(parts int) Limits            { l.Parts = parts; return l }
func (l Limits) frames(share float64) Limits    { l.Frames = share; return l }
func (l Limits) listing(kinds ...string) Limits { l.Gaps = kinds; return l }

// Cases returns all of them.
func Cases() []Case {
	const usual = 10 * time.Second
	lossy := relay.Network{Loss: 0.05, Reorder: 0.05, Delay: 30 * time.Millisecond}
	cases := []Case{
		{Name: "VP8", Act: calls(participant.Options{}, "vp8", usual), Limits: exact},
		{Name: "VP9", Act: calls(participant.Options{}, "vp9", usual), Limits: exact},
		{Name: "H264", Act: calls(participant.Options{}, "h264", usual), Limits: exact},
		{Name: "stereo", Quick: true, Act: stereo, Limits: exact},
		{Name: "clocks ±200 ppm, an hour ahead", Quick: true, Limits: exact,
			Act: calls(participant.Options{AudioSkew: 200, VideoSkew: -200, ClockOffset: time.Hour}, "vp8", usual)},
		{Name: "clocks ±200 ppm, 90 s", Limits: exact,
			Act: calls(participant.Options{AudioSkew: 200, VideoSkew: -200}, "vp8", 90*time.Second)},
		{Name: "clock set 2 s ahead during the call", Quick: true, Limits: exact,
			Act: calls(participant.Options{Reported: set(8*time.Second, 2*time.Second)}, "vp8", 24*time.Second)},
		{Name: "clock set 2 s back during the call", Limits: exact,
			Act: calls(participant.Options{Reported: set(8*time.Second, -2*time.Second)}, "vp8", 24*time.Second)},
		{Name: "clock an hour off, no report for 9 s", Limits: exact,
			Act: calls(participant.Options{Reported: late(9*time.Second, time.Hour)}, "vp8", 24*time.Second)},
		{Name: "made-up reports, years ahead at times", Limits: exact,
			Act: calls(participant.Options{Reported: madeUp}, "vp8", 24*time.Second)},
		{Name: "pictures 300 ms late", Quick: true, Limits: exact,
			Act: calls(participant.Options{VideoDelay: 300 * time.Millisecond}, "h264", usual)},
		{Name: "both muted for a while", Quick: true, Act: muted, Limits: exact.listing("audio muted", "video muted")},
		{Name: "camera off and on", Act: offAndOn, Limits: exact.frames(0.95).listing("video absent")},
		{Name: "camera 8 s after the microphone", Act: lateCamera, Limits: exact.in(2)},
		{Name: "VP8 changes size", Quick: true, Act: sizes("vp8"), Limits: exact},
		{Name: "VP9 changes size", Act: sizes("vp9"), Limits: exact},
		{Name: "H264 changes size", Quick: true, Act: sizes("h264"), Limits: exact},
		{Name: "VP8 → H264", Quick: true, Act: codecChange, Limits: exact.in(2).frames(0.95)},
		{Name: "5 % loss, server to recorder", Quick: true, Own: true, Limits: exact,
			Act: func(ctx context.Context, s *Scene) error {
				s.bot.Set(lossy)
				return calls(participant.Options{}, "vp8", 20*time.Second)(ctx, s)
			}},
		{Name: "5 % loss, publisher to server", Limits: exact,
			Act: overNetwork("h264", func(ctx context.Context, r *relay.Relay) error {
				r.Set(lossy)
				return stack.Pass(ctx, 20*time.Second)
			})},
		{Name: "signalling resumed", Quick: true, Act: reconnect(lksdk.SimulateSignalReconnect), Limits: exact.frames(0.99)},
		{Name: "node failure", Quick: true, Act: reconnect(lksdk.SimulateNodeFailure), Limits: exact.frames(0.5)},
		{Name: "recorder's network gone for 5 s", Quick: true, Own: true, Limits: exact.frames(0.5),
			Act: func(ctx context.Context, s *Scene) error {
				return s.interrupted(ctx, func() error { return outage(ctx, s.bot, 5*time.Second) })
			}},
		{Name: "publisher's network gone for 20 s", Act: vanished,
			Limits: exact.frames(0.3).listing("audio absent", "video absent")},
		{Name: "LiveKit server restarted", Quick: true, Own: true, Limits: exact.frames(0.3),
			Act: func(ctx context.Context, s *Scene) error {
				return s.interrupted(ctx, func() error { return s.system.RestartLiveKit(ctx, time.Second) })
			}},
	}

	return slices.Concat(cases, joinedCases(), browserCases())
}

// set is a clock that is set at a time.
func set(at, by time.Duration) func(time.Duration) (time.Duration, bool) {
	return func(lasted time.Duration) (time.Duration, bool) {
		if lasted < at {
			return 0, true
		}
		return by, true
	}
}

// late is a clock that is off, of which nothing is heard before a time.
func late(from, off time.Duration) func(time.Duration) (time.Duration, bool) {
	return func(lasted time.Duration) (time.Duration, bool) { return off, lasted >= from }
}

// madeUp is a clock that nobody has.
func madeUp(lasted time.Duration) (time.Duration, bool) {
	return time.Duration(lasted/(4*time.Second)%2) * 3 * 365 * 24 * time.Hour, true
}

// Long is a call of some minutes.
func Long(minutes int) Case {
	return Case{Name: "a long call, clocks ±200 ppm", Limits: exact,
		Act: calls(participant.Options{AudioSkew: 200, VideoSkew: -200}, "vp8", time.Duration(minutes)*time.Minute)}
}

// calls is alice in a room for a while.
func calls(o participant.Options, signal string, length time.Duration) func(context.Context, *Scene) error {
	return func(ctx context.Context, s *Scene) error {
		p, _, _, err := s.call(nil, o, signal)
		if err != nil {
			return err
		}
		defer p.Leave()
		return p.AwaitSent(ctx, length)
	}
}

func stereo(ctx context.Context, s *Scene) error {
	p, err := s.join(nil, participant.Options{})
	if err != nil {
		return err
	}
	defer p.Leave()
	_, err1 := p.StereoMicrophone()
	_, err2 := s.camera(p, "vp8")
	return errors.Join(err1, err2, p.AwaitSent(ctx, 10*time.Second))
}

func muted(ctx context.Context, s *Scene) error {
	p, camera, microphone, err := s.call(nil, participant.Options{}, "vp8")
	if err != nil {
		return err
	}
	defer p.Leave()

	for _, track := range []*participant.Publication{microphone, camera} {
		err = errors.Join(err, stack.Pass(ctx, 4*time.Second))
		track.Mute(true)
		err = errors.Join(err, stack.Pass(ctx, 3500*time.Millisecond))
		track.Mute(false)
	}

	return errors.Join(err, stack.Pass(ctx, 4*time.Second))
}

func offAndOn(ctx context.Context, s *Scene) error {
	p, camera, _, err := s.call(nil, participant.Options{}, "vp8")
	if err != nil {
		return err
	}
	defer p.Leave()
	err = errors.Join(stack.Pass(ctx, 6*time.Second), camera.Unpublish(), stack.Pass(ctx, 4*time.Second))
	_, again := s.camera(p, "vp8")
	return errors.Join(err, again, stack.Pass(ctx, 6*time.Second))
}

func lateCamera(ctx context.Context, s *Scene) error {
	p, err := s.join(nil, participant.Options{})
	if err != nil {
		return err
	}
	defer p.Leave()
	_, err = p.Microphone()
	err = errors.Join(err, stack.Pass(ctx, 8*time.Second))
	_, late := s.camera(p, "h264")
	return errors.Join(err, late, stack.Pass(ctx, 8*time.Second))
}

func sizes(codec string) func(context.Context, *Scene) error {
	return func(ctx context.Context, s *Scene) error {
		p, camera, _, err := s.call(nil, participant.Options{}, codec)
		if err != nil {
			return err
		}
		defer p.Leave()
		return errors.Join(stack.Pass(ctx, 5*time.Second), camera.Resize(codec+"-640x480"), stack.Pass(ctx, 5*time.Second),
			camera.Resize(codec+"-240x320"), stack.Pass(ctx, 5*time.Second)) // a phone that is turned
	}
}

func codecChange(ctx context.Context, s *Scene) error {
	p, camera, _, err := s.call(nil, participant.Options{}, "vp8")
	if err != nil {
		return err
	}
	defer p.Leave()
	err = errors.Join(stack.Pass(ctx, 7*time.Second), camera.Unpublish())
	_, again := s.camera(p, "h264")
	return errors.Join(err, again, stack.Pass(ctx, 7*time.Second))
}

func overNetwork(signal string, during func(context.Context, *relay.Relay) error) func(context.Context, *Scene) error {
	return func(ctx context.Context, s *Scene) error {
		network, err := s.network()
		if err != nil {
			return err
		}
		p, _, _, err := s.call(network, participant.Options{}, signal)
		if err != nil {
			return err
		}
		defer p.Leave()
		return during(ctx, network)
	}
}

// vanished is alice losing her network and, 20 s later, coming in by another one, while her old session has not ended
// yet.
func vanished(ctx context.Context, s *Scene) error {
	network, err := s.network()
	if err != nil {
		return err
	}

	p, _, _, err := s.call(network, participant.Options{}, "vp8")
	if err != nil {
		return err
	}

	err = stack.Pass(ctx, 10*time.Second)
	network.Set(relay.Network{Cut: true})
	err = errors.Join(err, stack.Pass(ctx, 20*time.Second))
	back, _, _, again := s.call(nil, participant.Options{Epoch: p.Epoch}, "vp8")
	if again != nil {
		return again
	}
	defer back.Leave()

	return errors.Join(err, stack.Pass(ctx, 10*time.Second))
}

func outage(ctx context.Context, r *relay.Relay, length time.Duration) error {
	r.Set(relay.Network{Cut: true})
	defer r.Set(relay.Network{})
	return stack.Pass(ctx, length)
}

func reconnect(scenario lksdk.SimulateScenario) func(context.Context, *Scene) error {
	return func(ctx context.Context, s *Scene) error {
		p, _, _, err := s.call(nil, participant.Options{}, "vp8")
		if err != nil {
			return err
		}
		defer p.Leave()
		err = stack.Pass(ctx, 7*time.Second)
		p.Reconnect(scenario)
		return errors.Join(err, stack.Pass(ctx, 10*time.Second))
	}
}

// interrupted is a call in which something happens, and which goes on afterwards.
func (s *Scene) interrupted(ctx context.Context, what func() error) error {
	p, _, _, err := s.call(nil, participant.Options{}, "vp8")
	if err != nil {
		return err
	}
	defer p.Leave()
	return errors.Join(stack.Pass(ctx, 7*time.Second), what(), stack.Pass(ctx, 15*time.Second))
}
