package fidelity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/livekit/protocol/auth"

	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/stack"
)

// browserLimits allow for what the browser itself does: a flash waits for the next picture that is taken of the page,
// up to 33 ms, and sound goes through several buffers.
var browserLimits = Limits{Parts: 1, Offset: 25 * time.Millisecond, Gap: 100 * time.Millisecond, Frames: 1}

func browserCases() []Case {
	lessAndMore := func(ctx context.Context, s *Scene) error {
		err := s.Browser.Quality(ctx, s.Room, "LOW")
		return errors.Join(err, stack.Pass(ctx, 5*time.Second), s.Browser.Quality(ctx, s.Room, "HIGH"))
	}

	resized := func(ctx context.Context, s *Scene) error {
		err := s.Browser.Resize(ctx, s.Room, 360, 640)
		return errors.Join(err, stack.Pass(ctx, 4*time.Second), s.Browser.Resize(ctx, s.Room, 800, 600))
	}

	muted := func(ctx context.Context, s *Scene) error {
		return errors.Join(s.Browser.Mute(ctx, s.Room, true), stack.Pass(ctx, 4*time.Second),
			s.Browser.Mute(ctx, s.Room, false))
	}
	simulate := func(scenario string) func(context.Context, *Scene) error {
		return func(ctx context.Context, s *Scene) error { return s.Browser.Simulate(ctx, s.Room, scenario) }
	}

	return []Case{
		{Name: "Chromium VP8 simulcast, fewer layers for a while", Browser: true,
			Act: inBrowser("vp8", "", lessAndMore), Limits: browserLimits},
		{Name: "Chromium H264 simulcast, fewer layers for a while", Browser: true,
			Act: inBrowser("h264", "", lessAndMore), Limits: browserLimits},
		{Name: "Chromium VP9 L3T3_KEY, fewer layers for a while", Browser: true,
			Act: inBrowser("vp9", "L3T3_KEY", lessAndMore), Limits: browserLimits},
		{Name: "Chromium VP9 L3T3_KEY", Browser: true, Quick: true,
			Act: inBrowser("vp9", "L3T3_KEY", nil), Limits: browserLimits},
		{Name: "Chromium AV1 L1T3", Browser: true, Act: inBrowser("av1", "L1T3", nil), Limits: browserLimits},
		{Name: "Chromium VP8 resized", Browser: true, Act: inBrowser("vp8", "", resized), Limits: browserLimits},
		{Name: "Chromium H264 resized", Browser: true, Quick: true,
			Act: inBrowser("h264", "", resized), Limits: browserLimits},
		{Name: "Chromium VP9 L3T3_KEY resized", Browser: true,
			Act: inBrowser("vp9", "L3T3_KEY", resized), Limits: browserLimits},
		{Name: "Chromium AV1 L1T3 resized", Browser: true, Quick: true,
			Act: inBrowser("av1", "L1T3", resized), Limits: browserLimits},
		{Name: "Chromium VP8, camera muted", Browser: true, Quick: true, Act: inBrowser("vp8", "", muted),
			Limits: browserLimits.listing("video muted")},
		{Name: "Chromium VP8, signalling reconnect", Browser: true,
			Act: inBrowser("vp8", "", simulate("signal-reconnect")), Limits: browserLimits},
		{Name: "Chromium VP8, full reconnect", Browser: true, Quick: true,
			Act: inBrowser("vp8", "", simulate("full-reconnect")), Limits: browserLimits},
		{Name: "Chromium VP8, node failure", Browser: true,
			Act: inBrowser("vp8", "", simulate("node-failure")), Limits: browserLimits},
	}
}

// inBrowser is alice in Chromium, with RED and DTX, and something that happens after some seconds and before some
// more.
func inBrowser(codec, mode string, what func(context.Context, *Scene) error) func(context.Context, *Scene) error {
	return func(ctx context.Context, s *Scene) error {
		s.Truth = Truth{Delay: browser.EncoderDelay}
		token, err := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).SetIdentity(identity).
			SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: s.Room}).SetValidFor(time.Hour).ToJWT()
		if err != nil {
			return fmt.Errorf("sign token: %w", err)
		}

		if err := s.Browser.Publish(ctx, s.Room, s.system.LiveKit, token, codec, mode); err != nil {
			return err
		}

		s.later(func() { _, _ = s.Browser.Leave(context.WithoutCancel(ctx), s.Room) }) // it has left, if all went well
		err = stack.Pass(ctx, 5*time.Second)
		if what != nil {
			err = errors.Join(err, what(ctx, s))
		}
		err = errors.Join(err, stack.Pass(ctx, 6*time.Second))
		stood, leaving := s.Browser.Leave(ctx, s.Room)
		s.Truth.Stood = stood
		return errors.Join(err, leaving)
	}
}
