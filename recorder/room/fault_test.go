package room

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/track"
)

// offered is a track that somebody publishes.
type offered struct {
	sid        string
	info       *livekit.TrackInfo
	subscribed bool
	asked      int // how often it was subscribed to
}

func (o *offered) SID() string                   { return o.sid }
func (o *offered) Source() livekit.TrackSource   { return livekit.TrackSource_MICROPHONE }
func (o *offered) IsMuted() bool                 { return false }
func (o *offered) TrackInfo() *livekit.TrackInfo { return o.info }
func (o *offered) Receiver() *webrtc.RTPReceiver { return nil }

func (o *offered) SetSubscribed(on bool) error {
	if o.subscribed = on; on {
		o.asked++
	}
	return nil
}

// source is a track's packets, until it is closed.
type source struct{ packets chan *rtp.Packet }

func (s *source) SetReadDeadline(time.Time) error { return nil }

func (s *source) Gather() time.Duration { return 0 }

func (s *source) Reuse([]byte) {}

func (s *source) ReadRTP() (*rtp.Packet, error) {
	p, ok := <-s.packets
	if !ok {
		return nil, io.EOF
	}
	return p, nil
}

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// aBot is in a room, as far as it knows.
func aBot() *bot { return newBot(&Pool{Log: quiet()}, "room") }

// follows lets somebody follow alice's microphone by a bot. What it hears is written down.
func (b *bot) follows() (f *Following, heard *[]Event) {
	f, heard = newFollowing(Interest{Identity: "alice", Tracks: []string{"microphone"}}, quiet()), &[]Event{}
	f.bot = b
	b.add(f)
	go f.run()
	go func() {
		for e := range f.Events() {
			*heard = append(*heard, e)
			if _, last := e.(Closed); last {
				f.Close()
				return
			}
		}
	}()
	return f, heard
}

// looksAt does what a bot does for a follower of whom these are the tracks.
func (b *bot) looksAt(f *Following, pubs ...*offered) {
	var all []publication
	for _, pub := range pubs {
		all = append(all, pub)
	}
	for _, pub := range b.choose(all, f) {
		b.want(pub, f)
	}
}

// receives begins to receive a track for followers.
func (b *bot) receives(pub *offered, followers ...*Following) (*feed, *source) {
	codec, _ := track.CodecOf("audio/opus")
	from := &source{make(chan *rtp.Packet)}
	f := newFeedOf(pub, "alice", b.log)
	f.receiver = &track.Receiver{
		Codec:           codec,
		Source:          from,
		Base:            &track.Timebase{},
		Retransmit:      func([]uint16) {},
		RequestKeyFrame: func() {},
		Emit:            f.emit,
		Warn:            func(error) {},
	}
	f.receiver.Init()
	f.track = &received{sid: pub.sid, source: "microphone", codec: codec, receiver: f.receiver}
	pub.subscribed = true
	for _, to := range followers {
		f.add(to)
	}
	b.post(func() { b.receive(f) })
	return f, from
}

func packet(n uint16) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: n, Timestamp: 960 * uint32(n), SSRC: 1},
		Payload: []byte{0xf8, 1, 2},
	}
}

// count is how many events of a kind there are.
func count[E Event](events []Event) (n int) {
	for _, e := range events {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}

// delivered returns when frames that wait for others have come.
func delivered() {
	time.Sleep(deliverEvery)
	synctest.Wait()
}

// inARoom plays what a bot does that serves a room.
func inARoom(t *testing.T, play func(t *testing.T, b *bot)) {
	synctest.Test(t, func(t *testing.T) {
		b := aBot()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.serve()
			b.leave()
		}()
		play(t, b)
		b.post(func() { b.closing = true })
		<-ended
	})
}

func TestAPanicOfOneReceiverEndsItsTrackOnly(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		broken, whole := &offered{sid: "TR_broken"}, &offered{sid: "TR_whole"}
		feed, from := b.receives(broken, f)
		_, other := b.receives(whole, f)
		from.packets <- packet(1)
		delivered()
		require.Equal(t, 1, count[TrackFrame](*heard))

		before := guard.Caught()
		feed.receiver.Emit = func(track.Frame) { panic("an index is out of range") }
		from.packets <- packet(2)
		synctest.Wait()
		require.Equal(t, before+1, guard.Caught())
		require.Equal(t, 1, count[TrackEnded](*heard))
		require.False(t, broken.subscribed, "nobody reads what would come")

		other.packets <- packet(1)
		delivered()
		require.Equal(t, 2, count[TrackFrame](*heard))
		require.Zero(t, count[Closed](*heard))
		close(other.packets)
	})
}

// The receiver's state cannot be trusted after a report that it could not take.
func TestAPanicOverAReportEndsTheTrackOnly(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		pub := &offered{sid: "TR_broken"}
		feed, from := b.receives(pub, f)
		feed.receiver.Base = nil
		feed.receiver.Init()
		from.packets <- packet(1)
		synctest.Wait()
		before := guard.Caught()
		feed.report(&rtcp.SenderReport{SSRC: 1, NTPTime: 1})
		close(from.packets)
		synctest.Wait()
		require.Greater(t, guard.Caught(), before)
		require.Equal(t, 1, count[TrackEnded](*heard))
		require.Zero(t, count[Closed](*heard))
		require.False(t, pub.subscribed)
	})
}

// A packet in ten thousand may be what the code cannot take: the track is asked for again. One of which nothing else
// comes is given up, and the recording learns why it has nothing.
func TestATrackWhoseReceivingFailsIsAskedForAgainAFewTimes(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		pub := &offered{sid: "TR_broken"}
		for n := range maxFaults {
			require.Zero(t, count[Unrecordable](*heard))
			feed, from := b.receives(pub, f)
			feed.receiver.Emit = func(track.Frame) { panic("an index is out of range") }
			from.packets <- packet(1)
			b.post(func() { b.looksAt(f, pub) })
			synctest.Wait()
			require.Equal(t, n, pub.asked, "not at once")
			time.Sleep(resubscribe)
			b.post(func() { b.looksAt(f, pub) })
			synctest.Wait()
			require.Equal(t, min(n+1, maxFaults-1), pub.asked)
		}
		require.Equal(t, 1, count[Unrecordable](*heard))
		require.Equal(t, maxFaults, count[TrackEnded](*heard))
		require.Zero(t, count[Closed](*heard))
	})
}

// Whoever came to follow just then must learn of it, too, or would wait for ever.
func TestAPanicOfABotIsToldToEverybody(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		_, first := b.follows()
		synctest.Wait()
		b.mail.mu.Lock() // so that the two are taken together
		b.mail.waiting = append(b.mail.waiting, func() { panic("an index is out of range") })
		b.mail.mu.Unlock()
		_, late := b.follows()
		synctest.Wait()
		for _, heard := range []*[]Event{first, late} {
			require.Equal(t, 1, count[Closed](*heard))
			require.Error(t, (*heard)[len(*heard)-1].(Closed).Err)
		}
		require.ErrorIs(t, (*first)[len(*first)-1].(Closed).Err, guard.ErrPanic)
		require.False(t, b.post(func() {}), "the next one to come makes a new bot")
	})
}

func TestAPanicOfABotThatIsLeavingKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := aBot()
		_, heard := b.follows()
		for _, f := range b.mail.take() {
			f()
		}
		b.post(func() { panic("an index is out of range") })
		b.leave()
		synctest.Wait()
		require.Equal(t, 1, count[Closed](*heard))
	})
}

// faultyTrack has a fault where key frames are asked for.
type faultyTrack struct{ parts.Track }

func (faultyTrack) RequestKeyFrame() { panic("an index is out of range") }

func TestAPanicOverOneFollowerCostsNoOther(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		_, other := b.follows()
		pub := &offered{sid: "TR_one"}
		feed, from := b.receives(pub, f)
		camera := publish(t, "video/vp8")
		f.backlog.put(TrackStarted{faultyTrack{camera}}, time.Now())
		f.backlog.mu.Lock()
		f.backlog.torn[faultyTrack{camera}] = true // a key frame is due
		f.backlog.mu.Unlock()
		from.packets <- packet(1)
		synctest.Wait()
		require.Equal(t, 1, count[Closed](*heard))
		require.ErrorIs(t, (*heard)[len(*heard)-1].(Closed).Err, guard.ErrPanic)
		require.Equal(t, 2, count[TrackStarted](*heard))
		require.Equal(t, 2, count[TrackEnded](*heard), "what has begun has ended")
		require.Zero(t, count[Closed](*other))
		require.False(t, feed.faulty.Load())
		close(from.packets)
	})
}

func TestAPanicInTheBringingOfEventsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollowing(Interest{}, quiet())
		f.backlog = nil
		go f.run()
		closed, ok := (<-f.Events()).(Closed)
		require.True(t, ok)
		require.ErrorIs(t, closed.Err, guard.ErrPanic)
	})
}
