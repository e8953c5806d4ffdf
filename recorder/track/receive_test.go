package track

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// script is what a hostile publisher does: bytes that mean packets, sender reports, and time that passes.
type script struct{ rest []byte }

func (s *script) bytes(n int) []byte {
	taken := make([]byte, n)
	s.rest = s.rest[copy(taken, s.rest):]
	return taken
}

func (s *script) byte() byte       { return s.bytes(1)[0] }
func (s *script) number() uint32   { return binary.BigEndian.Uint32(s.bytes(4)) }
func (s *script) sequence() uint16 { return binary.BigEndian.Uint16(s.bytes(2)) }

// payload is some bytes, and perhaps a length that they are brought to.
func (s *script) payload() []byte {
	short, long := int(s.byte()), int(s.byte())
	payload := make([]byte, short, max(short, 6*long))
	copy(payload, s.bytes(min(short, len(s.rest))))
	if long > 0 {
		payload = payload[:cap(payload)]
	}
	return payload
}

// stranger is a track whose publisher follows a script.
type stranger struct {
	*Receiver
	t      *testing.T
	next   rtp.Packet
	budget int // of packets: what comes of more is no other

	since  time.Time // when the first packet behind the newest frame came
	anchor anchor    // of the clock, when the newest frame came
	latest int64
	time   time.Time
}

func newStranger(t *testing.T, codec Codec) *stranger {
	s := &stranger{t: t, budget: 20_000}
	s.Receiver = &Receiver{
		Codec:           codec,
		Base:            &Timebase{},
		RequestKeyFrame: func() {},
		Retransmit:      func(numbers []uint16) { require.LessOrEqual(t, len(numbers), maxAsked) },
		Emit:            s.emit,
		Warn:            func(error) {},
	}
	s.Init()
	return s
}

func (s *stranger) play(what *script) {
	for len(what.rest) > 0 && s.budget > 0 {
		switch op := what.byte(); op % 8 {
		case 0: // the next packet of a frame
			s.send(op, what.payload(), 1)
		case 1: // the first one of the next frame
			s.next.Timestamp += uint32(s.Codec.ClockRate) / 50
			s.send(op, what.payload(), 1)
		case 2: // one in another place
			s.next.SequenceNumber += what.sequence()
			s.send(op, what.payload(), 1)
		case 3: // one of another time
			s.next.Timestamp += what.number()
			s.send(op, what.payload(), 1)
		case 4: // many
			s.send(op, what.payload(), int(what.sequence()))
		case 5: // a report that is true
			s.report(time.Duration(int8(what.byte()))*time.Millisecond, s.next.Timestamp)
		case 6: // one that is not
			s.report(time.Duration(int32(what.number()))*time.Second/1000, s.next.Timestamp+what.number())
		case 7:
			time.Sleep(time.Duration(what.byte()) * 10 * time.Millisecond)
			s.drain(time.Now())
		}
		s.check()
	}
	s.drain(time.Now().Add(patience))
	require.Empty(s.t, s.packets.sequencer.held)
	require.Zero(s.t, s.packets.sequencer.cost)
}

// send sends packets, whose numbers follow or have holes, with or without a marker, as the script's byte says.
func (s *stranger) send(op byte, payload []byte, times int) {
	for range min(times, s.budget) {
		p := s.next
		p.Marker, p.Payload = op&0x08 != 0, payload
		if s.since.IsZero() {
			s.since = time.Now()
		}
		s.receive(&p, time.Now())
		s.drain(time.Now())

		s.next.SequenceNumber += 1 + uint16(op>>4&1)
		s.budget--
	}
}

func (s *stranger) report(off time.Duration, timestamp uint32) {
	at := time.Now().Add(off)
	seconds, fraction := uint64(at.Unix()+2208988800), uint64(at.Nanosecond())<<32/uint64(time.Second)
	s.HandleRTCP(&rtcp.SenderReport{NTPTime: seconds<<32 | fraction, RTPTime: timestamp})
}

// check sees that nothing is held without bounds.
func (s *stranger) check() {
	require.LessOrEqual(s.t, s.packets.sequencer.cost, maxHeld)
	require.LessOrEqual(s.t, len(s.packets.sequencer.held), restart+1)
	require.LessOrEqual(s.t, s.packets.assembler.open.cost, maxFrame)
	require.LessOrEqual(s.t, len(s.packets.assembler.config.sps), maxParameters)
	if ask := s.packets.sequencer.ask; ask != nil {
		require.LessOrEqual(s.t, len(ask.holes)+len(ask.again), 2*span)
	}
}

func (s *stranger) emit(f Frame) {
	require.NotEmpty(s.t, f.Data)
	require.LessOrEqual(s.t, cap(f.Data), 3*maxFrame)
	require.LessOrEqual(s.t, len(f.Config.Private), 2*maxParameters+64)
	if s.Codec.Kind == Audio {
		require.Positive(s.t, f.Duration)
	} else if f.Key {
		require.Positive(s.t, min(f.Config.Width, f.Config.Height))
	}

	at := s.Settle(f.Timestamp)
	began := s.anchor != s.times.clock.anchor // with the first frame, and if timestamps cannot go on
	if !began && f.Timestamp >= s.latest {
		require.False(s.t, at.Before(s.time), "%s before the frame before it", s.time.Sub(at))
	}
	if began || f.Timestamp >= s.latest {
		s.anchor, s.latest, s.time = s.times.clock.anchor, f.Timestamp, at
	}
	now, came := s.Base.fromLocal(steady(time.Now())), s.Base.fromLocal(steady(s.since))
	require.Less(s.t, at.Sub(now), farthest, "ahead of now")
	require.Less(s.t, came.Sub(at), farthest, "behind its packets") // whose last one may be the next frame's
	s.since = time.Now()
}

// farthest is how far from its packets the time of a frame may be: what is plausible of a packet, while others are
// waited for and reports make up what they like.
const farthest = maxBacklog + maxAhead + patience + 5*time.Second

// fuzz plays scripts for one codec. The first ones have frames of it, whole and cut.
func fuzz(f *testing.F, mime string, payloads ...[]byte) {
	codec, ok := CodecOf(mime)
	require.True(f, ok)

	for _, payload := range payloads {
		packet := func(op byte) []byte { return append([]byte{op, byte(len(payload)), 0}, payload...) }
		long := func(op byte, times uint16) []byte {
			return binary.BigEndian.AppendUint16(append([]byte{op, byte(len(payload)), 240}, payload...), times)
		}
		report, pause := []byte{5, 3}, []byte{7, 110}
		lie := []byte{6, 0x7f, 0, 0, 0, 0x80, 0, 0, 0}
		jump, far := append([]byte{2, 0x40, 0}, packet(1)[1:]...), append([]byte{3, 0xc0, 0, 0, 0}, packet(1)[1:]...)
		f.Add(join(packet(9), packet(9), report, packet(1), packet(8), pause, packet(9)))
		f.Add(join(packet(9), packet(0x19), packet(0x19), pause, report, packet(9), lie, packet(9), report, packet(9)))
		f.Add(join(packet(9), jump, packet(9), far, packet(9), report, far, pause, packet(9)))
		f.Add(join(packet(9), long(4, 9000), packet(9), long(0x14, 6000), pause, packet(9)))
		f.Add(join(packet(9), long(0x1c, 9000), packet(9)))
	}

	f.Fuzz(func(t *testing.T, what []byte) {
		synctest.Test(t, func(t *testing.T) { newStranger(t, codec).play(&script{what}) })
	})
}

func join(parts ...[]byte) (all []byte) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func FuzzOpus(f *testing.F) {
	fuzz(f, "audio/opus", []byte{31 << 3, 1, 2}, []byte{31<<3 | 7, 48, 1, 2, 3})
}

func FuzzVP8(f *testing.F) {
	fuzz(f, "video/vp8",
		[]byte{0x10, 0x00, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00},
		[]byte{0x90, 0xf0, 0x81, 1, 2, 3, 0x01, 0, 0})
}

func FuzzVP9(f *testing.F) {
	fuzz(f, "video/vp9",
		[]byte{0x2c, 0, 0, 0x82, 0x49, 0x83, 0x42, 0x00, 0x04, 0xf0, 0x02, 0xcf, 0x00},
		[]byte{0xce, 0x81, 1, 0x18, 0, 0x10, 0, 0x10, 0x86, 0})
}

func FuzzH264(f *testing.F) {
	sps := []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
		0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	key := []byte{0x78}
	for _, nal := range [][]byte{sps, {0x68, 0xce, 0x38, 0x80}, {0x65, 1, 2, 3}} {
		key = append(binary.BigEndian.AppendUint16(key, uint16(len(nal))), nal...)
	}
	fuzz(f, "video/h264", key, []byte{0x7c, 0x85, 1, 2}, []byte{0x7c, 0x45, 1, 2}, []byte{0x61, 1, 2, 3})
}

func FuzzAV1(f *testing.F) {
	sequenceHeader := []byte{0x08, 0x00, 0x00, 0x00, 0x42, 0xa7, 0xbf, 0xe4, 0x60, 0x0d, 0x00, 0x40}
	key := append([]byte{0x28, byte(len(sequenceHeader))}, sequenceHeader...)
	fuzz(f, "video/av1", append(key, 0x30, 1, 2), []byte{0x50, 0x30, 1, 2}, []byte{0x90, 1, 2}, []byte{0x10, 0x30, 1, 2})
}
