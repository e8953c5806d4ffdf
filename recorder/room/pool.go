// Package room joins LiveKit rooms as hidden bots and hands out what the followed participants say and show.
package room

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/keys"
)

// IdentityPrefix begins the identities of our bots: participants that are never to be recorded.
const IdentityPrefix = "participant-recorder-"

// stopTopic is the topic of data messages that tell a bot to look at the ledger: a recording may have been stopped.
const stopTopic = "participant-recorder.stop"

// tokenTTL is how long a bot's token is good for. The server renews it while the bot is connected.
const tokenTTL = 24 * time.Hour

// tellTimeout bounds a hint to another recorder.
const tellTimeout = 3 * time.Second

// Pool keeps one bot in every room in which this recorder follows somebody.
type Pool struct {
	URL  string
	Keys *keys.Keys
	// Name is this recorder's: different for every process that ever ran.
	Name string
	Log  logrus.FieldLogger
	// OnStop is called when another recorder says that a recording of this room may have been stopped.
	OnStop func(recording string)

	health health
	mu     sync.Mutex
	bots   map[string]*bot
	wg     sync.WaitGroup
}

func (p *Pool) identity() string { return IdentityPrefix + p.Name }

// Follow joins the room, unless the pool is in it already, and follows one participant of it until [Following.Close].
func (p *Pool) Follow(room string, interest Interest, log logrus.FieldLogger) *Following {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.bots == nil {
		p.bots = map[string]*bot{}
	}

	f := newFollowing(interest, log)

	b := p.bots[room]
	if b == nil || !b.add(f) {
		b = newBot(p, room)
		p.bots[room] = b
		b.add(f)
		p.wg.Go(b.run)
	}

	f.bot = b
	p.wg.Go(f.run)
	return f
}

// forget takes a bot out that has ended.
func (p *Pool) forget(b *bot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bots[b.room] == b {
		delete(p.bots, b.room)
	}
}

// Wait returns when every bot has left its room, and everybody who followed has gone or knows it.
func (p *Pool) Wait() { p.wg.Wait() }

// token is what a bot enters a room with.
func (p *Pool) token(key keys.Key, room string) (string, error) {
	no, yes := false, true
	grant := &auth.VideoGrant{
		RoomJoin:             true,
		Room:                 room,
		Hidden:               true,
		Recorder:             true,
		CanSubscribe:         &yes,
		CanPublish:           &no,
		CanPublishData:       &no,
		CanUpdateOwnMetadata: &no,
	}

	token, err := auth.NewAccessToken(key.ID, key.Secret).SetIdentity(p.identity()).
		SetKind(livekit.ParticipantInfo_EGRESS).SetVideoGrant(grant).SetValidFor(tokenTTL).ToJWT()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// TellStop tells the recorder with that name, wherever it runs, that a recording may have been stopped. It is a hint
// that saves time: the ledger is what counts, and is looked at every half a minute anyway.
func (p *Pool) TellStop(ctx context.Context, room, recorder, recording string) error {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	topic := stopTopic
	err := p.call(ctx, func(api *lksdk.RoomServiceClient) error {
		_, err := api.SendData(ctx, &livekit.SendDataRequest{
			Room:                  room,
			Data:                  []byte(recording),
			Kind:                  livekit.DataPacket_RELIABLE,
			Topic:                 &topic,
			DestinationIdentities: []string{IdentityPrefix + recorder},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("send data message: %w", err)
	}

	return nil
}
