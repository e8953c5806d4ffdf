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
	"google.golang.org/protobuf/encoding/protojson"

	"livekit-recorder/shared/command"
)

// recorderPrefix begins the identities of our bots (recorder/room has the same).
const recorderPrefix = "participant-recorder-"

// webhook takes LiveKit's events. Everything that is no concern of ours is answered with 200: LiveKit would only send
// it again.
func (a *api) webhook(ctx context.Context, r request) (int, any, error) {
	event, err := a.eventOf(ctx, r)
	if err != nil {
		return 0, nil, err
	}

	c, ignored := a.commandOf(event, r.received)
	if ignored != "" {
		a.logFor(ctx).WithFields(logrus.Fields{
			"event":       event.Event,
			"room":        event.GetRoom().GetName(),
			"participant": event.GetParticipant().GetIdentity(),
		}).Debug("event ignored: " + ignored)
		return http.StatusOK, map[string]string{"ignored": ignored}, nil
	}

	c.ID = idOf(ctx)
	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	if err := a.send(ctx, c); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]string{"command": c.ID}, nil
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

// commandOf says what is to be done about an event, or why nothing is.
//
// The command bears the time at which the event was received here, not the event's createdAt or the participant's
// joinedAt. Those are of the clock of a LiveKit server, and the stops that come by REST are of ours: were the clocks 5
// seconds apart, a stop could seem older than the start that it is to end, or end one that came after it. What LiveKit
// knows better than we do, which session an event speaks of, is told by the session's id, and by no clock.
func (a *api) commandOf(event *livekit.WebhookEvent, received time.Time) (c command.Command, ignored string) {
	participant, room := event.GetParticipant(), event.GetRoom().GetName()
	identity := participant.GetIdentity()
	//lint:ignore SA1019 servers still say it of recorders that are no EGRESS
	recorder := participant.GetPermission().GetRecorder()

	switch {
	case event.Event != webhook.EventParticipantJoined && event.Event != webhook.EventParticipantLeft:
		return c, "not an event of this service"
	case participant.GetKind() == livekit.ParticipantInfo_EGRESS, recorder, strings.HasPrefix(identity, recorderPrefix):
		return c, "recorders are not recorded"
	case participant.GetKind() == livekit.ParticipantInfo_AGENT:
		return c, "agents are not recorded"
	}

	if event.Event == webhook.EventParticipantLeft {
		c = command.NewStop(room, identity, received)
		c.Session = participant.GetSid()
		c.Lost = !deliberate(participant.GetDisconnectReason())
		return c, ""
	}

	if !a.AutoRecord.record(room, identity) {
		return c, "AUTO_RECORD does not name this participant"
	}
	c = command.NewStart(room, identity, received)
	c.Session = participant.GetSid()
	return c, ""
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
