package room

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
)

// publisher is a track of which key frames can be asked for.
type publisher struct {
	*received
	asked int
}

func publish(t *testing.T, mime string) *publisher {
	t.Helper()
	codec, ok := track.CodecOf(mime)
	require.True(t, ok)

	p := &publisher{}
	p.received = &received{
		sid:      "TR_" + codec.Name,
		codec:    codec,
		receiver: &track.Receiver{RequestKeyFrame: func() { p.asked++ }},
	}
	return p
}

// frame is the track's frame number n.
func (p *publisher) frame(n int, key bool, size int) TrackFrame {
	return TrackFrame{p.received, track.Frame{Timestamp: int64(n), Key: key, Data: make([]byte, size)}}
}

// follower is a following of a bot that does nothing, and its log.
func follower() (*Following, *bytes.Buffer) {
	written := &bytes.Buffer{}
	log := logrus.New()
	log.SetOutput(written)
	f := newFollowing(Interest{}, log)
	f.bot = &bot{mail: newMailbox()}
	return f, written
}

// rest takes everything that waits.
func (b *backlog) rest() (events []Event) {
	for {
		e, ok := b.take()
		if !ok {
			return events
		}
		events = append(events, e)
	}
}

// A recording whose disk hangs takes nothing: the room's bot goes on, and so does everybody else.
func TestAFollowerThatTakesNothingHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mic := publish(t, "audio/opus")
		hung, log := follower()
		well, _ := follower()
		f := &feed{track: mic.received, followers: map[*Following]*view{hung: {}, well: {}}}
		go hung.deliver()
		go well.deliver()

		for n := range 100_000 {
			f.emit(mic.frame(n, true, 100).Frame)
			frame := (<-well.Events()).(TrackFrame)
			require.EqualValues(t, n, frame.Frame.Timestamp)
			require.False(t, frame.Frame.AfterLoss)
		}
		hung.send(TrackEnded{mic})
		hung.send(Closed{})

		require.LessOrEqual(t, hung.backlog.frames, maxFramesBehind)
		require.Contains(t, log.String(), "droppedFrames=")
		require.Less(t, bytes.Count(log.Bytes(), []byte("\n")), 200)

		var events []Event
		for events == nil || events[len(events)-1] != (Closed{}) {
			events = append(events, <-hung.Events())
		}
		require.EqualValues(t, 0, events[0].(TrackFrame).Frame.Timestamp, "it was on its way already")
		require.True(t, events[1].(TrackFrame).Frame.AfterLoss, "what is missing is a loss")
		require.False(t, events[2].(TrackFrame).Frame.AfterLoss)
		require.EqualValues(t, 99_999, events[len(events)-3].(TrackFrame).Frame.Timestamp, "the newest are kept")
		require.Equal(t, TrackEnded{mic}, events[len(events)-2])

		hung.Close()
		well.Close()
		synctest.Wait()
	})
}

func TestPicturesGoOnWithAKeyFrameBehindWhatWasLeftOut(t *testing.T) {
	cam, f := publish(t, "video/vp8"), newBacklog()
	now, asked := time.Now(), 0
	put := func(n int, key bool) {
		now = now.Add(40 * time.Millisecond)
		asked += len(f.put(cam.frame(n, key, 100), now).ask)
	}
	put(0, true)
	for n := range maxFramesBehind + 300 {
		put(n+1, false)
	}
	require.Empty(t, f.rest(), "nothing of that can be decoded")
	require.InDelta(t, 12, asked, 1, "each second")

	put(9000, true)
	put(9001, false)
	frames := f.rest()
	require.Len(t, frames, 2)
	require.True(t, frames[0].(TrackFrame).Frame.AfterLoss)
	require.False(t, frames[1].(TrackFrame).Frame.AfterLoss)
	require.Equal(t, maxFramesBehind+301, f.dropped)

	behind, _ := follower()
	for n := range maxFramesBehind + 2 {
		behind.send(cam.frame(n, n == 0, 100))
	}
	require.Equal(t, 1, cam.asked)
}

func TestAKeyFrameThatWaitsIsGoneOnWithWhenOlderOnesAreLeftOut(t *testing.T) {
	cam, f := publish(t, "video/vp8"), newBacklog()
	for n := range maxFramesBehind + 1 {
		f.put(cam.frame(n, n%100 == 0, 100), time.Time{})
	}
	frames := f.rest()
	require.True(t, frames[0].(TrackFrame).Frame.Key)
	require.EqualValues(t, 1100, frames[0].(TrackFrame).Frame.Timestamp)
	require.Len(t, frames, maxFramesBehind+1-1100)
}

func TestLargeFramesThatWaitAreBoundedByTheirBytes(t *testing.T) {
	cam, f := publish(t, "video/vp8"), newBacklog()
	for n := range 500 {
		f.put(cam.frame(n, true, 1<<20), time.Time{})
		require.LessOrEqual(t, f.bytes, maxBytesBehind)
	}
	require.NotEmpty(t, f.rest())
	require.Zero(t, f.bytes)
	require.Zero(t, f.frames)
}

func TestMoreIsLeftOutWhenAllRecordingsHoldTooMuch(t *testing.T) {
	cam, f := publish(t, "video/vp8"), newBacklog()
	for n := range 8 {
		f.put(cam.frame(n, true, 1<<20), time.Time{})
	}
	require.Greater(t, f.bytes, 8*track.FairShare)

	others := track.NewShare()
	others.Set(1 << 30)
	defer others.Set(0)
	f.put(cam.frame(8, true, 1<<10), time.Time{})
	require.LessOrEqual(t, f.bytes, track.FairShare)
	require.NotEmpty(t, f.rest())
}

// None of these can be left out, so that whoever misses too many of them begins anew.
func TestAFollowerThatMissesTooMuchIsPutOut(t *testing.T) {
	mic, f := publish(t, "audio/opus"), newBacklog()
	f.put(TrackStarted{mic}, time.Time{})
	for n := range 3 * maxEventsBehind {
		f.put(TrackMuted{SID: fmt.Sprint(n), Muted: true}, time.Time{})
	}
	events := f.rest()
	require.LessOrEqual(t, len(events), maxEventsBehind+3)
	require.Equal(t, []Event{TrackEnded{mic}, Closed{Err: errBehind}}, events[len(events)-2:])
}

func TestWhatWaitsIsGivenBackWhenTheFollowerHasGone(t *testing.T) {
	mic := publish(t, "audio/opus")
	f, _ := follower()
	f.send(mic.frame(0, true, 100))
	f.Close()
	f.send(mic.frame(1, true, 100))
	require.Empty(t, f.backlog.rest())
	f.deliver() // ends
}

func TestTheRoomIsLookedAtOnceHoweverOftenItHasChanged(t *testing.T) {
	m, looked := newMailbox(), 0
	for range 1000 {
		m.postAgain("look", func() { looked++ })
	}
	for range 2 {
		for _, f := range m.take() {
			f()
		}
	}
	require.Equal(t, 1, looked)

	m.postAgain("look", func() { looked++ })
	require.Len(t, m.close(), 1)
	m.postAgain("look", func() { looked++ })
	require.Empty(t, m.take())
}
