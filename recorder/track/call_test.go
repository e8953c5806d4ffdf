package track

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// simulated is one track of a simulated call: what it sends, and what came of it.
type simulated struct {
	*Receiver
	sender
	interval time.Duration
	next     time.Duration // when the next frame is captured, since the call's origin
	sequence uint16
	frames   int
	worst    time.Duration // largest error of a frame's time after the first seconds
	last     time.Time
	sent     map[int64]time.Duration
	jumpAt   time.Duration
}

func newSimulated(t *testing.T, mime string, base *Timebase, ppm float64, interval time.Duration,
	first int64) *simulated {
	codec, ok := CodecOf(mime)
	require.True(t, ok)
	s := &simulated{sender: sender{float64(codec.ClockRate), ppm, first}, interval: interval, sequence: 65000,
		sent: map[int64]time.Duration{}}
	s.Receiver = &Receiver{Codec: codec, Base: base, RequestKeyFrame: func() {},
		Retransmit: func([]uint16) {}, Warn: func(err error) { t.Error(err) }}
	began := time.Now()
	s.Emit = func(f Frame) {
		captured, ok := s.sent[f.Timestamp&0xffffffff]
		require.True(t, ok)
		delete(s.sent, f.Timestamp&0xffffffff)
		at := s.Settle(f.Timestamp)
		require.True(t, at.After(s.last), "time runs backwards at %s", captured)
		s.last = at
		s.frames++
		if captured > 10*time.Second {
			s.worst = max(s.worst, at.Sub(began.Add(captured)).Abs())
		}
	}
	s.Init()
	return s
}

func (s *simulated) send() {
	timestamp := uint32(s.rtp(s.next))
	payload := []byte{31 << 3, 1, 2}
	if s.Codec.Kind == Video {
		payload = []byte{0x10, 0x00, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00} // a key frame of VP8
	}
	s.sent[int64(timestamp)] = s.next
	s.receive(&rtp.Packet{
		Header: rtp.Header{SSRC: 7, SequenceNumber: s.sequence, Timestamp: timestamp, Marker: true}, Payload: payload,
	}, time.Now())
	s.drain(time.Now())
	s.sequence++
	if s.jumpAt > 0 && s.next >= s.jumpAt {
		s.sequence, s.jumpAt = s.sequence+20000, 0 // the stream begins anew
	}
	s.next += s.interval
}

// report sends a sender report about the clock's time now, which arrives later.
func (s *simulated) report(now time.Duration) {
	seconds := uint64(time.Now().Unix()) + 2208988800
	fraction := uint64(time.Now().Nanosecond()) << 32 / uint64(time.Second)
	s.HandleRTCP(&rtcp.SenderReport{SSRC: 7, NTPTime: seconds<<32 | fraction, RTPTime: uint32(s.rtp(now))})
}

// Three hours of a call whose clocks are 200 ppm off, one each way; reports come late, and one in three not at all;
// both timestamps wrap around, and one stream's sequence numbers jump.
func TestThreeHoursOfACallStayInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &Timebase{}
		audio := newSimulated(t, "audio/opus", base, 200, 20*time.Millisecond, 1<<32-48000*60)
		video := newSimulated(t, "video/vp8", base, -200, time.Second/25, 1<<32-90000*3600)
		video.jumpAt = time.Hour
		const length = 3 * time.Hour
		chance := rand.New(rand.NewPCG(1, 2))
		began, nextReport := time.Now(), 5*time.Second
		for audio.next < length {
			first := audio
			if video.next < audio.next {
				first = video
			}
			time.Sleep(time.Until(began.Add(first.next)))
			first.send()
			if now := time.Since(began); now >= nextReport {
				for _, s := range []*simulated{audio, video} {
					if chance.IntN(3) > 0 {
						s.report(now)
					}
				}
				nextReport += 3*time.Second + time.Duration(chance.IntN(500))*time.Millisecond
			}
		}
		require.Equal(t, int(length/audio.interval), audio.frames)
		require.InDelta(t, int(length/video.interval), video.frames, 2, "a jump costs no more than what is under way")
		require.Less(t, audio.worst+video.worst, 5*time.Millisecond, "audio ± %s, video ± %s", audio.worst, video.worst)
	})
}
