package track

import (
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// vp8 makes the packets of a frame: a key frame of width 320, or one that refers to those before.
func vp8(sequence uint16, timestamp uint32, packets int, key bool) (all []*rtp.Packet) {
	for n := range packets {
		payload := []byte{0x00, byte(sequence), 2, 3}
		if n == 0 {
			payload = []byte{0x10, 0x01, 0, 0} // start of partition 0; then the frame tag
			if key {
				payload = []byte{0x10, 0x00, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}
			}
		}
		all = append(all, &rtp.Packet{
			Header:  rtp.Header{SequenceNumber: sequence + uint16(n), Timestamp: timestamp, Marker: n == packets-1},
			Payload: payload,
		})
	}
	return all
}

// run feeds packets through a sequencer and an assembler, 1 ms apart, and then waits long enough.
func run(t *testing.T, mime string, packets ...*rtp.Packet) (frames []assembled, a *assembler, s *sequencer) {
	t.Helper()
	codec, ok := CodecOf(mime)
	require.True(t, ok)
	a, s = newAssembler(codec), &sequencer{}
	now := origin
	drain := func() {
		for {
			p, hole, ok := s.pop(now)
			if !ok {
				return
			}
			complete, err := a.push(p, hole)
			require.NoError(t, err)
			frames = append(frames, complete...)
		}
	}
	for _, p := range packets {
		now = now.Add(time.Millisecond)
		s.push(p, now)
		drain()
	}
	now = now.Add(patience)
	drain()
	return frames, a, s
}

func timestamps(frames []assembled) (all []int64) {
	for _, f := range frames {
		all = append(all, f.timestamp)
	}
	return all
}

func concat(parts ...[]*rtp.Packet) (all []*rtp.Packet) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestReorderedAndDoubledPacketsMakeTheSameFrames(t *testing.T) {
	p := concat(vp8(65534, 0, 2, true), vp8(0, 3000, 2, false), vp8(2, 6000, 1, false))
	frames, a, s := run(t, "video/VP8", p[0], p[3], p[1], p[1], p[4], p[2], p[0])
	require.Equal(t, []int64{0, 3000, 6000}, timestamps(frames))
	require.Zero(t, a.dropped)
	require.Zero(t, s.lost)
	require.EqualValues(t, 5, s.received)
	require.Equal(t, 320, frames[0].config.Width)
	require.Equal(t, 240, frames[0].config.Height)
}

func TestVideoContinuesAtTheNextKeyFrameAfterALoss(t *testing.T) {
	p := concat(vp8(0, 0, 1, true), vp8(1, 3000, 3, false), vp8(4, 6000, 1, false), vp8(5, 9000, 1, true),
		vp8(6, 12000, 1, false))
	frames, a, s := run(t, "video/VP8", append(p[:2:2], p[3:]...)...)
	require.Equal(t, []int64{0, 9000, 12000}, timestamps(frames), "no broken frame, and none that refers to one")
	require.EqualValues(t, 2, a.dropped)
	require.EqualValues(t, 1, s.lost)
}

func TestLossOfAKeyFramesBeginningIsNoticed(t *testing.T) {
	p := concat(vp8(0, 0, 1, true), vp8(1, 3000, 2, true), vp8(3, 6000, 1, true))
	frames, _, _ := run(t, "video/VP8", p[0], p[2], p[3])
	require.Equal(t, []int64{0, 6000}, timestamps(frames))
}

func TestFramesBeforeTheFirstKeyFrameAreNotKept(t *testing.T) {
	frames, a, _ := run(t, "video/VP8", concat(vp8(0, 0, 1, false), vp8(1, 3000, 1, true))...)
	require.Equal(t, []int64{3000}, timestamps(frames))
	require.EqualValues(t, 1, a.dropped)
}

func TestPaddingIsNoFrame(t *testing.T) {
	zeros := make([]byte, 255)
	zeros[254] = 255
	padding := []*rtp.Packet{{Header: rtp.Header{SequenceNumber: 0}, Payload: zeros},
		{Header: rtp.Header{SequenceNumber: 1}}}
	frames, a, _ := run(t, "video/VP8", concat(padding, vp8(2, 3000, 1, true))...)
	require.Equal(t, []int64{3000}, timestamps(frames))
	require.Zero(t, a.dropped)
}

func TestSequenceJumpBeginsAnew(t *testing.T) {
	frames, _, s := run(t, "video/VP8", concat(vp8(10, 0, 1, true), vp8(40000, 3000, 1, true),
		vp8(40001, 6000, 1, false))...)
	require.Equal(t, []int64{0, 3000, 6000}, timestamps(frames))
	require.LessOrEqual(t, s.lost, int64(1), "a jump is not a loss of thousands")
}

func TestServersPlaceholderAtTheEndIsNoFrame(t *testing.T) {
	tiny := vp8(1, 3000, 1, true)
	tiny[0].Payload[7], tiny[0].Payload[8], tiny[0].Payload[9] = 8, 0, 8
	frames, _, _ := run(t, "video/VP8", concat(vp8(0, 0, 1, true), tiny)...)
	require.Equal(t, []int64{0}, timestamps(frames))
}

func TestVP9LayersAreFramesOfTheirOwn(t *testing.T) {
	const begin, end, layers, inter = 0x08, 0x04, 0x20, 0x40
	key := []byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x04, 0xf0, 0x02, 0xcf, 0x00} // 80×46, say
	delta := []byte{0x86, 0x00}
	packets := []*rtp.Packet{
		{Header: rtp.Header{SequenceNumber: 0, Timestamp: 9000},
			Payload: append([]byte{layers | begin | end, 0x00, 0x00}, key...)},
		{Header: rtp.Header{SequenceNumber: 1, Timestamp: 9000, Marker: true},
			Payload: append([]byte{layers | begin | end, 0x03, 0x00}, delta...)},
		{Header: rtp.Header{SequenceNumber: 2, Timestamp: 12000, Marker: true},
			Payload: append([]byte{inter | begin | end}, delta...)},
	}
	frames, _, _ := run(t, "video/VP9", packets...)
	require.Equal(t, []int64{9000 - layerLead, 9000, 12000}, timestamps(frames))
	require.True(t, frames[0].key)
	require.False(t, frames[1].key, "it refers to the layer below")
}

func TestAudioGoesOnAfterALoss(t *testing.T) {
	packet := func(n uint16) *rtp.Packet {
		header := rtp.Header{SequenceNumber: n, Timestamp: uint32(n) * 960}
		return &rtp.Packet{Header: header, Payload: []byte{31 << 3, 1, 2}}
	}
	frames, _, s := run(t, "audio/opus", packet(0), packet(2), packet(3))
	require.Equal(t, []int64{0, 1920, 2880}, timestamps(frames))
	require.EqualValues(t, 1, s.lost)
	require.EqualValues(t, 960, frames[0].duration)
	require.Equal(t, 1, frames[0].config.Channels)
}

// Whatever comes off the network, it must not take the recorder down.
func FuzzPayloads(f *testing.F) {
	for i := range table {
		f.Add(uint8(i), []byte{0x10, 0x00, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}, []byte{0xff}, true)
		f.Add(uint8(i), []byte{0x18, 0, 3, 0x67, 0x42, 0}, []byte{0x7c, 0x85, 1}, false)
	}
	f.Fuzz(func(t *testing.T, codec uint8, first, second []byte, marker bool) {
		a := newAssembler(table[int(codec)%len(table)])
		for n, payload := range [][]byte{first, second, first} {
			header := rtp.Header{SequenceNumber: uint16(n), Timestamp: uint32(n / 2), Marker: marker || n == 1}
			p := &rtp.Packet{Header: header, Payload: payload}
			frames, _ := a.push(p, false)
			for _, frame := range frames {
				require.NotEmpty(t, frame.data)
			}
		}
	})
}
