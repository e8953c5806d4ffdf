package room

import (
	"maps"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// maxFaults is how often the receiving of one track may end by a panic, before the track is given up.
const maxFaults = 3

// tracks are what a bot knows of those that it wants, and of whose they are.
type tracks struct {
	requested map[string]time.Time // subscriptions asked for, by track SID
	feeds     map[string]*feed     // tracks that are being received, by track SID
	faults    map[string]int       // how often the receiving of a track has ended by a panic, by its SID
	refused   map[string]refusal   // tracks that could not be recorded when they came, by track SID
	timebases map[string]*timebase // by identity
}

func newTracks() tracks {
	return tracks{
		requested: map[string]time.Time{},
		feeds:     map[string]*feed{},
		faults:    map[string]int{},
		refused:   map[string]refusal{},
		timebases: map[string]*timebase{},
	}
}

// forget drops what belongs to tracks that nobody wants (any more), and to people of whom nobody is followed, and
// nothing received: a room may last for months, and people and tracks come and go.
func (t *tracks) forget(wanted, followed map[string]bool) {
	maps.DeleteFunc(t.requested, func(sid string, _ time.Time) bool { return !wanted[sid] })
	maps.DeleteFunc(t.faults, func(sid string, _ int) bool { return !wanted[sid] })
	maps.DeleteFunc(t.refused, func(sid string, _ refusal) bool { return !wanted[sid] })

	received := map[string]bool{}
	for _, feed := range t.feeds {
		received[feed.identity] = true
	}
	maps.DeleteFunc(t.timebases, func(identity string, _ *timebase) bool {
		return !followed[identity] && !received[identity]
	})
}

// publication is a track as its publisher offers it.
type publication interface {
	SID() string
	Source() livekit.TrackSource
	IsMuted() bool
	TrackInfo() *livekit.TrackInfo
	SetSubscribed(bool) error
	Receiver() *webrtc.RTPReceiver
}

func (b *bot) muted(pub lksdk.TrackPublication, p lksdk.Participant, muted bool) {
	for f := range b.followings {
		if f.interest.Identity == p.Identity() && f.interest.wants(pub.SID(), pub.Source()) {
			f.send(TrackMuted{SID: pub.SID(), Muted: muted})
		}
	}
}

// offer returns the tracks of a participant that a follower wants.
func offer(rp *lksdk.RemoteParticipant, f *Following) (all []publication) {
	for _, p := range rp.TrackPublications() {
		if pub, ok := p.(*lksdk.RemoteTrackPublication); ok && f.interest.wants(pub.SID(), pub.Source()) {
			all = append(all, pub)
		}
	}
	return all
}

// choose returns those that the follower is to get of the tracks that it wants. Of those that cannot be recorded, it is
// told.
func (b *bot) choose(all []publication, f *Following) []publication {
	all = b.recordable(all, f)
	chosen, omitted := choose(all, f.interest, func(sid string) bool {
		_, asked := b.tracks.requested[sid]
		return asked || b.tracks.feeds[sid] != nil
	})
	if omitted > 0 && !f.tooMany {
		f.log.WithFields(logrus.Fields{"tracks": len(chosen), "omitted": omitted}).
			Warn("too many tracks, only some are received")
	}
	f.tooMany = omitted > 0
	return chosen
}

// want subscribes to a track, or adds the follower to a subscription that is there.
func (b *bot) want(pub publication, f *Following) {
	if feed := b.tracks.feeds[pub.SID()]; feed != nil {
		feed.add(f)
		return
	}
	if pub.IsMuted() {
		f.send(TrackMuted{SID: pub.SID(), Muted: true})
	}

	if asked, ok := b.tracks.requested[pub.SID()]; ok && time.Since(asked) < resubscribe {
		return
	}

	b.tracks.requested[pub.SID()] = time.Now()
	if err := pub.SetSubscribed(true); err != nil {
		delete(b.tracks.requested, pub.SID())
		f.log.WithError(err).WithField("track", pub.SID()).Warn("subscribing failed, will be tried again")
	}
}

func (b *bot) subscribed(t *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant) {
	if b.closing {
		return
	}
	if b.tracks.refusal(pub).reason != "" { // since it was asked for
		b.reconcile()
		return
	}
	if pub.Kind() == lksdk.TrackKindVideo {
		if err := pub.SetVideoQuality(livekit.VideoQuality_HIGH); err != nil {
			b.log.WithError(err).WithField("track", pub.SID()).Warn("asking for the highest layer failed")
		}
	}

	b.widen()
	codec, ok := track.CodecOf(t.Codec().MimeType)
	if !ok { // it was offered in another one, too
		name, _ := track.Offered([]string{t.Codec().MimeType})
		b.tracks.refused[pub.SID()] = refusal{document.UnrecordedCodec, name}
		b.reconcile()
		return
	}

	feed := newFeed(t, codec, pub, rp, b.tracks.timebase(rp.Identity(), rp.SID()), b.log)
	for f := range b.followings {
		if f.interest.Identity == rp.Identity() && f.interest.wants(pub.SID(), pub.Source()) {
			feed.add(f)
		}
	}
	b.receive(feed)
}

func (b *bot) receive(f *feed) {
	b.tracks.feeds[f.publication.SID()] = f
	b.feedsDone.Go(func() {
		f.run()
		b.post(func() { b.ended(f) })
	})
}

// ended is told when nothing more comes of a feed.
func (b *bot) ended(f *feed) {
	sid := f.publication.SID()
	replaced := b.tracks.feeds[sid] != f
	if !replaced {
		delete(b.tracks.feeds, sid)
	}
	delete(b.tracks.requested, sid)
	if f.faulty.Load() && !replaced && !b.closing {
		b.faulty(f)
	}
	b.reconcile()
}

// faulty takes a track back whose receiving has ended by a panic: the server sends nothing more of it. It is asked for
// again a while later, unless that has happened too often: then the recordings are told that it cannot be recorded.
func (b *bot) faulty(f *feed) {
	sid := f.publication.SID()
	b.unsubscribe(f.publication)
	b.tracks.requested[sid] = time.Now()
	b.tracks.faults[sid]++
	if b.tracks.faults[sid] < maxFaults {
		return
	}

	f.log.Error("track is given up: receiving it has failed too often")
	b.tracks.refused[sid] = refusal{document.UnrecordedFault, f.track.codec.Name}
	for _, to := range f.all() {
		b.refuse(f.publication, to, b.tracks.refused[sid])
	}
}

func (b *bot) unsubscribe(pub publication) {
	if err := pub.SetSubscribed(false); err != nil {
		b.log.WithError(err).WithField("track", pub.SID()).Warn("unsubscribing failed")
	}
}

// timebase is that of a participant's session.
type timebase struct {
	session string
	*track.Timebase
}

// timebase returns the one of somebody's session.
func (t *tracks) timebase(identity, session string) *track.Timebase {
	base := t.timebases[identity]
	switch {
	case base == nil:
		base = &timebase{session, &track.Timebase{}}
	case base.session != session:
		base = &timebase{session, base.Next()}
	}
	t.timebases[identity] = base
	return base.Timebase
}
