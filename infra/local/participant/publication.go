package participant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v3"
)

// mtu is the size of RTP packets in bytes.
const mtu = 1200

// coding is how a codec's frames travel.
type coding struct {
	capability webrtc.RTPCodecCapability
	payloader  func() rtp.Payloader
}

var codings = map[string]coding{
	"vp8": {webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000},
		func() rtp.Payloader { return &codecs.VP8Payloader{EnablePictureID: true} }},
	"vp9": {webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP9, ClockRate: 90000},
		func() rtp.Payloader { return &codecs.VP9Payloader{} }},
	"h264": {webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000},
		func() rtp.Payloader { return &codecs.H264Payloader{} }},
	"opus": {webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
		func() rtp.Payloader { return &codecs.OpusPayloader{} }},
}

// codecOf is a signal's codec: what is before its first dash.
func codecOf(signal string) string {
	codec, _, _ := strings.Cut(signal, "-")
	return codec
}

// clock makes RTP timestamps. It runs fast by skew parts per million.
type clock struct {
	rate, skew float64
	start      uint32
}

func (c *clock) at(sinceEpoch time.Duration) uint32 {
	return c.start + uint32(int64(sinceEpoch.Seconds()*c.rate*(1+c.skew/1e6)))
}

// Publication is a published track.
type Publication struct {
	participant *Participant
	pub         *lksdk.LocalTrackPublication
	track       *lksdk.LocalTrack
	clock       *clock
	stop        context.CancelFunc
	done        chan struct{}

	mu    sync.Mutex
	units [][]byte
	next  [][]byte // instead of units, from the next key frame on
	sent  []time.Time
}

func (p *Participant) publish(codec string, source livekit.TrackSource, c *clock, units [][]byte, length time.Duration) (*Publication, error) {
	coding := codings[codec]
	track, err := lksdk.NewLocalTrack(coding.capability)
	if err != nil {
		return nil, fmt.Errorf("make track: %w", err)
	}
	c.start = rand.Uint32()
	t := &Publication{participant: p, track: track, clock: c, next: units, done: make(chan struct{})}
	bound := make(chan struct{})
	var once sync.Once
	track.OnBind(func() { once.Do(func() { close(bound) }) })
	p.mu.Lock()
	p.tracks = append(p.tracks, t)
	p.mu.Unlock()
	t.pub, err = p.room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{
		Source: source, VideoWidth: 320, VideoHeight: 240, Name: source.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("publish track: %w", err)
	}
	var ctx context.Context
	ctx, t.stop = context.WithCancel(p.ctx)
	p.wg.Go(func() {
		defer close(t.done)
		select {
		case <-bound:
			t.send(ctx, coding, length)
		case <-ctx.Done():
		}
	})
	return t, nil
}

// send writes each unit at its own time since the epoch, and later by the delay of pictures.
func (t *Publication) send(ctx context.Context, coding coding, length time.Duration) {
	packetizer := rtp.NewPacketizer(mtu, 0, 0, coding.payloader(), rtp.NewRandomSequencer(), coding.capability.ClockRate)
	delay := time.Duration(0)
	if coding.capability.ClockRate == 90000 {
		delay = t.participant.VideoDelay
	}
	perSecond := int64(time.Second / length)
	for n := int64(time.Since(t.participant.Epoch)/length) + 1; ; n++ {
		captured := time.Duration(n) * time.Second / time.Duration(perSecond) // since the epoch
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(t.participant.Epoch.Add(captured + delay))):
		}
		if t.pub.IsMuted() {
			continue
		}
		unit := t.unit(n, captured)
		if unit == nil {
			continue
		}
		for _, p := range packetizer.Packetize(unit, 0) {
			p.Timestamp = t.clock.at(captured)
			// An error means that the connection is being made anew; the frame is lost like any other then.
			_ = t.track.WriteRTP(p, nil)
		}
	}
}

// unit is what is due, or nothing before the first key frame.
func (t *Publication) unit(n int64, captured time.Duration) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil && (n%keyFrameEvery == 0 || t.track.Kind() == webrtc.RTPCodecTypeAudio) {
		t.units, t.next = t.next, nil
	}
	if t.units == nil {
		return nil
	}
	t.sent = append(t.sent, t.participant.Epoch.Add(t.participant.ClockOffset+captured))
	return t.units[n%int64(len(t.units))]
}

// SID is the track's.
func (t *Publication) SID() string { return t.pub.SID() }

// Sent are the times, by the participant's clock, at which the frames that were sent so far were captured.
func (t *Publication) Sent() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]time.Time(nil), t.sent...)
}

// Mute stops or resumes the sending, as a muted microphone does. A camera resumes with a key frame.
func (t *Publication) Mute(muted bool) {
	if t.mu.Lock(); !muted && t.next == nil {
		t.next, t.units = t.units, nil
	}
	t.mu.Unlock()
	t.pub.SetMuted(muted)
}

// Resize goes on with the same signal in another size (see [Participant.Camera]): its next key frame comes within a second.
func (t *Publication) Resize(signal string) error {
	units, err := Frames(t.participant.ctx, t.participant.media, signal)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = units
	return nil
}

// Unpublish ends the track.
func (t *Publication) Unpublish() error {
	t.stop()
	<-t.done
	return t.participant.room.LocalParticipant.UnpublishTrack(t.pub.SID())
}
