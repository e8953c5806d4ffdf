// Package participant is a test publisher: somebody who joins a room with a camera that flashes and a microphone that
// beeps at the same instants.
package participant

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
)

// The SDK reports what it does; the tests report what comes of it.
func init() { lksdk.SetLogger(logger.LogRLogger(logr.Discard())) }

// Options are what can be unusual about a participant. The zero value is somebody with good clocks.
type Options struct {
	// Epoch is when the test signal began: all tracks keep to it, and so do participants with the same one. Now, if zero.
	Epoch time.Time
	// AudioSkew and VideoSkew are by how many parts per million the tracks' RTP clocks are fast.
	AudioSkew, VideoSkew float64
	// VideoDelay is how long pictures are under way from the camera to the network.
	VideoDelay time.Duration
	// ClockOffset is by how much the participant's wall clock is ahead.
	ClockOffset time.Duration
}

// Participant is somebody in a room.
type Participant struct {
	Options
	room   *lksdk.Room
	media  string
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	tracks []*Publication
}

// Join enters a room. Media is the directory for encoded test signals.
func Join(url, key, secret, room, identity, media string, options ...Options) (*Participant, error) {
	p := &Participant{media: media}
	if len(options) > 0 {
		p.Options = options[0]
	}
	if p.Epoch.IsZero() {
		p.Epoch = time.Now()
	}
	responder, err := nack.NewResponderInterceptor()
	if err != nil {
		return nil, fmt.Errorf("join room: %w", err)
	}
	p.room, err = lksdk.ConnectToRoom(url, lksdk.ConnectInfo{
		APIKey: key, APISecret: secret, RoomName: room, ParticipantIdentity: identity,
	}, &lksdk.RoomCallback{}, lksdk.WithAutoSubscribe(false),
		lksdk.WithInterceptors([]interceptor.Factory{responder, &reporters{p}}))
	if err != nil {
		return nil, fmt.Errorf("join room: %w", err)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Session is the participant's SID.
func (p *Participant) Session() string { return p.room.LocalParticipant.SID() }

// Reconnect makes the connection anew: as a browser does after its network has changed, or when its server has failed.
func (p *Participant) Reconnect(scenario lksdk.SimulateScenario) { p.room.Simulate(scenario) }

// Camera publishes the flashes in a codec: vp8, vp9 or h264, in that size if one is given with a dash (vp8-640x480). Pion v3
// cannot send AV1: browsers do.
func (p *Participant) Camera(signal string) (*Publication, error) {
	return p.video(signal, livekit.TrackSource_CAMERA)
}

// ScreenShare publishes the flashes as a shared screen.
func (p *Participant) ScreenShare(signal string) (*Publication, error) {
	return p.video(signal, livekit.TrackSource_SCREEN_SHARE)
}

func (p *Participant) video(signal string, source livekit.TrackSource) (*Publication, error) {
	frames, err := Frames(p.ctx, p.media, signal)
	if err != nil {
		return nil, err
	}
	return p.publish(codecOf(signal), source, &clock{rate: 90000, skew: p.VideoSkew}, frames, time.Second/FrameRate)
}

// Microphone publishes the beeps.
func (p *Participant) Microphone() (*Publication, error) { return p.audio("opus") }

// StereoMicrophone publishes the beeps on two channels.
func (p *Participant) StereoMicrophone() (*Publication, error) { return p.audio("opus-stereo") }

func (p *Participant) audio(signal string) (*Publication, error) {
	packets, err := Frames(p.ctx, p.media, signal)
	if err != nil {
		return nil, err
	}
	return p.publish(codecOf(signal), livekit.TrackSource_MICROPHONE, &clock{rate: 48000, skew: p.AudioSkew}, packets, packet)
}

// Leave ends everything.
func (p *Participant) Leave() {
	p.cancel()
	p.wg.Wait()
	p.room.Disconnect()
}

// now is the time by the participant's own clock.
func (p *Participant) now() time.Time { return time.Now().Add(p.ClockOffset) }
