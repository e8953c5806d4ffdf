package track

import (
	"bytes"
	"fmt"

	"github.com/pion/rtp"
)

// assembler puts the packets of a stream together to frames. It lets only frames through that can be decoded: after a
// hole, video continues at the next key frame.
type assembler struct {
	codec  Codec
	config Config

	open      open
	afterHole bool  // nothing says that the next packet begins a frame
	torn      int64 // timestamp of the last frame that was given up because of a hole
	needKey   bool  // frames before the next key frame refer to something that is missing
	lossy     bool  // something is missing since the last complete frame

	frames, keyFrames, dropped int64
	clock                      extender
}

// open is the frame that is being put together.
type open struct {
	timestamp int64 // extended
	payloads  [][]byte
	broken    bool // it has a hole
}

func newAssembler(codec Codec) *assembler {
	return &assembler{codec: codec, needKey: codec.Kind == Video, afterHole: true}
}

// assembled is a frame that is complete, with its extended RTP timestamp and the configuration it needs.
type assembled struct {
	unit
	timestamp int64
	config    Config
	afterLoss bool
}

// push takes the next packet; hole says that packets before it are missing. It returns the frames that are complete
// now.
func (a *assembler) push(p *rtp.Packet, hole bool) (complete []assembled, err error) {
	timestamp := a.clock.extend(p.Timestamp)
	if hole {
		a.tear()
	}
	if len(a.open.payloads) > 0 && timestamp != a.open.timestamp {
		complete, err = a.finish(complete, err) // an encoder that does not set the marker
	}

	if isPadding(p.Payload) {
		return complete, err
	}
	if len(a.open.payloads) == 0 {
		a.open.timestamp = timestamp
		a.open.broken = a.afterHole && !a.codec.starts(p.Payload)
		a.afterHole = false
	}

	a.open.payloads = append(a.open.payloads, p.Payload)
	if p.Marker || a.codec.Kind == Audio {
		complete, err = a.finish(complete, err)
	}
	return complete, err
}

// tear notes a hole: what is being put together can't be completed, and what follows can't be decoded.
func (a *assembler) tear() {
	if len(a.open.payloads) > 0 {
		a.open.payloads, a.torn = nil, a.open.timestamp
		a.dropped++
	}
	a.afterHole, a.lossy = true, true
	a.needKey = a.codec.Kind == Video
}

func (a *assembler) finish(complete []assembled, earlier error) ([]assembled, error) {
	payloads := a.open.payloads
	a.open.payloads = nil
	if a.open.broken {
		if a.torn != a.open.timestamp { // else this is the rest of a frame that counts already
			a.dropped++
		}
		a.open.broken = false
		return complete, earlier
	}

	config := a.config
	frames, err := a.codec.assemble(payloads, &config)
	if err != nil {
		a.dropped++
		a.lossy = true
		a.needKey = a.codec.Kind == Video
		return complete, fmt.Errorf("assemble %s frame: %w", a.codec.Name, err)
	}

	if isPlaceholder(config) {
		return complete, earlier
	}

	for _, frame := range frames {
		if len(frame.data) == 0 {
			continue
		}
		if a.needKey && !frame.key {
			a.dropped++
			continue
		}

		a.config, a.needKey = config, false
		a.frames++
		if frame.key {
			a.keyFrames++
		}

		complete = append(complete, assembled{frame, a.open.timestamp - frame.early, config, a.lossy})
		a.lossy = false
	}

	return complete, earlier
}

// isPadding knows packets that carry nothing but padding, for bandwidth probing and to make a track known. A LiveKit
// server sends some of them without RTP's padding bit: zeros, and their number at the end (RFC 3550 section 5.1).
func isPadding(payload []byte) bool {
	last := len(payload) - 1
	if last < 0 {
		return true
	}
	return int(payload[last]) == len(payload) && len(bytes.TrimLeft(payload[:last], "\x00")) == 0
}

// isPlaceholder knows the tiny key frames that a LiveKit server puts in when a track ends (VP8 8×8, H264 2×2).
func isPlaceholder(c Config) bool { return c.Width > 0 && c.Width <= 8 && c.Height <= 8 }

// extender makes 64-bit timestamps of RTP's 32-bit ones (RFC 3550 section 5.1), which wrap around every 13 hours at
// 90 kHz.
type extender struct {
	started bool
	last    int64
}

func (e *extender) extend(timestamp uint32) int64 {
	if !e.started {
		e.started, e.last = true, int64(timestamp)
		return e.last
	}
	e.last = e.near(timestamp)
	return e.last
}

// near extends a timestamp without moving on: for sender reports, which speak of about the same time.
func (e *extender) near(timestamp uint32) int64 {
	return e.last + int64(int32(timestamp-uint32(e.last)))
}
