package track

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/pion/rtp"
)

// A publisher may send what it likes: these bound what it costs here.
const (
	// maxFrame is how much memory a frame may take while it is put together. A key frame of a 4K screen has some 2 MiB.
	maxFrame = 8 << 20
	// maxSide is the largest width or height of a picture that is believed: what VP8 can say.
	maxSide = 1<<14 - 1
)

// packetCost is what it costs to remember a packet, beside its buffer.
const packetCost = 128

// cost is how much memory is held by whoever holds a payload: all of the buffer that it lies in.
func cost(payload []byte) int { return packetCost + cap(payload) }

var (
	errTooLarge = errors.New("frame is too large")
	errSize     = errors.New("picture has a size that cannot be")
)

// assembler puts the packets of a stream together to frames. It lets only frames through that can be decoded: after a
// hole, video continues at the next key frame.
type assembler struct {
	codec  Codec
	config Config
	most   int // bytes of a frame

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
	cost      int  // of the payloads
	broken    bool // it has a hole
	tooLarge  bool // it has been given up, and the rest of it is ignored

	reuse func([]byte) // takes payloads that nothing refers to any more
}

// clear lets go of what has been put together.
func (o *open) clear() (payloads [][]byte) {
	payloads = o.payloads
	o.payloads, o.cost = nil, 0
	return payloads
}

// mostKept is how many payloads the list has room for that is kept for the next frame.
const mostKept = 64

// done gives payloads back of which a frame has been made, and keeps their list for the next one. Those of audio are
// the frame.
func (o *open) done(payloads [][]byte, kind Kind) {
	if kind == Video {
		for _, payload := range payloads {
			o.reuse(payload)
		}
	}
	if cap(payloads) <= mostKept {
		clear(payloads)
		o.payloads = payloads[:0]
	}
}

func newAssembler(codec Codec) *assembler {
	return &assembler{
		codec:     codec,
		most:      maxFrame,
		open:      open{reuse: func([]byte) {}},
		needKey:   codec.Kind == Video,
		afterHole: true,
	}
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
	if hole {
		a.tear()
	}
	if isPadding(p.Payload) {
		return nil, nil // whose timestamp may be any
	}

	timestamp := a.clock.extend(p.Timestamp)
	if len(a.open.payloads) > 0 && timestamp != a.open.timestamp {
		complete, err = a.finish(complete, err) // an encoder that does not set the marker
	}

	if a.isRestOfTooLarge(p, timestamp) {
		return complete, err
	}
	if len(a.open.payloads) == 0 {
		a.open.timestamp = timestamp
		a.open.broken = a.afterHole && !a.codec.starts(p.Payload)
		a.afterHole = false
	}

	if a.open.cost += cost(p.Payload); a.open.cost > a.most {
		return complete, errors.Join(err, a.giveUp(p.Marker))
	}

	a.open.payloads = append(a.open.payloads, p.Payload)
	if p.Marker || a.codec.Kind == Audio {
		complete, err = a.finish(complete, err)
	}
	return complete, err
}

// giveUp drops the frame that is being put together, because it is too large. What follows of it, up to its marker, is
// ignored.
func (a *assembler) giveUp(marker bool) error {
	a.open.clear()
	a.open.tooLarge, a.open.broken = !marker, false
	return a.drop(errTooLarge)
}

// isRestOfTooLarge says whether a packet belongs to a frame that has been given up.
func (a *assembler) isRestOfTooLarge(p *rtp.Packet, timestamp int64) bool {
	rest := a.open.tooLarge && timestamp == a.open.timestamp
	a.open.tooLarge = rest && !p.Marker
	return rest
}

// drop counts a frame that cannot be put together: what refers to it cannot be decoded.
func (a *assembler) drop(why error) error {
	a.dropped++
	a.lossy = true
	a.needKey = a.codec.Kind == Video
	return fmt.Errorf("assemble %s frame: %w", a.codec.Name, why)
}

// tear notes a hole: what is being put together can't be completed, and what follows can't be decoded.
func (a *assembler) tear() {
	if len(a.open.payloads) > 0 {
		a.open.clear()
		a.torn = a.open.timestamp
		a.dropped++
	}
	a.afterHole, a.lossy = true, true
	a.needKey = a.codec.Kind == Video
}

func (a *assembler) finish(complete []assembled, earlier error) ([]assembled, error) {
	payloads := a.open.clear()
	if a.open.broken {
		if a.torn != a.open.timestamp { // else this is the rest of a frame that counts already
			a.dropped++
		}
		a.open.broken = false
		return complete, earlier
	}

	config := a.config
	frames, err := a.codec.assemble(payloads, &config)
	a.open.done(payloads, a.codec.Kind)
	if err == nil {
		err = a.checkSize(frames, config)
	}
	if err != nil {
		return complete, errors.Join(earlier, a.drop(err))
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

		complete = append(complete, assembled{frame, a.open.timestamp - frame.early, config.public(), a.lossy})
		a.lossy = false
	}

	return complete, earlier
}

// checkSize sees that key frames have a size which containers can have.
func (a *assembler) checkSize(frames []unit, c Config) error {
	if a.codec.Kind == Audio || !slices.ContainsFunc(frames, func(u unit) bool { return u.key }) {
		return nil
	}
	if min(c.Width, c.Height) < 1 || max(c.Width, c.Height) > maxSide {
		return fmt.Errorf("%w: %d×%d", errSize, c.Width, c.Height)
	}
	return nil
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
