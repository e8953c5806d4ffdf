package room

import (
	"fmt"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v3"
)

const (
	// maxPacket is more than a packet may have, in bytes: what pion takes off a socket (receiveMTU in pion/webrtc).
	maxPacket = 1500
	// gather is how long packets of a track are let come before they are read: pion keeps up to a megabyte of each.
	gather = 100 * time.Millisecond
)

// gathering is for how long packets of a track may be let come. A server that goes by when its packets arrive must hear
// of that without delay: pion notes the time when a packet is read.
func gathering(pub *lksdk.RemoteTrackPublication) time.Duration {
	if receiver := pub.Receiver(); receiver != nil {
		for _, extension := range receiver.GetParameters().HeaderExtensions {
			if extension.URI == sdp.TransportCCURI {
				return 0
			}
		}
	}
	return gather
}

// remote is a pion track as the receiver wants it. One goroutine reads it, and gives payloads back.
type remote struct {
	*webrtc.TrackRemote
	gather time.Duration
	packet []byte   // that is read
	free   [][]byte // buffers of payloads that are not needed any more
}

// maxFree is how many of them are kept: more than the packets of a usual frame.
const maxFree = 32

func newRemote(t *webrtc.TrackRemote, gather time.Duration) *remote {
	return &remote{TrackRemote: t, gather: gather, packet: make([]byte, maxPacket)}
}

// Gather implements [track.Source].
func (r *remote) Gather() time.Duration { return r.gather }

// ReadRTP returns the next packet, without its extensions, in memory of its own. That is no more than it needs: most
// packets are of sound, and small.
func (r *remote) ReadRTP() (*rtp.Packet, error) {
	n, _, err := r.Read(r.packet)
	if err != nil {
		return nil, err
	}

	p := &rtp.Packet{}
	if err := p.Unmarshal(r.packet[:n]); err != nil {
		return nil, fmt.Errorf("read packet: %w", err)
	}
	p.Extensions, p.Payload = nil, append(r.buffer(), p.Payload...)
	return p, nil
}

// buffer is one for a payload, if there is one.
func (r *remote) buffer() []byte {
	last := len(r.free) - 1
	if last < 0 {
		return nil
	}
	buffer := r.free[last]
	r.free = r.free[:last]
	return buffer
}

// Reuse implements [track.Source].
func (r *remote) Reuse(payload []byte) {
	if len(r.free) < maxFree {
		r.free = append(r.free, payload[:0])
	}
}
