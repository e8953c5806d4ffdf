package track

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scene is a call of sound and pictures, with a publisher's clock that does what it likes.
type scene struct {
	// clock is what the publisher's clock shows when the call has lasted that long.
	clock func(time.Duration) time.Time
	// reports is when the first sender report comes; from then on there is one every 3 seconds of each track.
	reports time.Duration
	length  time.Duration
	// madeUp says that no clock goes like that: then sound and picture may part by a second.
	madeUp bool
}

// played is what became of a call: the times of all frames that have left, by when they were captured.
type played struct{ audio, video map[time.Duration]time.Time }

// leaving is how long frames wait for others before their time is settled.
const leaving = 1800 * time.Millisecond

// play sends the call's packets, which take 30 to 60 ms, and its reports.
func (s scene) play() played {
	base := &Timebase{}
	noise := rand.New(rand.NewPCG(3, 4))
	arrival := func(at time.Duration) time.Time {
		return origin.Add(at + 30*time.Millisecond + time.Duration(noise.IntN(30))*time.Millisecond)
	}
	one := func(rate float64, kind Kind, interval, report time.Duration) (
		step func(time.Duration), out map[time.Duration]time.Time) {
		from, clock := sender{rate, 0, 4711}, NewClock(int64(rate), slew[kind], base)
		out = map[time.Duration]time.Time{}
		next, settled, nextReport := time.Duration(0), time.Duration(-1), report
		return func(now time.Duration) {
			if now < next {
				return
			}
			clock.Arrived(from.rtp(next), arrival(next), settled >= 0)
			next += interval
			for left := settled + interval; left <= now-leaving; left += interval {
				if settled < 0 {
					left = 0
				}
				out[left], settled = clock.At(from.rtp(left)), left
			}
			if now >= nextReport {
				latest := max(settled, 0)
				clock.Report(from.rtp(now), s.clock(now), arrival(now), from.rtp(latest), settled >= 0)
				nextReport += 3 * time.Second
			}
		}, out
	}

	audioStep, audio := one(48000, Audio, 20*time.Millisecond, s.reports)
	videoStep, video := one(90000, Video, 40*time.Millisecond, s.reports+1300*time.Millisecond)
	for now := time.Duration(0); now < s.length; now += 20 * time.Millisecond {
		audioStep(now)
		videoStep(now)
	}
	return played{audio, video}
}

// Whatever the publisher's clock does, sound and picture stay together, and the recording's time goes on as the packets
// do.
func TestThePublishersClockMovesNothing(t *testing.T) {
	right := func(at time.Duration) time.Time { return origin.Add(at) }
	set := func(by time.Duration) func(time.Duration) time.Time {
		return func(at time.Duration) time.Time {
			if at >= 30*time.Second {
				return origin.Add(at + by)
			}
			return origin.Add(at)
		}
	}
	for name, s := range map[string]scene{
		"right":                              {clock: right},
		"set 2 s ahead":                      {clock: set(2 * time.Second)},
		"set 2 s back":                       {clock: set(-2 * time.Second)},
		"set 100 ms ahead":                   {clock: set(100 * time.Millisecond)},
		"set 30 ms back":                     {clock: set(-30 * time.Millisecond)},
		"set a year ahead":                   {clock: set(365 * 24 * time.Hour)},
		"set 50 years back":                  {clock: set(-50 * 365 * 24 * time.Hour)},
		"no report for long, and then right": {clock: right, reports: 20 * time.Second},
		"no report for long, and then an hour off": {
			clock:   func(at time.Duration) time.Time { return origin.Add(at + time.Hour) },
			reports: 20 * time.Second,
		},
		"made up, now years ahead, now right": {
			clock: func(at time.Duration) time.Time {
				return origin.Add(at + time.Duration(at/(4*time.Second)%2)*3*365*24*time.Hour)
			},
			madeUp: true,
		},
		"made up, faster by half": {
			clock:  func(at time.Duration) time.Time { return origin.Add(at * 3 / 2) },
			madeUp: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.reports, s.length = max(time.Second, s.reports), 5*time.Minute
			p, most := s.play(), 40*time.Millisecond
			if s.madeUp {
				most = time.Second
			}
			require.Greater(t, len(p.video), 1000)
			p.goesOn(t, p.audio, 20*time.Millisecond)
			p.goesOn(t, p.video, 40*time.Millisecond)
			for at, video := range p.video {
				apart := video.Sub(p.audio[at])
				require.LessOrEqual(t, apart.Abs(), most, "sound and picture at %s", at)
			}
		})
	}
}

// goesOn sees that a track's time goes on evenly, and with the call's.
func (p played) goesOn(t *testing.T, frames map[time.Duration]time.Time, interval time.Duration) {
	t.Helper()
	first := frames[0].Sub(origin)
	for at := interval; frames[at] != (time.Time{}); at += interval {
		step := frames[at].Sub(frames[at-interval])
		require.InDelta(t, interval.Seconds(), step.Seconds(), interval.Seconds()*0.031, "step at %s", at)
		off := frames[at].Sub(origin) - at - first
		require.Less(t, off.Abs(), maxAhead, "time at %s", at)
	}
}

func TestTheLeastDelayOfTheLastMinutesCounts(t *testing.T) {
	var w window
	for second := range 600 {
		at := origin.Add(time.Duration(second) * time.Second)
		w.add(-time.Duration(second)*time.Millisecond, at) // a clock that is slow by a thousandth
		require.LessOrEqual(t, w.most(), max(0, 2*offsetWindow-at.Sub(origin))/1000)
		require.GreaterOrEqual(t, w.most(), -time.Duration(second)*time.Millisecond)
	}
}
