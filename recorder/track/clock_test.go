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

var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sender is a publisher's track: its RTP clock is off by ppm, its wall clock is right.
type sender struct {
	rate  float64
	ppm   float64
	start int64
}

func (s sender) rtp(at time.Duration) int64 {
	return s.start + int64(at.Seconds()*s.rate*(1+s.ppm/1e6))
}

func TestClockFollowsSkewedClocksForThreeHoursWithoutSteps(t *testing.T) {
	for name, ppm := range map[string]float64{"exact": 0, "fast": 200, "slow": -200} {
		t.Run(name, func(t *testing.T) {
			s := sender{90000, ppm, 12345}
			c := NewClock(90000, slew[Audio], &Timebase{})
			noise := rand.New(rand.NewPCG(1, 2))
			c.Report(s.rtp(0), origin, origin.Add(40*time.Millisecond), 0, false)
			var last time.Time
			const frame = time.Second / 30
			next := 3 * time.Second
			for at := time.Duration(0); at < 3*time.Hour; at += frame {
				if at >= next { // a report, late by up to 40 ms and noisy by up to 1 ms
					ntp := at + time.Duration(noise.IntN(2_000_000)-1_000_000)
					c.Report(s.rtp(at), origin.Add(ntp), origin.Add(at+40*time.Millisecond), s.rtp(at-frame), true)
					next += 3 * time.Second
				}
				c.Arrived(s.rtp(at), origin.Add(at+5*time.Millisecond), at > 0)
				got := c.At(s.rtp(at))
				if at > 0 {
					step := got.Sub(last)
					allowed := float64(frame)*(slew[Audio]+300e-6) + 12_000
					require.InDelta(t, float64(frame), float64(step), allowed, "step at %s", at)
				}
				last = got
				if at > 10*time.Second {
					require.InDelta(t, 0, got.Sub(origin.Add(at)).Seconds(), 0.003, "error at %s", at)
				}
			}
		})
	}
}

func TestClockIsExactFromTheFirstFrameWhenTheReportComesFirst(t *testing.T) {
	s := sender{48000, 0, 1 << 31}
	c := NewClock(48000, slew[Audio], &Timebase{})
	c.Arrived(s.rtp(0), origin.Add(70*time.Millisecond), false) // late by 70 ms
	c.Arrived(s.rtp(20*time.Millisecond), origin.Add(50*time.Millisecond), false)
	c.Report(s.rtp(3*time.Second), origin.Add(3*time.Second), origin.Add(3*time.Second), 0, false)
	require.True(t, c.Synced())
	require.Equal(t, origin, c.At(s.rtp(0)), "also for frames before the report")
}

func TestClockGoesByTheLeastDelayedPacketUntilAReportComes(t *testing.T) {
	c := NewClock(1000, slew[Audio], &Timebase{})
	c.Arrived(0, origin.Add(80*time.Millisecond), false)
	c.Arrived(20, origin.Add(30*time.Millisecond), false)
	c.Arrived(40, origin.Add(200*time.Millisecond), false)
	require.Equal(t, origin.Add(10*time.Millisecond), c.At(0))
	c.Arrived(60, origin, true)
	require.Equal(t, origin.Add(10*time.Millisecond), c.At(0), "a time that was given out does not change")
}

// What has left before the first report fixes what time it is: the report says how the other tracks lie to that.
func TestALateFirstReportMovesNoTrackButTheOther(t *testing.T) {
	base := &Timebase{}
	audio, video := NewClock(1000, slew[Audio], base), NewClock(1000, slew[Audio], base)
	audio.Arrived(0, origin.Add(100*time.Millisecond), false) // delays
	video.Arrived(0, origin.Add(120*time.Millisecond), false)
	at := origin.Add(10 * time.Second)
	audio.Report(10_000, at, at.Add(100*time.Millisecond), 10_000, true)
	require.Equal(t, at.Add(100*time.Millisecond), audio.At(10_000))
	require.Equal(t, at.Add(time.Second+100*time.Millisecond), audio.At(11_000))

	video.Report(10_000, at, at.Add(100*time.Millisecond), 10_000, true)
	require.Equal(t, at.Add(120*time.Millisecond), video.At(10_000))
	require.Equal(t, 995*time.Millisecond, video.At(11_000).Sub(video.At(10_000)), "5 ms a second")
	require.Equal(t, audio.At(40_000), video.At(40_000))
}

func TestTracksOfOneParticipantShareTheTimebase(t *testing.T) {
	const ahead = time.Hour // the publisher's clock
	base := &Timebase{}
	audio, video := NewClock(48000, slew[Audio], base), NewClock(90000, slew[Audio], base)
	audio.Report(0, origin.Add(ahead), origin, 0, false)
	video.Arrived(0, origin, false)
	require.Equal(t, audio.At(0), video.At(0), "a track without a report goes by the other one's")
}

func TestExtenderSurvivesWraparoundBothWays(t *testing.T) {
	e := &extender{}
	first := e.extend(0xffff_ff00)
	require.EqualValues(t, 0x200, e.extend(0x100)-first)
	require.Equal(t, first, e.near(0xffff_ff00), "a report from before the wraparound")
	require.EqualValues(t, 0x200, e.extend(0x100)-first)
}

func TestAClockThatIsSetAnewDoesNotMoveTheRecording(t *testing.T) {
	base := &Timebase{}
	audio, video := NewClock(1000, slew[Audio], base), NewClock(1000, slew[Audio], base)
	audio.Report(0, origin, origin, 0, false)
	video.Report(0, origin, origin, 0, false)
	const set = 2 * time.Hour
	for second := int64(10); second < 60; second++ {
		arrived := origin.Add(time.Duration(second) * time.Second)
		audio.Report(second*1000, arrived.Add(set), arrived, second*1000, true)
		video.Report(second*1000, arrived.Add(set), arrived, second*1000, true)
	}
	require.Equal(t, origin.Add(time.Minute), audio.At(60_000))
	require.Equal(t, origin.Add(time.Minute), video.At(60_000))
}

func TestTheNextSessionsClockGoesOnFromTheLast(t *testing.T) {
	for name, c := range map[string]struct{ difference, want time.Duration }{
		"the same device":                     {20 * time.Millisecond, 20 * time.Millisecond},
		"another device, whose clock is late": {-7 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first := &Timebase{}
			NewClock(1000, slew[Audio], first).Report(0, origin, origin, 0, false)
			second := first.Next()
			waiting := NewClock(1000, slew[Audio], second)
			waiting.Arrived(0, origin, false)
			require.Equal(t, origin, waiting.At(0), "before its first report it goes by the earlier session's")
			clock := NewClock(1000, slew[Audio], second)
			arrived := origin.Add(time.Minute)
			clock.Report(5, arrived.Add(c.difference), arrived, 0, false)
			require.Equal(t, arrived.Add(c.want), clock.At(5))
		})
	}
}

// Another stream's timestamp, or one that is made up, says nothing.
func TestAReportOfAnotherTimestampIsIgnored(t *testing.T) {
	for name, asked := range map[string]bool{"before anything has left": false, "when frames have left": true} {
		t.Run(name, func(t *testing.T) {
			c := NewClock(1000, slew[Audio], &Timebase{})
			c.Arrived(0, origin, false)
			for _, far := range []int64{3_600_000, -3_600_000, 1 << 30} {
				c.Report(far, origin, origin.Add(time.Second), 0, asked)
			}
			require.False(t, c.Synced())
			require.Equal(t, origin, c.At(0))

			c.Report(1000, origin.Add(time.Second), origin.Add(time.Second), 0, asked)
			require.True(t, c.Synced())
			c.Report(3_600_000, origin.Add(4*time.Second), origin.Add(4*time.Second), 0, true)
			require.Equal(t, origin.Add(time.Minute), c.At(60_000))
		})
	}
}

func TestATimestampThatHasNothingToDoWithThoseBefore(t *testing.T) {
	c := NewClock(1000, slew[Audio], &Timebase{})
	require.Zero(t, c.Ahead(1<<30, origin), "the first one")
	c.Arrived(0, origin, false)
	for ticks, want := range map[int64]int64{
		0:          0,
		2900:       0, // a packet may be early by an estimate that is off
		-9900:      0, // or late
		3_600_000:  3_600_000,
		-3_600_000: -3_600_000,
	} {
		require.Equal(t, want, c.Ahead(ticks, origin), ticks)
	}
}

// After a change of layers the timestamps of a video track can be a frame off: its next report counts in full.
func TestAStepInTheReportsIsFollowedAtOnce(t *testing.T) {
	const off = 35 * time.Millisecond
	c := NewClock(90000, slew[Video], &Timebase{})
	for second := int64(0); second <= 60; second += 3 {
		at := origin.Add(time.Duration(second) * time.Second)
		if second >= 30 {
			at = at.Add(off)
		}
		c.Report(second*90000, at, at, second*90000, second > 0)
	}
	require.InDelta(t, 0, c.At(61*90000).Sub(origin.Add(61*time.Second+off)).Seconds(), 0.0005)
	require.InDelta(t, 0, c.drift.skew, 1e-6, "a step is no drift")
}

// What sound is made of stands still for a while, without a mute, and its timestamps with it; those of pictures go on.
func TestATrackThatStoodStillIsInStepAgain(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 9 * time.Second, time.Minute} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const begin, length, interval = 20 * time.Second, 3 * time.Minute, 20 * time.Millisecond
				f, began, media := feedOf(t, "audio/opus"), time.Now(), int64(0)
				var captured, times []time.Time
				for at := time.Duration(0); at < length; at += interval {
					time.Sleep(time.Until(began.Add(at)))
					if at >= begin && at < begin+pause {
						continue
					}
					timestamp := uint32(first + media)
					media += interval.Milliseconds() * 48
					f.receive(&rtp.Packet{
						Header:  rtp.Header{SSRC: 7, SequenceNumber: f.sequence, Timestamp: timestamp, Marker: true},
						Payload: []byte{31 << 3, 1, 2},
					}, time.Now())
					f.drain(time.Now())
					f.sequence++
					captured = append(captured, time.Now())
					if at%(3*time.Second) == time.Second {
						f.HandleRTCP(&rtcp.SenderReport{SSRC: 7, NTPTime: ntpOf(time.Now()), RTPTime: timestamp})
					}
					if left := len(times); len(f.frames)-left > int(leaving/interval) {
						times = append(times, f.Settle(f.frames[left].Timestamp))
					}
				}

				for n, at := range times {
					if n > 0 {
						require.True(t, at.After(times[n-1]), "time runs backwards at frame %d", n)
					}
					if captured[n].Sub(began) > begin+pause+10*time.Second {
						require.Less(t, at.Sub(captured[n]).Abs(), 5*time.Millisecond, "frame %d", n)
					}
				}
			})
		})
	}
}
