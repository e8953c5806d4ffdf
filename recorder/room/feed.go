package room

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/track"
)

// feed receives one track for everybody who follows it. One goroutine runs it and owns the receiver. A panic in either
// ends this track, and nothing else.
type feed struct {
	identity    string // whose it is
	track       *received
	receiver    *track.Receiver
	publication publication
	log         logrus.FieldLogger
	ctx         context.Context
	stop        context.CancelFunc
	faulty      atomic.Bool // it has ended by a panic

	mu        sync.Mutex
	followers map[*Following]*view
}

// view is how far one follower has come with a feed.
type view struct {
	keyed bool // video begins with a key frame
}

func newFeedOf(pub publication, identity string, log logrus.FieldLogger) *feed {
	f := &feed{
		identity:    identity,
		publication: pub,
		log:         log.WithFields(logrus.Fields{"participant": identity, "track": pub.SID()}),
		followers:   map[*Following]*view{},
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f
}

func newFeed(t *webrtc.TrackRemote, codec track.Codec, pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant,
	base *track.Timebase, log logrus.FieldLogger) *feed {
	f := newFeedOf(pub, rp.Identity(), log.WithField("codec", t.Codec().MimeType))
	f.receiver = &track.Receiver{
		Codec:           codec,
		Source:          newRemote(t, gathering(pub)),
		Base:            base,
		Stereo:          pub.TrackInfo().GetStereo(),
		Retransmit:      func(numbers []uint16) { f.retransmit(uint32(t.SSRC()), numbers) },
		RequestKeyFrame: func() { rp.WritePLI(t.SSRC()) },
		Emit:            f.emit,
		Warn:            (&throttle{log: f.log}).warn,
	}

	f.receiver.Init()
	f.track = &received{
		sid:      pub.SID(),
		source:   SourceName(pub.Source()),
		codec:    codec,
		receiver: f.receiver,
	}

	pub.OnRTCP(f.report)
	return f
}

// add begins to feed a follower, once.
func (f *feed) add(to *Following) {
	f.mu.Lock()
	_, known := f.followers[to]
	if !known {
		f.followers[to] = &view{}
	}

	late := !known && len(f.followers) > 1
	f.mu.Unlock()
	if !known {
		to.send(TrackStarted{f.track})
	}
	if late && f.track.codec.Kind == track.Video {
		f.receiver.RequestKeyFrame()
	}
}

// remove ends the feeding of a follower, and returns how many are left.
func (f *feed) remove(from *Following) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, from)
	return len(f.followers)
}

func (f *feed) run() {
	f.log.Info("receiving track")
	var err error
	if guard.Run(f.log, "receive a track", func() { err = f.receiver.Run(f.ctx) }) != nil {
		f.faulty.Store(true)
	}
	if err != nil {
		f.log.WithError(err).Warn("receiving track ended")
	}

	for _, to := range f.all() {
		to.send(TrackEnded{f.track})
	}

	_ = guard.Run(f.log, "count what came of a track", f.sum) // has been logged
}

// sum logs what came of the track.
func (f *feed) sum() {
	stats := f.receiver.Stats()
	f.log.WithFields(logrus.Fields{
		"frames":        stats.Frames,
		"droppedFrames": stats.Dropped,
		"packets":       stats.PacketsReceived,
		"packetsLost":   stats.PacketsLost,
	}).Info("track ended")
}

// report takes a report of the track's sender, on a goroutine of the SDK.
func (f *feed) report(packet rtcp.Packet) {
	if guard.Run(f.log, "take a report", func() { f.receiver.HandleRTCP(packet) }) != nil {
		f.faulty.Store(true)
		f.stop()
	}
}

func (f *feed) emit(frame track.Frame) {
	for _, to := range f.ready(frame.Key) {
		to.send(TrackFrame{f.track, frame})
	}
}

// ready returns the followers that can decode the next frame.
func (f *feed) ready(key bool) []*Following {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ready []*Following
	for to, v := range f.followers {
		if v.keyed = v.keyed || key; v.keyed {
			ready = append(ready, to)
		}
	}
	return ready
}

// retransmit asks the server for packets again. The SDK has not negotiated that for audio, and gives up early for
// video; the server keeps packets of both.
func (f *feed) retransmit(ssrc uint32, numbers []uint16) {
	receiver := f.publication.Receiver()
	if receiver == nil {
		return // the track has ended
	}
	_, err := receiver.Transport().WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{
		SenderSSRC: ssrc, MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(numbers),
	}})
	if err != nil {
		f.log.WithError(err).Debug("packets could not be asked for again")
	}
}

func (f *feed) all() []*Following {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*Following, 0, len(f.followers))
	for to := range f.followers {
		all = append(all, to)
	}
	return all
}

// throttle logs at most one warning a second, and how many it kept back.
type throttle struct {
	log  logrus.FieldLogger
	last time.Time
	more int
}

func (t *throttle) warn(err error) {
	if time.Since(t.last) < time.Second {
		t.more++
		return
	}
	t.log.WithError(err).WithField("more", t.more).Warn("dropped a frame")
	t.last, t.more = time.Now(), 0
}
