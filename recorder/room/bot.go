package room

import (
	"errors"
	"sync"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v3"
	"github.com/sirupsen/logrus"
)

// errLost says that the connection to the LiveKit server is gone and could not be had again.
var errLost = errors.New("the connection to LiveKit was lost")

// resubscribe is how long a subscription may take before it is asked for again.
const resubscribe = 5 * time.Second

// bot is our hidden participant in one room. One goroutine owns everything in it; the SDK's callbacks, and whoever
// wants something of it, post functions to that goroutine.
type bot struct {
	pool *Pool
	room string
	log  logrus.FieldLogger

	mu      sync.Mutex
	mailbox []func()
	wake    chan struct{}
	ended   bool

	// Owned by run:
	lk           *lksdk.Room
	session      string // our own SID: another one after a reconnect that was more than a resume
	followings   map[*Following]bool
	requested    map[string]time.Time // subscriptions asked for, by track SID
	feeds        map[string]*feed     // tracks that are being received, by track SID
	timebases    map[string]*timebase // by identity
	reconnecting bool                 // the SDK empties its list of participants meanwhile
	closing      bool
	err          error
	feedsDone    sync.WaitGroup
}

func newBot(p *Pool, room string) *bot {
	return &bot{
		pool: p, room: room, log: p.Log.WithField("room", room), wake: make(chan struct{}, 1),
		followings: map[*Following]bool{}, requested: map[string]time.Time{}, feeds: map[string]*feed{},
		timebases: map[string]*timebase{},
	}
}

// post runs f on the bot's goroutine. It says whether that will happen: not if the bot has ended.
func (b *bot) post(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.mailbox = append(b.mailbox, f)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// add begins to follow somebody; false if the bot is about to leave.
func (b *bot) add(f *Following) bool {
	return b.post(func() {
		if b.closing {
			f.send(Closed{Err: errLost})
			return
		}
		b.followings[f] = true
		b.reconcile()
	})
}

func (b *bot) run() {
	defer b.pool.forget(b)
	b.join()
	ticker := time.NewTicker(resubscribe)
	defer ticker.Stop()
	for !b.closing {
		select {
		case <-b.wake:
			for _, f := range b.take() {
				f()
			}
		case <-ticker.C:
			b.reconcile()
		}
	}
	b.leave()
}

func (b *bot) take() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	mail := b.mailbox
	b.mailbox = nil
	return mail
}

func (b *bot) join() {
	token, err := b.pool.token(b.room)
	if err == nil {
		b.lk, err = lksdk.ConnectToRoomWithToken(b.pool.URL, token, b.callbacks(), lksdk.WithAutoSubscribe(false))
	}
	if err != nil {
		b.lk, b.err, b.closing = nil, err, true
		return
	}
	b.session = b.lk.LocalParticipant.SID()
	b.log.Info("joined room")
}

// callbacks hand off to the bot's goroutine, and do nothing else.
func (b *bot) callbacks() *lksdk.RoomCallback {
	reconcile := func() { b.post(b.reconcile) }
	return &lksdk.RoomCallback{
		OnParticipantConnected:    func(*lksdk.RemoteParticipant) { reconcile() },
		OnParticipantDisconnected: func(*lksdk.RemoteParticipant) { reconcile() },
		OnReconnecting:            func() { b.post(func() { b.reconnecting = true }) },
		OnReconnected: func() {
			b.post(func() {
				b.reconnecting = false
				if b.lk == nil || b.lk.LocalParticipant.SID() != b.session {
					// Another session, perhaps on a server that has begun anew: the SDK keeps what it knew of people, and
					// takes what the new server says of them for outdated, by its lower version.
					b.err, b.closing = errLost, true
					return
				}
				b.log.Info("connection to room is back")
				clear(b.requested)
				b.reconcile()
			})
		},
		OnDisconnectedWithReason: func(reason lksdk.DisconnectionReason) {
			b.post(func() {
				if reason == lksdk.Failed {
					b.err = errLost
				}
				b.closing = true
			})
		},
		ParticipantCallback: lksdk.ParticipantCallback{
			OnTrackPublished: func(*lksdk.RemoteTrackPublication, *lksdk.RemoteParticipant) { reconcile() },
			OnTrackUnpublished: func(pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
				b.post(func() { delete(b.requested, pub.SID()) })
			},
			OnTrackMuted:   func(pub lksdk.TrackPublication, p lksdk.Participant) { b.post(func() { b.muted(pub, p, true) }) },
			OnTrackUnmuted: func(pub lksdk.TrackPublication, p lksdk.Participant) { b.post(func() { b.muted(pub, p, false) }) },
			OnTrackSubscribed: func(t *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant) {
				b.post(func() { b.subscribed(t, pub, rp) })
			},
			OnTrackSubscriptionFailed: func(sid string, _ *lksdk.RemoteParticipant) {
				b.post(func() { b.log.WithField("track", sid).Warn("subscription failed, will be tried again") })
			},
			OnDataReceived: func(data []byte, params lksdk.DataReceiveParams) {
				if params.Topic == stopTopic && b.pool.OnStop != nil {
					b.pool.OnStop(string(data))
				}
			},
		},
	}
}

// reconcile compares what is wanted with what is there, and acts on the difference. It may be called at any time.
func (b *bot) reconcile() {
	if b.reconnecting || b.lk == nil || b.closing {
		return
	}
	for f := range b.followings {
		rp := b.lk.GetParticipantByIdentity(f.interest.Identity)
		b.tellPresence(f, rp)
		if rp == nil {
			continue
		}
		for _, p := range rp.TrackPublications() {
			if pub, ok := p.(*lksdk.RemoteTrackPublication); ok && f.interest.wants(pub.SID(), pub.Source()) {
				b.want(pub, f)
			}
		}
	}
}

func (b *bot) tellPresence(f *Following, rp *lksdk.RemoteParticipant) {
	switch {
	case rp == nil && f.session != "":
		f.session = ""
		f.send(Left{})
	case rp != nil && rp.SID() != f.session:
		f.session = rp.SID()
		f.send(Joined{Session: f.session})
	}
}

// remove ends a following, the subscriptions that nobody else has, and the bot's stay if nobody is followed any more.
func (b *bot) remove(f *Following) {
	delete(b.followings, f)
	if len(b.followings) == 0 {
		b.closing = true
		return
	}
	for sid, feed := range b.feeds {
		if feed.remove(f) > 0 {
			continue
		}
		delete(b.requested, sid)
		if err := feed.publication.SetSubscribed(false); err != nil {
			b.log.WithError(err).WithField("track", sid).Warn("unsubscribing failed")
		}
	}
}

// leave disconnects and tells everybody who still follows somebody. No post is accepted from here on.
func (b *bot) leave() {
	if b.lk != nil {
		b.lk.Disconnect()
	}
	for _, feed := range b.feeds {
		feed.stop()
	}
	b.feedsDone.Wait()
	b.mu.Lock()
	b.ended = true
	mail := b.mailbox
	b.mailbox = nil
	b.mu.Unlock()
	for _, f := range mail { // those that came to follow too late
		f()
	}
	for f := range b.followings {
		f.send(Closed{Err: b.err})
	}
	b.log.Info("left room")
}
