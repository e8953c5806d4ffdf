package room

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/sockets"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

// errLost says that the connection to the LiveKit server is gone and could not be had again.
var errLost = errors.New("the connection to LiveKit was lost")

// errLeaving says that a bot was about to leave, because nobody was followed any more: the next one is another.
var errLeaving = errors.New("the bot was just leaving")

// resubscribe is how long a subscription may take before it is asked for again.
const resubscribe = 5 * time.Second

// bot is our hidden participant in one room. One goroutine owns everything in it; the SDK's callbacks, and whoever
// wants something of it, post functions to that goroutine. A panic in one of them ends the bot's stay: those who follow
// somebody are told, and come back by a new bot.
type bot struct {
	pool *Pool
	room string
	log  logrus.FieldLogger

	mail mailbox

	// Owned by run:
	connection connection
	followings map[*Following]bool
	tracks     tracks
	closing    bool
	err        error
	feedsDone  sync.WaitGroup
}

// connection is a bot's to LiveKit.
type connection struct {
	room         *lksdk.Room // nil before it could be entered
	session      string      // our own SID: another one after a reconnect that was more than a resume
	reconnecting bool        // the SDK empties its list of participants meanwhile
	buffer       int         // bytes that its sockets take, see widen
}

func newBot(p *Pool, room string) *bot {
	return &bot{
		pool:       p,
		room:       room,
		log:        p.Log.WithField("room", room),
		mail:       newMailbox(),
		followings: map[*Following]bool{},
		tracks:     newTracks(),
	}
}

// post runs f on the bot's goroutine. It says whether that will happen: not if the bot has ended.
func (b *bot) post(f func()) bool { return b.mail.post(f) }

// add begins to follow somebody; false if the bot is about to leave.
func (b *bot) add(f *Following) bool {
	return b.post(func() {
		if b.closing {
			f.send(Closed{Err: cmp.Or(b.err, errLeaving)})
			return
		}
		b.followings[f] = true
		f.send(Connected{})
		b.reconcile()
	})
}

func (b *bot) run() {
	defer b.pool.forget(b)
	b.do("join a room", b.join)
	b.serve()
	b.leave()
}

// serve does what is posted, until the bot has to leave.
func (b *bot) serve() {
	ticker := time.NewTicker(resubscribe)
	defer ticker.Stop()

	for !b.closing {
		select {
		case <-b.mail.wake:
			for _, f := range b.mail.take() {
				b.do("serve a room", f)
			}
		case <-ticker.C:
			b.do("look around in a room", b.reconcile)
		}
	}
}

// do does something, in which a panic ends the bot's stay. What has been posted is done all the same: it may be
// somebody who came to follow, and must learn of it.
func (b *bot) do(what string, f func()) {
	if err := guard.Run(b.log, what, f); err != nil {
		b.err, b.closing = err, true
	}
}

func (b *bot) join() {
	err := b.pool.try(context.Background(), func(key keys.Key) error { // connecting gives up by itself
		token, err := b.pool.token(key, b.room)
		if err != nil {
			return err
		}
		b.connection.room, err = lksdk.ConnectToRoomWithToken(b.pool.URL, token, b.callbacks(),
			lksdk.WithAutoSubscribe(false))
		return err
	})
	b.pool.health.joined(err)
	if err != nil {
		b.connection.room, b.err, b.closing = nil, err, true
		return
	}

	b.connection.session = b.connection.room.LocalParticipant.SID()
	b.log.Info("joined room")
}

// callbacks hand off to the bot's goroutine, and do nothing else.
func (b *bot) callbacks() *lksdk.RoomCallback {
	reconcile := func() { b.mail.postAgain("reconcile", b.reconcile) }
	return &lksdk.RoomCallback{
		OnParticipantConnected:    func(*lksdk.RemoteParticipant) { reconcile() },
		OnParticipantDisconnected: func(*lksdk.RemoteParticipant) { reconcile() },
		OnReconnecting:            func() { b.post(func() { b.connection.reconnecting = true }) },
		OnReconnected:             func() { b.post(b.reconnected) },
		OnDisconnectedWithReason:  func(reason lksdk.DisconnectionReason) { b.post(func() { b.disconnected(reason) }) },
		ParticipantCallback:       b.trackCallbacks(reconcile),
	}
}

func (b *bot) trackCallbacks(reconcile func()) lksdk.ParticipantCallback {
	muted := func(muted bool) func(lksdk.TrackPublication, lksdk.Participant) {
		return func(pub lksdk.TrackPublication, p lksdk.Participant) {
			b.mail.postAgain("mute "+pub.SID(), func() { b.muted(pub, p, muted) })
		}
	}
	return lksdk.ParticipantCallback{
		OnTrackPublished:    func(*lksdk.RemoteTrackPublication, *lksdk.RemoteParticipant) { reconcile() },
		OnTrackUnpublished:  func(*lksdk.RemoteTrackPublication, *lksdk.RemoteParticipant) { reconcile() },
		OnMetadataChanged:   func(string, lksdk.Participant) { reconcile() },
		OnAttributesChanged: func(map[string]string, lksdk.Participant) { reconcile() },
		OnTrackMuted:        muted(true),
		OnTrackUnmuted:      muted(false),
		OnTrackSubscribed: func(
			t *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant,
		) {
			b.post(func() { b.subscribed(t, pub, rp) })
		},
		OnTrackSubscriptionFailed: func(sid string, _ *lksdk.RemoteParticipant) {
			b.mail.postAgain("failure "+sid, func() {
				b.log.WithField("track", sid).Warn("subscription failed, will be tried again")
			})
		},
		OnDataReceived: func(data []byte, params lksdk.DataReceiveParams) {
			if params.Topic == stopTopic && b.pool.OnStop != nil {
				_ = guard.Run(b.log, "take a hint", func() { b.pool.OnStop(string(data)) }) // the ledger says the same
			}
		},
	}
}

// reconnected goes on behind a reconnect, or ends the bot if it is in another session by now, perhaps on a server that
// has begun anew: the SDK keeps what it knew of people, and takes what the new server says of them for outdated, by its
// lower version.
func (b *bot) reconnected() {
	b.connection.reconnecting = false
	if b.connection.room == nil || b.connection.room.LocalParticipant.SID() != b.connection.session {
		b.err, b.closing = errLost, true
		return
	}

	b.log.Info("connection to room is back")
	b.widen()
	clear(b.tracks.requested)
	b.reconcile()
}

// widen has the sockets of the connection take more while nobody reads them: the key frames of a whole room may come at
// one instant.
func (b *bot) widen() {
	least, err := sockets.Widen(sockets.Wanted)
	if err != nil {
		b.log.WithError(err).Warn("sockets take no more than usual: packets may get lost when many come at once")
		return
	}
	if least != b.connection.buffer {
		b.connection.buffer = least
		b.log.WithField("bytes", least).Info("sockets take so much before they are read")
	}
}

func (b *bot) disconnected(reason lksdk.DisconnectionReason) {
	if reason == lksdk.Failed {
		b.err = errLost
	}
	b.closing = true
}

// reconcile compares what is wanted with what is there, and acts on the difference. It may be called at any time.
func (b *bot) reconcile() {
	if b.connection.reconnecting || b.connection.room == nil || b.closing {
		return
	}

	wanted := map[string]bool{}
	for f := range b.followings {
		rp := b.connection.room.GetParticipantByIdentity(f.interest.Identity)
		b.tellPresence(f, rp)
		if rp == nil {
			continue
		}

		all := offer(rp, f)
		for _, pub := range all {
			wanted[pub.SID()] = true
		}
		for _, pub := range b.choose(all, f) {
			b.want(pub, f)
		}
	}
	b.tracks.forget(wanted, b.followed())
}

// followed has the identities of those who are followed.
func (b *bot) followed() map[string]bool {
	all := map[string]bool{}
	for f := range b.followings {
		all[f.interest.Identity] = true
	}
	return all
}

func (b *bot) tellPresence(f *Following, rp *lksdk.RemoteParticipant) {
	switch {
	case rp == nil && f.session != "":
		f.session = ""
		f.send(Left{})
	case rp == nil:
	case rp.SID() != f.session:
		b.describe(f, rp)
		f.session = rp.SID()
		f.send(Joined{Session: f.session})
	default:
		b.describe(f, rp)
	}
}

// describe tells a follower what is said of the participant, when that is news.
func (b *bot) describe(f *Following, rp *lksdk.RemoteParticipant) {
	now := document.Profile{
		Name:       rp.Name(),
		Kind:       strings.ToLower(livekit.ParticipantInfo_Kind(rp.Kind()).String()),
		Attributes: rp.Attributes(),
		Metadata:   rp.Metadata(),
	}
	if !now.Equal(f.profile) {
		f.profile = now
		f.send(Described{now})
	}
}

// remove ends a following, the subscriptions that nobody else has, and the bot's stay if nobody is followed any more.
func (b *bot) remove(f *Following) {
	delete(b.followings, f)
	if len(b.followings) == 0 {
		b.closing = true
		return
	}

	for sid, feed := range b.tracks.feeds {
		if feed.remove(f) > 0 {
			continue
		}
		delete(b.tracks.requested, sid)
		b.unsubscribe(feed.publication)
	}
}

// leave disconnects and tells everybody who still follows somebody. No post is accepted from here on.
func (b *bot) leave() {
	if b.connection.room != nil {
		b.do("leave a room", b.connection.room.Disconnect)
	}

	for _, feed := range b.tracks.feeds {
		feed.stop()
	}

	b.feedsDone.Wait()
	for _, f := range b.mail.close() { // those that came to follow too late
		b.do("leave a room", f)
	}

	for f := range b.followings {
		f.send(Closed{Err: b.err})
	}

	b.log.Info("left room")
}
