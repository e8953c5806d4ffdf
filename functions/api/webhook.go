package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
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

// webhook takes LiveKit's events. Everything that is no concern of ours is answered with 200: LiveKit would only send it
// again.
func (a *api) webhook(ctx context.Context, r request) (int, any, error) {
	// The library wants a request; what it reads of it are the body and this header.
	signed := &http.Request{Header: http.Header{"Authorization": {r.authorization}}, Body: io.NopCloser(bytes.NewReader(r.body))}
	body, err := webhook.Receive(signed, a.keys)
	if err != nil {
		return 0, nil, &problem{status: http.StatusUnauthorized, Code: "unauthenticated",
			Message: "the webhook's signature is missing or wrong, or has expired"}
	}
	event := &livekit.WebhookEvent{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}).Unmarshal(body, event); err != nil {
		return 0, nil, invalid("", "the body is not a LiveKit webhook event: %v", err)
	}
	c, ignored := a.commandOf(event, r.body)
	if ignored != "" {
		a.log.WithFields(logrus.Fields{
			"event": event.Event, "room": event.GetRoom().GetName(), "participant": event.GetParticipant().GetIdentity(),
		}).Debug("event ignored: " + ignored)
		return http.StatusOK, map[string]string{"ignored": ignored}, nil
	}
	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	if err := a.send(ctx, c); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]string{"command": c.ID}, nil
}

// commandOf says what is to be done about an event, or why nothing is.
func (a *api) commandOf(event *livekit.WebhookEvent, body []byte) (c command.Command, ignored string) {
	participant, room := event.GetParticipant(), event.GetRoom().GetName()
	identity := participant.GetIdentity()
	//lint:ignore SA1019 servers still say it of recorders that are no EGRESS
	recorder := participant.GetPermission().GetRecorder()
	switch {
	case event.Event != webhook.EventParticipantJoined && event.Event != webhook.EventParticipantLeft:
		return c, "not an event of this service"
	case participant.GetKind() == livekit.ParticipantInfo_EGRESS, recorder,
		strings.HasPrefix(identity, recorderPrefix):
		return c, "recorders are not recorded"
	case participant.GetKind() == livekit.ParticipantInfo_AGENT:
		return c, "agents are not recorded"
	}
	at := time.Unix(event.CreatedAt, 0)
	if event.Event == webhook.EventParticipantLeft {
		c = command.NewStop(room, identity, at)
		c.Session = participant.GetSid()
		c.Lost = !deliberate(participant.GetDisconnectReason())
		return c, ""
	}
	if !a.rules.record(room, identity) {
		return c, "AUTO_RECORD does not name this participant"
	}
	c = command.NewStart(room, identity, joinedAt(body, at))
	c.Session = participant.GetSid()
	return c, ""
}

// deliberate says whether somebody wanted a session to end: the participant, or whoever removed them or closed the room.
// Whatever else ends sessions (broken connections, servers that go down, the same identity joining again) may be
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

// joinedAt is when the participant joined, in milliseconds where the server tells (since 1.9): the event's own time has
// seconds only, too coarse to order it against a stop. The SDK's protobuf does not know the field yet.
func joinedAt(body []byte, otherwise time.Time) time.Time {
	var event struct {
		Participant struct {
			JoinedAtMs json.RawMessage `json:"joinedAtMs"`
		} `json:"participant"`
	}
	if json.Unmarshal(body, &event) != nil {
		return otherwise
	}
	ms, err := strconv.ParseInt(strings.Trim(string(event.Participant.JoinedAtMs), `"`), 10, 64)
	if err != nil || ms <= 0 {
		return otherwise
	}
	return time.UnixMilli(ms)
}

// rules say which participants are recorded when they join: AUTO_RECORD.
type rules struct{ include, exclude []rule }

// rule is a pattern for room and identity.
type rule struct{ room, identity *regexp.Regexp }

// parseRules reads "off", "all", or a comma-separated list of ROOM/IDENTITY patterns in which * stands for anything and
// ? for one character; a pattern with ! before it excludes.
func parseRules(text string) (rules, error) {
	switch text {
	case "off":
		return rules{}, nil
	case "all":
		text = "*/*"
	}
	var r rules
	for pattern := range strings.SplitSeq(text, ",") {
		pattern, excluded := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		room, identity, ok := strings.Cut(pattern, "/")
		if !ok || room == "" || identity == "" {
			return r, errors.New(`must be off, all, or patterns like "support-*/*,!*/bot-?" (ROOM/IDENTITY)`)
		}
		parsed := rule{glob(room), glob(identity)}
		if excluded {
			r.exclude = append(r.exclude, parsed)
		} else {
			r.include = append(r.include, parsed)
		}
	}
	if len(r.include) == 0 {
		r.include = []rule{{glob("*"), glob("*")}} // only exclusions: everybody else
	}
	return r, nil
}

func glob(pattern string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile(`(?s)^` + quoted + `$`)
}

func (r rules) record(room, identity string) bool {
	matches := func(list []rule) bool {
		for _, rule := range list {
			if rule.room.MatchString(room) && rule.identity.MatchString(identity) {
				return true
			}
		}
		return false
	}
	return matches(r.include) && !matches(r.exclude)
}
