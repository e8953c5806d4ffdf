package track

import (
	"bytes"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// arriving is a source whose packets come at their times, and wait there until they are read.
type arriving struct {
	apart    time.Duration // as its Gather says
	packets  []rtp.Packet
	times    []time.Time
	deadline time.Time
	set      int       // how often the deadline was
	woken    int       // how often a reader had to wait
	reused   [][]byte  // what was given back, overwritten
	read     time.Time // when the last one was
}

func (a *arriving) Gather() time.Duration { return a.apart }

func (a *arriving) SetReadDeadline(at time.Time) error {
	a.deadline = at
	a.set++
	return nil
}

func (a *arriving) ReadRTP() (*rtp.Packet, error) {
	if !time.Now().Before(a.deadline) {
		return nil, os.ErrDeadlineExceeded
	}
	if len(a.packets) == 0 {
		return nil, io.EOF
	}

	if wait := time.Until(a.times[0]); wait > 0 {
		a.woken++
		if a.deadline.Before(a.times[0]) {
			time.Sleep(time.Until(a.deadline))
			return nil, os.ErrDeadlineExceeded
		}
		time.Sleep(wait)
	}
	p := a.packets[0]
	a.packets, a.times = a.packets[1:], a.times[1:]
	a.read = time.Now()
	return &p, nil
}

func (a *arriving) Reuse(payload []byte) {
	for n := range payload {
		payload[n] = 0xaa
	}
	a.reused = append(a.reused, payload)
}

// send has a packet come after a time.
func (a *arriving) send(after time.Duration, sequence uint16, timestamp uint32, marker bool, payload []byte) {
	a.packets = append(a.packets, rtp.Packet{
		Header:  rtp.Header{SSRC: 1, SequenceNumber: sequence, Timestamp: timestamp, Marker: marker},
		Payload: payload,
	})
	a.times = append(a.times, time.Now().Add(after))
}

// receive runs a receiver to the end of its source, and returns its frames and when each of them came.
func receive(t *testing.T, mime string, source *arriving) (frames []Frame, at []time.Time, asked [][]uint16) {
	t.Helper()
	codec, ok := CodecOf(mime)
	require.True(t, ok)
	r := &Receiver{
		Codec:           codec,
		Source:          source,
		Base:            &Timebase{},
		RequestKeyFrame: func() {},
		Retransmit:      func(numbers []uint16) { asked = append(asked, numbers) },
		Warn:            func(err error) { require.NoError(t, err) },
		Emit: func(f Frame) {
			frames = append(frames, f)
			at = append(at, time.Now())
		},
	}
	r.Init()
	require.NoError(t, r.Run(t.Context()))
	return frames, at, asked
}

// sound is one packet of 20 ms.
func sound(n int) []byte { return append([]byte{31 << 3}, byte(n), byte(n>>8), 1) }

func TestPacketsAreReadTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packets, apart = 500, 20 * time.Millisecond // 10 s
		source := &arriving{apart: 100 * time.Millisecond}
		sent := time.Now()
		for n := range packets {
			source.send(time.Duration(n)*apart, uint16(n), uint32(960*n), true, sound(n))
		}

		frames, at, asked := receive(t, "audio/opus", source)
		require.Empty(t, asked)
		require.Len(t, frames, packets)
		require.LessOrEqual(t, source.woken, 100+2, "once in each of the times that packets gather")
		require.LessOrEqual(t, source.set, 100+2)
		for n, f := range frames {
			require.Equal(t, sound(n), f.Data)
			late := at[n].Sub(sent.Add(time.Duration(n) * apart))
			require.LessOrEqual(t, late, source.apart)
		}
		require.Empty(t, source.reused, "the payload is the frame")
	})
}

// While a packet is missing, nothing gathers: it is asked for in time, and again.
func TestNothingGathersWhileAPacketIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &arriving{apart: 100 * time.Millisecond}
		for n := range 200 {
			if n != 50 {
				source.send(time.Duration(n)*20*time.Millisecond, uint16(n), uint32(960*n), true, sound(n))
			}
		}
		frames, _, asked := receive(t, "audio/opus", source)
		require.Len(t, frames, 199)
		require.GreaterOrEqual(t, len(asked), 8, "each tenth of a second, until it is given up after one")
		for _, numbers := range asked {
			require.Equal(t, []uint16{50}, numbers)
		}
	})
}

// Payloads are used again as soon as a frame is made of them: nothing of the frame may lie in them.
func TestFramesDoNotLieInPayloadsThatAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &arriving{}
		picture := append([]byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0}, bytes.Repeat([]byte{7}, 3000)...)
		for n := range 10 {
			first, rest := picture[:1000], picture[1000:]
			at := time.Duration(n) * 33 * time.Millisecond
			source.send(at, uint16(2*n), uint32(3000*n), false, append([]byte{0x10}, first...))
			source.send(at, uint16(2*n+1), uint32(3000*n), true, append([]byte{0x00}, rest...))
		}

		frames, _, _ := receive(t, "video/vp8", source)
		require.Len(t, frames, 10)
		require.Len(t, source.reused, 20)
		for _, f := range frames {
			require.Equal(t, picture, f.Data)
			require.True(t, f.Key)
		}
	})
}
