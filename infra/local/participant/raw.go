package participant

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
)

// Raw is a published track whose packets somebody makes by hand, without sender reports: whatever no camera would send.
type Raw struct {
	// Timestamp is that of the next packets.
	Timestamp uint32

	track    *lksdk.LocalTrack
	payloads rtp.Payloader
	sequence uint16
}

// Raw publishes such a track: of a camera, or of a microphone if the codec is opus. It returns when packets may go into
// it.
func (p *Participant) Raw(ctx context.Context, codec string) (*Raw, error) {
	coding := codings[codec]
	source := livekit.TrackSource_CAMERA
	if codec == "opus" {
		source = livekit.TrackSource_MICROPHONE
	}

	track, bound, err := newTrack(coding)
	if err != nil {
		return nil, err
	}
	if _, err := p.announce(track, source); err != nil {
		return nil, err
	}

	select {
	case <-bound:
		return &Raw{
			Timestamp: rand.Uint32(),
			track:     track,
			payloads:  coding.payloader(),
			sequence:  uint16(rand.Uint32()),
		}, nil
	case <-p.ctx.Done():
		return nil, fmt.Errorf("publish track: %w", p.ctx.Err())
	case <-ctx.Done():
		return nil, fmt.Errorf("publish track: %w", ctx.Err())
	}
}

// Payloads cuts a frame into what its packets carry.
func (r *Raw) Payloads(frame []byte) [][]byte { return r.payloads.Payload(mtu-rtpHeader, frame) }

// rtpHeader is the size of a packet's header without extensions, in bytes.
const rtpHeader = 12

// Send sends a packet; marker says that it ends its frame. Nobody knows whether it arrives.
func (r *Raw) Send(payload []byte, marker bool) {
	packet := &rtp.Packet{Header: rtp.Header{
		Version:        2,
		Marker:         marker,
		SequenceNumber: r.sequence,
		Timestamp:      r.Timestamp,
	}, Payload: payload}
	r.sequence++
	_ = r.track.WriteRTP(packet, nil) // what does not leave is what the network may lose
}

// Skip leaves a sequence number out, as if its packet had been lost.
func (r *Raw) Skip() { r.sequence++ }

// Kind is audio or video.
func (r *Raw) Kind() string { return r.track.Kind().String() }
