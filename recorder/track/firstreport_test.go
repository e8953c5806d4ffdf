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
				synctest.Test(t, func(t *testing.T) { firstReport(t, reported{ahead: ahead, left: left}) })
			})
		}
	}
}

// The publisher's clock is set when the sound has had its first report, and the pictures have not.
func TestAClockThatIsSetBetweenTwoFirstReportsPartsNothing(t *testing.T) {
	for _, by := range []time.Duration{2 * time.Second, -2 * time.Second, time.Hour, -time.Hour} {
		for _, left := range []bool{false, true} {
			t.Run(fmt.Sprintf("by %s, pictures have left: %t", by, left), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { firstReport(t, reported{set: by, left: left}) })
			})
		}
	}
}

// An encoder may take its time: that is no clock that was set, whatever else is.
func TestPicturesThatAreLateStayWithTheirSound(t *testing.T) {
	for name, r := range map[string]reported{
		"300 ms":            {late: 300 * time.Millisecond},
		"2 s":               {late: 2 * time.Second},
		"800 ms, and clock": {late: 800 * time.Millisecond, set: 2 * time.Second},
		"only their report": {lateReport: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { firstReport(t, r) })
		})
	}
}

// reported is a call of sound and pictures, by its first reports.
type reported struct {
	ahead      time.Duration // the publisher's clock
	set        time.Duration // what that is set by, after the first report of the sound
	left       bool          // some pictures have left before any report
	late       time.Duration // each picture
	lateReport time.Duration // of the pictures
}

// firstReport plays six seconds.
func firstReport(t *testing.T, r reported) {
	const interval = 20 * time.Millisecond
	audio, video := feedOf(t, "audio/opus"), feedOf(t, "video/vp8")
	video.Base = audio.Base
	video.Init()
	began := time.Now()

	ticks := func(f *fed, at time.Duration) uint32 {
		return uint32((at + time.Minute).Seconds() * float64(f.Codec.ClockRate))
	}
	send := func(f *fed, captured time.Duration, payload []byte) {
		f.receive(&rtp.Packet{Header: rtp.Header{
			SSRC:           7,
			SequenceNumber: f.sequence,
			Timestamp:      ticks(f, captured),
			Marker:         true,
		}, Payload: payload}, time.Now())
		f.drain(time.Now())
		f.sequence++
	}
	report := func(f *fed, at time.Duration) {
		f.HandleRTCP(&rtcp.SenderReport{
			SSRC:    7,
			NTPTime: ntpOf(began.Add(at + r.ahead)),
			RTPTime: ticks(f, at),
		})
	}

	for at := time.Duration(0); at < 6*time.Second; at += interval {
		time.Sleep(time.Until(began.Add(at)))
		send(audio, at, []byte{31 << 3, 1, 2})
		send(video, at-r.late, vp8(0, 0, 1, true)[0].Payload)
		if r.left && at == 800*time.Millisecond {
			video.Settle(video.frames[10].Timestamp)
		}
		if at >= time.Second && at%(3*time.Second) == time.Second {
			if at > 3*time.Second {
				r.ahead += r.set
				r.set = 0
				report(video, at-r.lateReport)
			}
			report(audio, at)
		}
	}

	require.NotEmpty(t, audio.frames)
	require.Len(t, video.frames, len(audio.frames))
	for n := range audio.frames {
		sound, picture := audio.Settle(audio.frames[n].Timestamp), video.Settle(video.frames[n].Timestamp)
		require.Less(t, (sound.Sub(picture) - r.late).Abs(), 40*time.Millisecond, "frame %d", n)
	}
}
