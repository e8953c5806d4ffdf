package participant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v3"

	"livekit-recorder/infra/local/timeline"
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
	length      time.Duration // of a frame
	stop        context.CancelFunc
	done        chan struct{}
	written     atomic.Int64 // packets that went into a connection, see [reporter]

	mu     sync.Mutex
	units  [][]byte
	next   [][]byte // instead of units, from the next key frame on
	sent   []time.Time
	unsent []time.Time
}

func (p *Participant) publish(
	codec string, source livekit.TrackSource, c *clock, units [][]byte, length time.Duration,
) (*Publication, error) {
	coding := codings[codec]

	track, bound, err := newTrack(coding)
	if err != nil {
		return nil, err
	}

	c.start = rand.Uint32()
	t := &Publication{
		participant: p,
		track:       track,
		clock:       c,
		length:      length,
		next:        units,
		done:        make(chan struct{}),
	}

	p.mu.Lock()
	p.tracks = append(p.tracks, t)
	p.mu.Unlock()

	if t.pub, err = p.announce(track, source); err != nil {
		return nil, err
	}

	var ctx context.Context
	ctx, t.stop = context.WithCancel(p.ctx)
	p.wg.Go(func() {
		defer close(t.done)

		select {
		case <-bound:
			t.send(ctx, coding)
		case <-ctx.Done():
		}
	})
	return t, nil
}

// newTrack makes a track; bound is closed when packets may go into it.
func newTrack(coding coding) (track *lksdk.LocalTrack, bound <-chan struct{}, err error) {
	if track, err = lksdk.NewLocalTrack(coding.capability); err != nil {
		return nil, nil, fmt.Errorf("make track: %w", err)
	}

	open := make(chan struct{})
	var once sync.Once
	track.OnBind(func() { once.Do(func() { close(open) }) })
	return track, open, nil
}

// announce publishes a track.
func (p *Participant) announce(
	track *lksdk.LocalTrack, source livekit.TrackSource,
) (*lksdk.LocalTrackPublication, error) {
	pub, err := p.room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{
		Source:      source,
		VideoWidth:  320,
		VideoHeight: 240,
		Name:        source.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("publish track: %w", err)
	}
	return pub, nil
}

// send writes each unit at its own time since the epoch, and later by the delay of pictures.
func (t *Publication) send(ctx context.Context, coding coding) {
	packetizer := rtp.NewPacketizer(mtu, 0, 0, coding.payloader(), rtp.NewRandomSequencer(), coding.capability.ClockRate)

	delay := time.Duration(0)
	if coding.capability.ClockRate == 90000 {
		delay = t.participant.VideoDelay
	}

	perSecond := int64(time.Second / t.length)
	for n := int64(time.Since(t.participant.Epoch)/t.length) + 1; ; n++ {
		captured := time.Duration(n) * time.Second / time.Duration(perSecond) // since the epoch
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(t.participant.Epoch.Add(captured + delay))):
		}

		if t.pub.IsMuted() {
			continue
		}
		if unit := t.unit(n); unit != nil {
			t.write(packetizer.Packetize(unit, 0), captured)
		}
	}
}

// write sends a frame, and notes whether it left. That WriteRTP returns no error says nothing: it returns none either
// while a connection is still being made, or made anew, and drops the packet. What counts is what the connection took
// (see [reporter]), and that it was up.
func (t *Publication) write(packets []*rtp.Packet, captured time.Duration) {
	stamp := captured
	if t.participant.Stamped != nil {
		stamp += t.participant.Stamped(captured)
	}

	before := t.written.Load()
	for _, packet := range packets {
		packet.Timestamp = t.clock.at(stamp)
		_ = t.track.WriteRTP(packet, nil) // a lost frame is noted below
	}
	left := t.written.Load()-before == int64(len(packets)) && t.participant.connected()

	t.mu.Lock()
	defer t.mu.Unlock()

	at := t.participant.Epoch.Add(t.participant.ClockOffset + captured)
	if left {
		t.sent = append(t.sent, at)
	} else {
		t.unsent = append(t.unsent, at)
	}
}

// unit is what is due, or nothing before the first key frame.
func (t *Publication) unit(n int64) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.next != nil && (n%keyFrameEvery == 0 || t.track.Kind() == webrtc.RTPCodecTypeAudio) {
		t.units, t.next = t.next, nil
	}
	if t.units == nil {
		return nil
	}
	return t.units[n%int64(len(t.units))]
}

// SID is the track's.
func (t *Publication) SID() string { return t.pub.SID() }

// Sent are the times, by the participant's clock, at which the frames were captured that have left so far. A frame
// has left when a connection to the server, which was up, took all of its packets: the network may still lose them.
func (t *Publication) Sent() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()

	return slices.Clone(t.sent)
}

// Unsent are the times of the frames that found no connection, and that nobody can have recorded.
func (t *Publication) Unsent() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()

	return slices.Clone(t.unsent)
}

// Spans are the times in which frames were sent one after the other.
func (t *Publication) Spans() []timeline.Span { return timeline.Frames(t.Sent(), t.length) }

// Mute stops or resumes the sending, as a muted microphone does. A camera resumes with a key frame.
func (t *Publication) Mute(muted bool) {
	if t.mu.Lock(); !muted && t.next == nil {
		t.next, t.units = t.units, nil
	}
	t.mu.Unlock()

	t.pub.SetMuted(muted)
}

// Resize goes on with the same signal in another size (see [Participant.Camera]): its next key frame comes within a
// second.
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
