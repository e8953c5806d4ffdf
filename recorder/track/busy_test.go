package track

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reportLate are by how much a report may be late.
var reportLate = []time.Duration{0, 70 * time.Millisecond, 130 * time.Millisecond, 220 * time.Millisecond}

// A browser says of its sound when it was sent: on a machine that is busy that is late for a while, and so is what it
// says. Such a report may come late itself, or the one beside it: that is no clock that was set, and moves no picture.
func TestSoundOfABusyMachineMovesNoPictures(t *testing.T) {
	const busy = 125 * time.Millisecond
	for _, late := range reportLate {
		for name, b := range map[string]busyMachine{
			"behind late sound":      {sound: only(2, busy), soundReport: only(3, late)},
			"before late sound":      {sound: only(3, busy), soundReport: only(2, late)},
			"of late sound":          {sound: only(2, busy), soundReport: only(2, late)},
			"beside other late ones": {sound: only(3, busy), soundReport: only(3, late), pictureReport: only(2, late)},
		} {
			t.Run(fmt.Sprintf("a report %s is late by %s", name, late), func(t *testing.T) {
				apart, _ := b.play()
				require.Less(t, apart, 40*time.Millisecond)
			})
		}
	}
}

// The pictures' layer changes, which makes a machine busy, and the report that tells of it is late.
func TestALayersStepWhoseReportIsLateIsMadeGood(t *testing.T) {
	for _, late := range reportLate {
		for _, by := range []time.Duration{125 * time.Millisecond, -125 * time.Millisecond, 60 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s, report late by %s", by, late), func(t *testing.T) {
				_, end := busyMachine{layer: by, pictureReport: only(3, late)}.play()
				require.Less(t, end, 10*time.Millisecond)
			})
		}
	}
}

// only is that of one report.
func only(report int, by time.Duration) map[int]time.Duration {
	return map[int]time.Duration{report: by}
}

// busyMachine is by how much the sound is late that a report speaks of, and by how much reports are, by their numbers.
type busyMachine struct {
	sound, soundReport, pictureReport map[int]time.Duration
	layer                             time.Duration // by which the pictures' timestamps step after nine seconds
}

// play is how far pictures and sound part in 20 seconds at most, and in the end.
func (b busyMachine) play() (apart, end time.Duration) {
	base := &Timebase{}
	sound, picture := sender{48000, 0, 4711}, sender{90000, 0, 4711}
	audio, video := NewClock(48000, slew[Audio], base), NewClock(90000, slew[Video], base)
	shown := func(at time.Duration) int64 {
		if at > 9*time.Second {
			at += b.layer
		}
		return picture.rtp(at)
	}

	const way, every = 40 * time.Millisecond, 3 * time.Second
	for at := time.Duration(0); at < 20*time.Second; at += 20 * time.Millisecond {
		left, asked := max(0, at-leaving), at > leaving
		now, came := origin.Add(at), origin.Add(at+way)
		audio.Arrived(sound.rtp(at), came, asked)
		video.Arrived(shown(at), came, asked)
		switch n := int(at / every); at % every {
		case time.Second: // what was captured earlier is said to be of now
			audio.Report(sound.rtp(at-b.sound[n]), now, came.Add(b.soundReport[n]), sound.rtp(left), asked)
		case 1500 * time.Millisecond:
			video.Report(shown(at), now, came.Add(b.pictureReport[n]), shown(left), asked)
		}
		end = video.At(shown(left)).Sub(audio.At(sound.rtp(left))).Abs()
		if asked {
			apart = max(apart, end)
		}
	}
	return apart, end
}
