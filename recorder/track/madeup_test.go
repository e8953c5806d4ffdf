package track

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// madeUp is what a publisher says of the time of its packets, when the call has lasted that long. A LiveKit server
// leaves out the reports whose time or timestamp is earlier than that of the one before: they reach no recorder. Here
// they do.
type madeUp struct {
	ahead func(lasted time.Duration) time.Duration // of the time in reports
	ticks func(lasted time.Duration) uint32        // added to the timestamp in reports
}

const tenYears = 10 * 365 * 24 * time.Hour

func madeUpReports() map[string]madeUp {
	chance := rand.New(rand.NewPCG(5, 6))
	right := func(time.Duration) uint32 { return 0 }
	return map[string]madeUp{
		"years ahead":  {func(time.Duration) time.Duration { return tenYears }, right},
		"years behind": {func(time.Duration) time.Duration { return -tenYears }, right},
		"on by hours":  {func(lasted time.Duration) time.Duration { return lasted.Truncate(4*time.Second) * 3600 }, right},
		"back by hours": {
			func(lasted time.Duration) time.Duration { return -lasted.Truncate(4*time.Second) * 3600 },
			right,
		},
		"to and fro": {func(lasted time.Duration) time.Duration { return lasted / (4 * time.Second) % 2 * tenYears }, right},
		"anywhere": {
			func(time.Duration) time.Duration { return time.Duration(chance.Int64N(int64(2*tenYears))) - tenYears },
			right,
		},
		"of other timestamps": {
			func(time.Duration) time.Duration { return 0 },
			func(lasted time.Duration) uint32 {
				if lasted < 10*time.Second {
					return 0 // else it is a first report that is wrong
				}
				return chance.Uint32()
			},
		},
	}
}

// No report, and no row of reports, moves a recording's time: it goes on as the packets do.
func TestMadeUpReportsMoveNothing(t *testing.T) {
	for name, m := range madeUpReports() {
		for _, from := range []time.Duration{0, 20 * time.Second} {
			t.Run(fmt.Sprintf("%s, from %s on", name, from), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { m.play(t, from) })
			})
		}
	}
}

// play sends sound for twenty minutes, with a report each second from some time on, and settles the time of each frame
// when it has waited for others for long enough.
func (m madeUp) play(t *testing.T, from time.Duration) {
	const interval, length = 20 * time.Millisecond, 20 * time.Minute
	// By which a frame may be longer or shorter, rounded up.
	most := interval.Seconds() * 1.01 * (slew[Audio] + maxSkew)
	var waiting []Frame
	f := feedOf(t, "audio/opus")
	f.Emit = func(frame Frame) { waiting = append(waiting, frame) }
	began := time.Now()
	var begin, last time.Time
	settle := func(until time.Duration) {
		for len(waiting) > 0 && time.Duration(waiting[0].Timestamp-first)*time.Second/48000 <= until {
			at := f.Settle(waiting[0].Timestamp)
			if last.IsZero() {
				begin = at
			} else if step := at.Sub(last); (step-interval).Seconds() > most || (interval-step).Seconds() > most {
				require.InDelta(t, interval.Seconds(), step.Seconds(), most, "at %s", until)
			}
			last, waiting = at, waiting[1:]
		}
	}

	for lasted := time.Duration(0); lasted < length; lasted += interval {
		time.Sleep(time.Until(began.Add(lasted)))
		timestamp := uint32(first + int64(lasted.Seconds()*48000))
		f.receive(&rtp.Packet{
			Header:  rtp.Header{SSRC: 7, SequenceNumber: f.sequence, Timestamp: timestamp, Marker: true},
			Payload: []byte{31 << 3, 1, 2},
		}, time.Now())
		f.drain(time.Now())
		f.sequence++

		if lasted >= from && lasted%time.Second == 500*time.Millisecond {
			f.HandleRTCP(&rtcp.SenderReport{
				SSRC:    7,
				NTPTime: ntpOf(time.Now().Add(m.ahead(lasted))),
				RTPTime: timestamp + m.ticks(lasted),
			})
		}
		settle(lasted - leaving)
	}

	require.Len(t, waiting, int(leaving/interval))
	off := last.Sub(begin) - (length - interval - leaving)
	require.Less(t, off.Abs(), maxAhead, "in the end")
}

// first is the first timestamp.
const first = 4711

// ntpOf is a time as reports have it.
func ntpOf(t time.Time) uint64 {
	return (uint64(t.Unix())+2208988800)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
