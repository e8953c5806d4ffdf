package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"

	"livekit-recorder/shared/command"
)

// recorderPrefix begins the identities of our bots (recorder/room has the same). Others may call themselves so, too.
const recorderPrefix = "participant-recorder-"

// webhook takes LiveKit's events. Everything that is no concern of ours is answered with 200: LiveKit would only send
// it again.
func (a *api) webhook(ctx context.Context, r request) (int, any, error) {
	event, err := a.eventOf(ctx, r)
	if err != nil {
		return 0, nil, err
	}

	commands, ignored := a.commandsOf(event, r.received)
	if ignored != "" {
		a.logFor(ctx).WithFields(logrus.Fields{
			"event":       event.Event,
			"room":        event.GetRoom().GetName(),
			"participant": event.GetParticipant().GetIdentity(),
		}).Debug("event ignored: " + ignored)
		return http.StatusOK, map[string]string{"ignored": ignored}, nil
	}

	if err := a.sendAll(ctx, commands); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]string{"command": idOf(ctx)}, nil
}

// sendAll sends the commands of one event beside each other, for LiveKit waits. Should one of them fail, LiveKit sends
// the event again: what has got through is known by its session and its target then, and changes nothing.
func (a *api) sendAll(ctx context.Context, commands []command.Command) error {
	for n := range commands {
		commands[n].ID = idOf(ctx)
		if err := commands[n].Validate(); err != nil {
			return err
		}
	}

	var sending errgroup.Group
	for _, c := range commands {
		sending.Go(func() error { return a.send(ctx, c) })
	}
	return sending.Wait()
}

// eventOf reads a webhook whose signature is right: a token like those of REST calls, that has the body's hash.
func (a *api) eventOf(ctx context.Context, r request) (*livekit.WebhookEvent, error) {
	signed, err := a.verified(ctx, "the webhook's token", r.authorization)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(r.body)
	if signed.Sha256 != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, unauthenticated("the webhook's signature is that of another body")
	}

	event := &livekit.WebhookEvent{}
	options := protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}
	if err := options.Unmarshal(r.body, event); err != nil {
		return nil, invalid("", "the body is not a LiveKit webhook event: %v", err)
	}
	return event, nil
}

// commandsOf says what is to be done about an event, or why nothing is.
//
// A command bears the time at which the event was received here, not the event's createdAt or the participant's
// joinedAt. Those are of the clock of a LiveKit server, and the stops that come by REST are of ours: were the clocks 5
// seconds apart, a stop could seem older than the start that it is to end, or end one that came after it. What LiveKit
// knows better than we do, which session an event speaks of, is told by the session's id, and by no clock.
func (a *api) commandsOf(event *livekit.WebhookEvent, received time.Time) (all []command.Command, ignored string) {
	participant, room := event.GetParticipant(), event.GetRoom().GetName()
	identity := participant.GetIdentity()
	switch {
	case event.Event != webhook.EventParticipantJoined && event.Event != webhook.EventParticipantLeft:
		return nil, "not an event of this service"
	case recorder(participant):
		return nil, "recorders are not recorded"
	}

	if event.Event == webhook.EventParticipantLeft {
		c := command.NewStop(room, identity, received)
		c.Session = participant.GetSid()
		c.Lost = !deliberate(participant.GetDisconnectReason())
		return []command.Command{c}, ""
	}

	switch {
	case !a.AutoRecord.record(room, identity):
		return nil, "AUTO_RECORD does not name this participant"
	case !a.Kinds.record(participant.GetKind()):
		return nil, "AUTO_RECORD_KINDS does not name participants of this kind"
	}
	for _, target := range a.Targets.all() {
		c := command.NewStart(room, identity, received)
		c.Session, c.Media = participant.GetSid(), target
		all = append(all, c)
	}
	return all, ""
}

// recorder says whether a participant is one of our bots, or another recorder. Our bots are hidden, which nobody can be
// without the API's secret: an identity that looks like theirs proves nothing.
func recorder(p *livekit.ParticipantInfo) bool {
	//lint:ignore SA1019 servers still say it of recorders that are no EGRESS
	said := p.GetPermission().GetRecorder()
	ours := p.GetPermission().GetHidden() && strings.HasPrefix(p.GetIdentity(), recorderPrefix)
	return said || ours || p.GetKind() == livekit.ParticipantInfo_EGRESS
}

// deliberate says whether somebody wanted a session to end: the participant, or whoever removed them or closed the
// room. Whatever else ends sessions (broken connections, servers that go down, the same identity joining again) may be
// followed by a new one of the same call.
func deliberate(reason livekit.DisconnectReason) bool {
	switch reason {
	case livekit.DisconnectReason_CLIENT_INITIATED, livekit.DisconnectReason_PARTICIPANT_REMOVED,
		livekit.DisconnectReason_ROOM_DELETED, livekit.DisconnectReason_ROOM_CLOSED,
		livekit.DisconnectReason_USER_UNAVAILABLE, livekit.DisconnectReason_USER_REJECTED:
		return true
	}
	return false
}
