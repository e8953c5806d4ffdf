package track

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// fed is a receiver whose packets are pushed by a test, a millisecond apart, and what comes of them.
type fed struct {
	*Receiver
	now      time.Time
	sequence uint16
	frames   []Frame
	asked    int
	warnings []error
}

func feedOf(t *testing.T, mime string) *fed {
	t.Helper()
	codec, ok := CodecOf(mime)
	require.True(t, ok)

	f := &fed{now: origin}
	f.Receiver = &Receiver{
		Codec:           codec,
		Base:            &Timebase{},
		RequestKeyFrame: func() { f.asked++ },
		Retransmit:      func([]uint16) {},
		Emit:            func(frame Frame) { f.frames = append(f.frames, frame) },
		Warn:            func(err error) { f.warnings = append(f.warnings, err) },
	}
	f.Init()
	return f
}

// send pushes the next packet.
func (f *fed) send(timestamp uint32, marker bool, payload []byte) {
	header := rtp.Header{SequenceNumber: f.sequence, Timestamp: timestamp, Marker: marker}
	f.sequence++
	f.now = f.now.Add(time.Millisecond)
	f.receive(&rtp.Packet{Header: header, Payload: payload}, f.now)
	f.drain(f.now)
}

func TestAFrameWithoutEndIsGivenUp(t *testing.T) {
	f := feedOf(t, "video/vp8")
	for _, p := range vp8(0, 0, 1, true) {
		f.send(0, true, p.Payload)
	}
	require.Len(t, f.frames, 1)
	asked := f.asked

	const endless = 90000
	for range 200_000 {
		f.send(endless, false, make([]byte, 1100))
		require.LessOrEqual(t, f.packets.assembler.open.cost, maxFrame)
	}
	require.Empty(t, f.packets.assembler.open.payloads, "the memory is given back")
	require.EqualValues(t, 1, f.Stats().Dropped)
	require.Len(t, f.warnings, 1)
	require.ErrorIs(t, f.warnings[0], errTooLarge)
	require.Greater(t, f.asked, asked+100, "a key frame is asked for each second")

	f.send(endless, true, []byte{0})
	f.send(endless+3000, true, vp8(0, 0, 1, false)[0].Payload)
	require.Len(t, f.frames, 1, "what refers to the frame cannot be decoded")
	f.send(endless+6000, true, vp8(0, 0, 1, true)[0].Payload)
	require.Len(t, f.frames, 2)
	require.True(t, f.frames[1].AfterLoss)
}

// The end of the large frame may be what is lost.
func TestTheRestOfAFrameThatIsTooLargeIsIgnoredBehindALossToo(t *testing.T) {
	f := feedOf(t, "video/vp8")
	for range maxFrame/1100 + 1 {
		f.send(0, false, make([]byte, 1100))
	}
	require.EqualValues(t, 1, f.Stats().Dropped)

	f.sequence++
	f.send(0, false, make([]byte, 1100))
	f.now = f.now.Add(patience)
	f.drain(f.now)
	require.Empty(t, f.packets.assembler.open.payloads)
	f.send(3000, true, vp8(0, 0, 1, true)[0].Payload)
	require.Len(t, f.frames, 1)
	require.EqualValues(t, 1, f.Stats().Dropped)
}

// A packet holds the whole buffer that it was read into.
func TestTinyPacketsOfAFrameCountWithTheirBuffers(t *testing.T) {
	f := feedOf(t, "video/vp8")
	for range maxFrame/1460 + 1 {
		f.send(0, false, make([]byte, 1, 1460))
	}
	require.ErrorIs(t, f.warnings[0], errTooLarge)
}

// What a frame is made of may cost more than its bytes.
func TestFramesOfTooManyPiecesAreDropped(t *testing.T) {
	vp9Key := []byte{0x08, 0x82, 0x49, 0x83, 0x42, 0x00, 0x04, 0xf0, 0x02, 0xcf, 0x00}
	empty := append([]byte{0x00}, make([]byte, 1000)...)
	sps := append([]byte{0x67}, bytes.Repeat([]byte{0x42}, maxParameters)...)
	stapA := append(binary.BigEndian.AppendUint16([]byte{0x78}, uint16(len(sps))), sps...)
	nals := append([]byte{0x78}, bytes.Repeat([]byte{0, 1, 0x65}, 400)...)
	sequenceHeader := append([]byte{0x10, 0x08}, make([]byte, maxParameters)...)

	for name, c := range map[string]struct {
		mime    string
		payload []byte
		packets int
		err     error
	}{
		"more layers of VP9 than there are":      {"video/vp9", vp9Key, maxLayers + 1, errPieces},
		"an OBU of AV1 in each byte":             {"video/av1", empty, 5, errPieces},
		"a parameter set of H264 that is huge":   {"video/h264", stapA, 1, errParameters},
		"a NAL unit of H264 in each third byte":  {"video/h264", nals, 3, nil},
		"a sequence header of AV1 that is huge":  {"video/av1", sequenceHeader, 1, errParameters},
		"a VP8 picture without width and height": {"video/vp8", []byte{0x10, 0, 0, 0, 0x9d, 1, 0x2a, 0, 0, 0, 0}, 1, errSize},
	} {
		t.Run(name, func(t *testing.T) {
			f := feedOf(t, c.mime)
			for n := range c.packets {
				f.send(0, n == c.packets-1, c.payload)
			}
			require.Empty(t, f.frames)
			require.Len(t, f.warnings, 1)
			if c.err != nil {
				require.ErrorIs(t, f.warnings[0], c.err)
			}
			require.Equal(t, 1, f.asked)
		})
	}
}

// Frames of the stream before may still wait for others when a stream begins anew: what time they are must not change,
// or hours of silence would follow them.
func TestAStreamThatBeginsAnewGoesOnBehindTheOneBefore(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"an hour back":       -time.Hour,
		"an hour ahead":      time.Hour,
		"six hours back":     -6 * time.Hour,
		"eleven hours ahead": 11 * time.Hour,
		"twelve seconds":     12 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			f := feedOf(t, "audio/opus")
			timestamp := uint32(1 << 31)
			for n := range 300 {
				if n == 150 {
					timestamp += uint32(int64(jump.Seconds() * 48000))
				}
				f.send(timestamp, true, []byte{31 << 3, 1, 2})
				f.now = f.now.Add(19 * time.Millisecond)
				timestamp += 960
				if n >= 50 { // they leave a second later
					f.Settle(f.frames[n-50].Timestamp)
				}
			}

			require.Len(t, f.frames, 300)
			first := f.Time(f.frames[0].Timestamp)
			for n, frame := range f.frames {
				off := f.Time(frame.Timestamp).Sub(first) - time.Duration(n)*20*time.Millisecond
				require.Less(t, off.Abs(), 2*time.Millisecond, "frame %d", n)
			}
		})
	}
}

// A publisher whose timestamps stand still does not hold the recording's time back.
func TestTimeGoesOnWhenTimestampsStandStill(t *testing.T) {
	for mime, payload := range map[string][]byte{
		"audio/opus": {31 << 3, 1, 2},
		"video/vp8":  vp8(0, 0, 1, true)[0].Payload,
	} {
		t.Run(mime, func(t *testing.T) {
			f := feedOf(t, mime)
			began := f.now
			for range 300 {
				f.send(7, true, payload)
				f.now = f.now.Add(time.Second)

				last := f.frames[len(f.frames)-1]
				behind := f.now.Sub(began) - f.Settle(last.Timestamp).Sub(f.Time(f.frames[0].Timestamp))
				require.LessOrEqual(t, behind, maxBehind+2*time.Second)
			}
			require.Len(t, f.frames, 300)
		})
	}
}

// A way that was blocked (TCP, a recorder that stood still) brings at once what has waited: each frame is where it
// belongs, and none on top of another.
func TestABacklogKeepsItsTimes(t *testing.T) {
	for name, c := range map[string]struct {
		stall   time.Duration
		reports bool // come meanwhile: the server, which sends them, is on this side
	}{
		"11 s, of the publisher": {11 * time.Second, true},
		"11 s, of the recorder":  {11 * time.Second, false},
		"25 s, of the publisher": {25 * time.Second, true},
		"25 s, of the recorder":  {25 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const begin, length, interval = 20 * time.Second, time.Minute, 20 * time.Millisecond
				f, began := feedOf(t, "audio/opus"), time.Now()
				var late []func()
				for at := time.Duration(0); at < length; at += interval {
					time.Sleep(time.Until(began.Add(at)))
					stalls := at >= begin && at < begin+c.stall
					header := rtp.Header{
						SSRC:           7,
						SequenceNumber: uint16(at / interval),
						Timestamp:      uint32(first + at.Milliseconds()*48),
						Marker:         true,
					}
					arrive := func() {
						f.receive(&rtp.Packet{Header: header, Payload: []byte{31 << 3, 1, 2}}, time.Now())
						f.drain(time.Now())
					}
					report := &rtcp.SenderReport{SSRC: 7, NTPTime: ntpOf(time.Now()), RTPTime: header.Timestamp}
					tell := func() {}
					if at%(3*time.Second) == time.Second {
						tell = func() { f.HandleRTCP(report) }
					}
					if stalls && c.reports {
						tell()
						tell = func() {}
					}
					if late = append(late, arrive, tell); stalls {
						continue
					}
					for n := 0; n+2 < len(late) && len(late) > 100; n += 40 { // some overtake others, or come twice
						late[n], late[n+2] = late[n+2], late[n]
						late = append(late, late[n])
					}
					for _, do := range late {
						do()
					}
					late = nil
					for n := max(0, len(f.frames)-200); n < len(f.frames)-100; n++ { // they leave 2 s later
						f.Settle(f.frames[n].Timestamp)
					}
				}

				require.Len(t, f.frames, int(length/interval))
				for n, frame := range f.frames {
					off := f.Time(frame.Timestamp).Sub(f.Time(f.frames[0].Timestamp)) - time.Duration(n)*interval
					require.Less(t, off.Abs(), 5*time.Millisecond, "frame %d", n)
				}
			})
		})
	}
}

// Its packets were late by 300 ms just when it began anew: its reports say so.
func TestAStreamThatBeginsAnewGoesByItsOwnReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulated(t, "audio/opus", &Timebase{}, 0, 20*time.Millisecond, 1<<31)
		began, times := time.Now(), []time.Time{}
		s.Emit = func(f Frame) { times = append(times, s.Settle(f.Timestamp)) }
		for at := time.Duration(0); at < 5*time.Minute; at += s.interval {
			if at == time.Minute {
				s.start += 48000 * 3600
				time.Sleep(300 * time.Millisecond)
			}
			if at > time.Minute {
				time.Sleep(time.Until(began.Add(at)))
			} else {
				time.Sleep(s.interval)
			}
			s.next = at
			s.send()
			if at%(3*time.Second) == 0 {
				s.report(time.Since(began))
			}
		}

		for n, at := range times {
			off := at.Sub(times[0]) - time.Duration(n)*s.interval
			require.Less(t, off.Abs(), 350*time.Millisecond, "frame %d", n)
		}
		last := times[len(times)-1].Sub(times[0]) - time.Duration(len(times)-1)*s.interval
		require.Less(t, last.Abs(), 5*time.Millisecond, "after a while they are exact again")
	})
}

// VP9 can say sizes that no container can have.
func TestAPictureThatIsTooLargeIsDropped(t *testing.T) {
	key := func(size ...byte) []byte { return append([]byte{0x2c, 0, 0, 0x82, 0x49, 0x83, 0x42}, size...) }
	f := feedOf(t, "video/vp9")
	f.send(0, true, key(0x0f, 0xff, 0xff, 0xff, 0xf0, 0x00))
	require.Empty(t, f.frames)
	require.Len(t, f.warnings, 1)
	require.ErrorIs(t, f.warnings[0], errSize)

	f.send(3000, true, key(0x00, 0x04, 0xf0, 0x02, 0xcf, 0x00))
	require.Len(t, f.frames, 1)
}
