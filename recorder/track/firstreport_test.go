package track

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// The first report of the sound says that the publisher's clock is far off, and the pictures have none for some seconds
// yet: they are of the same time nevertheless, those that came before that report, too.
func TestTheFirstReportOfOneTrackIsTheOthersToo(t *testing.T) {
	for name, ahead := range map[string]time.Duration{
		"an hour ahead":  time.Hour,
		"an hour behind": -time.Hour,
		"years ahead":    tenYears,
		"years behind":   -tenYears,
	} {
		for _, left := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pictures have left: %t", name, left), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { firstReport(t, ahead, left) })
			})
		}
	}
}

// firstReport plays six seconds; left says that some pictures have left before any report.
func firstReport(t *testing.T, ahead time.Duration, left bool) {
	const interval = 20 * time.Millisecond
	audio, video := feedOf(t, "audio/opus"), feedOf(t, "video/vp8")
	video.Base = audio.Base
	video.Init()
	began := time.Now()

	send := func(f *fed, at time.Duration, payload []byte) {
		f.receive(&rtp.Packet{Header: rtp.Header{
			SSRC:           7,
			SequenceNumber: f.sequence,
			Timestamp:      uint32(at.Seconds() * float64(f.Codec.ClockRate)),
			Marker:         true,
		}, Payload: payload}, time.Now())
		f.drain(time.Now())
		f.sequence++
	}
	report := func(f *fed, at time.Duration) {
		f.HandleRTCP(&rtcp.SenderReport{
			SSRC:    7,
			NTPTime: ntpOf(time.Now().Add(ahead)),
			RTPTime: uint32(at.Seconds() * float64(f.Codec.ClockRate)),
		})
	}

	for at := time.Duration(0); at < 6*time.Second; at += interval {
		time.Sleep(time.Until(began.Add(at)))
		send(audio, at, []byte{31 << 3, 1, 2})
		send(video, at, vp8(0, 0, 1, true)[0].Payload)
		if left && at == 800*time.Millisecond {
			video.Settle(video.frames[10].Timestamp)
		}
		if at >= time.Second && at%(3*time.Second) == time.Second {
			report(audio, at)
			if at > 3*time.Second {
				report(video, at)
			}
		}
	}

	require.Len(t, video.frames, len(audio.frames))
	for n := range audio.frames {
		sound, picture := audio.Settle(audio.frames[n].Timestamp), video.Settle(video.frames[n].Timestamp)
		require.Less(t, sound.Sub(picture).Abs(), 40*time.Millisecond, "frame %d", n)
	}
}
