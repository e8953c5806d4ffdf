// Package participant is a test publisher: somebody who joins a room with a camera that flashes and a microphone that
// beeps at the same instants.
package participant

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/webrtc/v3"

	"livekit-recorder/infra/local/timeline"
)

// The SDK reports what it does; the tests report what comes of it.
func init() { lksdk.SetLogger(logger.LogRLogger(logr.Discard())) }

// Options are what can be unusual about a participant. The zero value is somebody with good clocks.
type Options struct {
	// Epoch is when the test signal began: all tracks keep to it, and so do participants with the same one. Now, if
	// zero.
	Epoch time.Time
	// AudioSkew and VideoSkew are by how many parts per million the tracks' RTP clocks are fast.
	AudioSkew, VideoSkew float64
	// VideoDelay is how long pictures are under way from the camera to the network.
	VideoDelay time.Duration
	// ClockOffset is by how much the participant's wall clock is ahead.
	ClockOffset time.Duration
	// Reported is by how much what sender reports say the time is differs from that, when the call has lasted that long,
	// and whether there are any: of a clock that is set, or made up.
	Reported func(lasted time.Duration) (ahead time.Duration, any bool)
	// Stamped is by how much the timestamps of media differ from their time, when the call has lasted that long.
	Stamped func(lasted time.Duration) (ahead time.Duration)
	// Kind is what the participant is: an agent, somebody on a telephone.
	Kind lksdk.ParticipantKind
	// Goodbye is what leaving does instead of taking leave of the server: nothing, or something that hangs, as it does
	// when the connection breaks just then.
	Goodbye func()
}

const (
	// arrival is how long somebody stays silent before saying goodbye: a goodbye goes another way (TCP) than media
	// do, and would overtake the last of them.
	arrival = 250 * time.Millisecond
	// leaveTimeout bounds a goodbye: the SDK's can hang for 20 seconds when the connection breaks meanwhile.
	leaveTimeout = 5 * time.Second
	// breath is the longest time between two frames, or two tracks, that is not a pause.
	breath = 100 * time.Millisecond
)

// Participant is somebody in a room.
type Participant struct {
	Options
	room   *lksdk.Room
	media  string
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	leave  sync.Once

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
		APIKey:              key,
		APISecret:           secret,
		RoomName:            room,
		ParticipantIdentity: identity,
		ParticipantKind:     p.Kind,
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

// Reconnect makes the connection anew: as a browser does after its network has changed, or when its server has
// failed.
func (p *Participant) Reconnect(scenario lksdk.SimulateScenario) { p.room.Simulate(scenario) }

// Camera publishes the flashes in a codec: vp8, vp9 or h264, in that size if one is given with a dash (vp8-640x480).
// Pion v3 cannot send AV1: browsers do.
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
	return p.publish(codecOf(signal), source, &clock{rate: VideoClock, skew: p.VideoSkew}, frames, time.Second/FrameRate)
}

// Microphone publishes the beeps.
func (p *Participant) Microphone() (*Publication, error) {
	return p.audio("opus", livekit.TrackSource_MICROPHONE)
}

// StereoMicrophone publishes the beeps on two channels.
func (p *Participant) StereoMicrophone() (*Publication, error) {
	return p.audio("opus-stereo", livekit.TrackSource_MICROPHONE)
}

// ScreenShareAudio publishes the beeps as a shared screen's sound.
func (p *Participant) ScreenShareAudio() (*Publication, error) {
	return p.audio("opus", livekit.TrackSource_SCREEN_SHARE_AUDIO)
}

func (p *Participant) audio(signal string, source livekit.TrackSource) (*Publication, error) {
	packets, err := Frames(p.ctx, p.media, signal)
	if err != nil {
		return nil, err
	}
	beeps := &clock{rate: AudioClock, skew: p.AudioSkew}
	return p.publish(codecOf(signal), source, beeps, packets, packet)
}

// Leave ends everything. Sending ends first; what was sent until then says [Participant.Sent]. A goodbye that hangs
// is left alone after a while: whoever must know when the last frame was sent asks for that, and not for the time at
// which this returns.
func (p *Participant) Leave() {
	p.leave.Do(func() {
		p.cancel()

		left := make(chan struct{})
		go func() { // ends with the goodbye
			defer close(left)

			p.wg.Wait()
			time.Sleep(arrival) // nothing tells a publisher what has arrived
			p.goodbye()
		}()

		select {
		case <-left:
		case <-time.After(leaveTimeout):
		}
	})
}

// Vanish ends the connection for whoever has another Goodbye than the usual one.
func (p *Participant) Vanish() { p.room.Disconnect() }

func (p *Participant) goodbye() {
	if p.Goodbye != nil {
		p.Goodbye()
		return
	}
	p.room.Disconnect()
}

// Sent are the times in which frames of a kind of track, audio or video, were sent, by the participant's clock. They
// are what a recording can have; when a call like [Participant.Leave] returned says nothing of that.
//
// The first of them may be a second later than the publishing. LiveKit's check of the path to us can overtake its
// message that says where it comes from; pion's ICE agent then knows its peer by that check only ("peer-reflexive"),
// and takes such a peer after no less than a second (defaultPrflxAcceptanceMinWait in pion/ice, which LiveKit's SDK
// does not let one change). On two busy cores that is one connection in four. It is neither ours nor the recorder's
// to mend: no test may depend on how long publishing takes.
func (p *Participant) Sent(kind string) []timeline.Span {
	var sent []timeline.Span
	for _, t := range p.publications() {
		if t.track.Kind().String() == kind {
			sent = append(sent, t.Spans()...)
		}
	}
	return timeline.Join(sent, breath)
}

// AwaitSent returns when so much more has been sent, of whichever track is first.
func (p *Participant) AwaitSent(ctx context.Context, length time.Duration) error {
	since := p.now()
	sent := func() (longest time.Duration) {
		for _, t := range p.publications() {
			longest = max(longest, timeline.Length(timeline.From(t.Spans(), since)))
		}
		return longest
	}
	ticker := time.NewTicker(packet)
	defer ticker.Stop()

	for {
		if sent() >= length {
			return nil
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("send %s: %w, so far %s", length, ctx.Err(), sent())
		case <-p.ctx.Done():
			return fmt.Errorf("send %s: %w, so far %s", length, p.ctx.Err(), sent())
		case <-ticker.C:
		}
	}
}

func (p *Participant) publications() []*Publication {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.Clone(p.tracks)
}

// track finds a track by the number that its packets have.
func (p *Participant) track(ssrc uint32) *Publication {
	for _, t := range p.publications() {
		if uint32(t.track.SSRC()) == ssrc {
			return t
		}
	}
	return nil
}

// connected says whether the connection that media take is up.
func (p *Participant) connected() bool {
	connection := p.room.LocalParticipant.GetPublisherPeerConnection()
	return connection != nil && connection.ConnectionState() == webrtc.PeerConnectionStateConnected
}

// now is the time by the participant's own clock.
func (p *Participant) now() time.Time { return time.Now().Add(p.ClockOffset) }
