package participant

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
)

// The SDK reports what it does; the tests report what comes of it.
func init() { lksdk.SetLogger(logger.LogRLogger(logr.Discard())) }

// Participant is somebody in a room.
type Participant struct {
	room   *lksdk.Room
	media  string
	epoch  time.Time // when the test signal began: all tracks keep to it
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Join enters a room. Media is the directory for encoded test signals.
func Join(url, key, secret, room, identity, media string) (*Participant, error) {
	lk, err := lksdk.ConnectToRoom(url, lksdk.ConnectInfo{
		APIKey: key, APISecret: secret, RoomName: room, ParticipantIdentity: identity,
	}, &lksdk.RoomCallback{}, lksdk.WithAutoSubscribe(false))
	if err != nil {
		return nil, fmt.Errorf("join room: %w", err)
	}
	p := &Participant{room: lk, media: media, epoch: time.Now()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Session is the participant's SID.
func (p *Participant) Session() string { return p.room.LocalParticipant.SID() }

// Publication is a published track.
type Publication struct {
	participant *Participant
	pub         *lksdk.LocalTrackPublication
	stop        context.CancelFunc
	done        chan struct{}

	mu   sync.Mutex
	sent []time.Time
}

// SID is the track's.
func (t *Publication) SID() string { return t.pub.SID() }

// Sent are the times at which frames were sent so far.
func (t *Publication) Sent() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]time.Time(nil), t.sent...)
}

// Mute stops or resumes the sending, as a muted microphone does.
func (t *Publication) Mute(muted bool) { t.pub.SetMuted(muted) }

// Unpublish ends the track.
func (t *Publication) Unpublish() error {
	t.stop()
	<-t.done
	return t.participant.room.LocalParticipant.UnpublishTrack(t.pub.SID())
}

// Camera publishes the flashes in a codec: vp8, vp9 or h264 (pion v3 cannot send AV1: browsers do).
func (p *Participant) Camera(codec string) (*Publication, error) {
	return p.video(codec, livekit.TrackSource_CAMERA)
}

// ScreenShare publishes the flashes as a shared screen.
func (p *Participant) ScreenShare(codec string) (*Publication, error) {
	return p.video(codec, livekit.TrackSource_SCREEN_SHARE)
}

func (p *Participant) video(codec string, source livekit.TrackSource) (*Publication, error) {
	frames, err := Frames(p.ctx, p.media, codec)
	if err != nil {
		return nil, err
	}
	mime := "video/" + strings.ToUpper(codec)
	return p.publish(webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 90000}, source, frames, frame, FrameRate)
}

// Microphone publishes the beeps.
func (p *Participant) Microphone() (*Publication, error) {
	path, err := Make(p.ctx, p.media, "opus")
	if err != nil {
		return nil, err
	}
	packets, err := readOpus(path)
	if err != nil {
		return nil, err
	}
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	return p.publish(codec, livekit.TrackSource_MICROPHONE, packets, packet, int(time.Second/packet))
}

func (p *Participant) publish(codec webrtc.RTPCodecCapability, source livekit.TrackSource, units [][]byte, length time.Duration, perSecond int) (*Publication, error) {
	track, err := lksdk.NewLocalSampleTrack(codec)
	if err != nil {
		return nil, fmt.Errorf("make track: %w", err)
	}
	bound := make(chan struct{})
	var once sync.Once
	track.OnBind(func() { once.Do(func() { close(bound) }) })
	pub, err := p.room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{
		Source: source, VideoWidth: 320, VideoHeight: 240, Name: source.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("publish track: %w", err)
	}
	ctx, stop := context.WithCancel(p.ctx)
	t := &Publication{participant: p, pub: pub, stop: stop, done: make(chan struct{})}
	p.wg.Go(func() {
		defer close(t.done)
		select {
		case <-bound:
			t.send(ctx, track, units, length, perSecond)
		case <-ctx.Done():
		}
	})
	return t, nil
}

// send writes each unit at its own time since the epoch.
func (t *Publication) send(ctx context.Context, track *lksdk.LocalTrack, units [][]byte, length time.Duration, perSecond int) {
	n := int64(time.Since(t.participant.epoch)/length) + 1
	for {
		due := t.participant.epoch.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		unit := units[n%int64(len(units))]
		// An error means that the connection is being made anew; the frame is lost like any other then.
		if err := track.WriteSample(media.Sample{Data: unit, Duration: length, Timestamp: due}, nil); err == nil {
			t.mu.Lock()
			t.sent = append(t.sent, time.Now())
			t.mu.Unlock()
		}
		n++
	}
}

// Leave ends everything.
func (p *Participant) Leave() {
	p.cancel()
	p.wg.Wait()
	p.room.Disconnect()
}
