package room

import (
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v3"

	"livekit-recorder/recorder/track"
)

func (b *bot) muted(pub lksdk.TrackPublication, p lksdk.Participant, muted bool) {
	for f := range b.followings {
		if f.interest.Identity == p.Identity() && f.interest.wants(pub.SID(), pub.Source()) {
			f.send(TrackMuted{SID: pub.SID(), Muted: muted})
		}
	}
}

// want subscribes to a track, or adds the follower to a subscription that is there.
func (b *bot) want(pub *lksdk.RemoteTrackPublication, f *Following) {
	if feed := b.feeds[pub.SID()]; feed != nil {
		feed.add(f)
		return
	}
	if pub.IsMuted() {
		f.send(TrackMuted{SID: pub.SID(), Muted: true})
	}

	if asked, ok := b.requested[pub.SID()]; ok && time.Since(asked) < resubscribe {
		return
	}

	b.requested[pub.SID()] = time.Now()
	if err := pub.SetSubscribed(true); err != nil {
		delete(b.requested, pub.SID())
		f.log.WithError(err).WithField("track", pub.SID()).Warn("subscribing failed, will be tried again")
	}
}

func (b *bot) subscribed(t *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant) {
	if b.closing {
		return
	}
	if pub.Kind() == lksdk.TrackKindVideo {
		if err := pub.SetVideoQuality(livekit.VideoQuality_HIGH); err != nil {
			b.log.WithError(err).WithField("track", pub.SID()).Warn("asking for the highest layer failed")
		}
	}

	feed := newFeed(t, pub, rp, b.timebase(rp), b.log)
	for f := range b.followings {
		if f.interest.Identity != rp.Identity() || !f.interest.wants(pub.SID(), pub.Source()) {
			continue
		}
		if feed.receiver == nil {
			f.send(Unrecordable{SID: pub.SID(), MIME: t.Codec().MimeType})
			continue
		}
		feed.add(f)
	}

	if feed.receiver == nil {
		return
	}

	b.feeds[pub.SID()] = feed
	b.feedsDone.Go(func() {
		feed.run()
		b.post(func() {
			if b.feeds[pub.SID()] == feed {
				delete(b.feeds, pub.SID())
			}
			delete(b.requested, pub.SID())
			b.reconcile()
		})
	})
}

// timebase is that of a participant's session.
type timebase struct {
	session string
	*track.Timebase
}

func (b *bot) timebase(rp *lksdk.RemoteParticipant) *track.Timebase {
	base := b.timebases[rp.Identity()]
	switch {
	case base == nil:
		base = &timebase{rp.SID(), &track.Timebase{}}
	case base.session != rp.SID():
		base = &timebase{rp.SID(), base.Next()}
	}
	b.timebases[rp.Identity()] = base
	return base.Timebase
}
