package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// listLimit bounds the answer to a list, which Lambda limits to 6 MB.
const listLimit = 500

// noteTimeout bounds the noting of a wish in the bucket, which the start itself does not depend on.
const noteTimeout = 3 * time.Second

// authorise checks the caller's LiveKit access token: it must be ours, in force, and grant roomRecord.
func (a *api) authorise(r request) error {
	refuse := func(status int, code, message string) error {
		return &problem{status: status, Code: code, Message: message}
	}
	scheme, token, ok := strings.Cut(r.authorization, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return refuse(http.StatusUnauthorized, "unauthenticated", "the Authorization header must be Bearer and a LiveKit access token")
	}
	verifier, err := auth.ParseAPIToken(strings.TrimSpace(token))
	if err != nil {
		return refuse(http.StatusUnauthorized, "unauthenticated", "the token is not a LiveKit access token")
	}
	secret := a.keys.GetSecret(verifier.APIKey())
	if secret == "" {
		return refuse(http.StatusUnauthorized, "unauthenticated", "the token was signed with another API key than this service's")
	}
	claims, err := verifier.Verify(secret)
	if err != nil {
		return refuse(http.StatusUnauthorized, "unauthenticated", "the token is not valid: its signature is wrong, or it has expired")
	}
	if claims.Video == nil || !claims.Video.RoomRecord {
		return refuse(http.StatusForbidden, "forbidden", "the token does not grant roomRecord")
	}
	return nil
}

// startRequest is the body of POST /recordings/start.
type startRequest struct {
	Room        string        `json:"room"`
	Participant string        `json:"participant"`
	File        string        `json:"file"`
	Track       string        `json:"track"`
	Media       command.Media `json:"media"`
}

func (a *api) start(ctx context.Context, r request) (int, any, error) {
	if err := a.authorise(r); err != nil {
		return 0, nil, err
	}
	var body startRequest
	if err := decode(r.body, &body); err != nil {
		return 0, nil, err
	}
	c := command.NewStart(body.Room, body.Participant, time.Now())
	c.File, c.Track = body.File, body.Track
	if body.Media != "" {
		c.Media = body.Media
	}
	if c.Track != "" && body.Media == "" {
		c.Media = ""
	}
	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	recording := ledger.NewRecording(c)
	// Beside each other: a bucket that is slow must not hold up a recording.
	var noting sync.WaitGroup
	noting.Go(func() { a.note(ctx, recording) })
	err := a.send(ctx, c)
	noting.Wait()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, recording, nil
}

// note makes the recording known by its id before the caller has the id, or else a recorder does. Should the sending fail,
// the caller knows no id.
func (a *api) note(ctx context.Context, recording ledger.Recording) {
	if a.documents == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := a.documents.Request(ctx, recording); err != nil {
		a.log.WithError(err).WithFields(logrus.Fields{
			"recording": recording.ID, "room": recording.Room, "participant": recording.Participant,
		}).Warn("the recording cannot be found by its id until a recorder takes it")
	}
}

// stopRequest is the body of POST /recordings/stop.
type stopRequest struct {
	ID          string `json:"id"`
	Room        string `json:"room"`
	Participant string `json:"participant"`
}

func (a *api) stop(ctx context.Context, r request) (int, any, error) {
	if err := a.authorise(r); err != nil {
		return 0, nil, err
	}
	var body stopRequest
	if err := decode(r.body, &body); err != nil {
		return 0, nil, err
	}
	c := command.NewStop(body.Room, body.Participant, time.Now())
	answer := map[string]string{"room": body.Room, "participant": body.Participant}
	if body.ID != "" {
		if body.Room != "" || body.Participant != "" {
			return 0, nil, invalid("id", "id does not go with room and participant: give either")
		}
		c.Recording = body.ID
		answer = map[string]string{"id": body.ID}
		if err := c.Validate(); err != nil {
			return 0, nil, invalid("id", "id must be a recording id: letters, digits, _ and -, at most 64")
		}
		if a.documents != nil {
			recording, err := a.find(ctx, body.ID)
			if err != nil {
				return 0, nil, err
			}
			c.Room, c.Participant = recording.Room, recording.Participant
		}
	}
	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	if err := a.send(ctx, c); err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, answer, nil
}

func (a *api) get(ctx context.Context, r request) (int, any, error) {
	if err := a.readable(r); err != nil {
		return 0, nil, err
	}
	recording, err := a.find(ctx, r.id)
	return http.StatusOK, recording, err
}

func (a *api) list(ctx context.Context, r request) (int, any, error) {
	if err := a.readable(r); err != nil {
		return 0, nil, err
	}
	room, participant := r.query["room"], r.query["participant"]
	if err := command.ValidateName("room", room); err != nil {
		return 0, nil, err
	}
	if participant != "" {
		if err := command.ValidateName("participant", participant); err != nil {
			return 0, nil, err
		}
	}
	recordings, err := a.documents.List(ctx, room, participant, listLimit)
	if err != nil {
		return 0, nil, unavailable("the bucket cannot be read, try again", err)
	}
	return http.StatusOK, map[string]any{"recordings": recordings}, nil
}

// readable says whether documents can be shown to the caller.
func (a *api) readable(r request) error {
	if err := a.authorise(r); err != nil {
		return err
	}
	if a.documents == nil {
		return &problem{status: http.StatusNotImplemented, Code: "no_bucket", Message: "this service runs without a bucket: S3_BUCKET is not set"}
	}
	return nil
}

func (a *api) find(ctx context.Context, id string) (ledger.Recording, error) {
	probe := command.Command{Version: command.Version, Action: command.Stop, Recording: id, RequestedAt: time.Now()}
	if probe.Validate() != nil {
		return ledger.Recording{}, &problem{status: http.StatusNotFound, Code: "not_found", Message: "there is no recording with this id", Field: "id"}
	}
	recording, err := a.documents.ByID(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return recording, &problem{status: http.StatusNotFound, Code: "not_found", Message: "there is no recording with this id", Field: "id"}
	}
	if err != nil {
		return recording, unavailable("the bucket cannot be read, try again", err)
	}
	return recording, nil
}

// decode reads a body strictly. What is no fault of a single field is one of the whole body.
func decode(body []byte, v any) error {
	err := command.DecodeStrict(body, v)
	var field *command.FieldError
	if err == nil || errors.As(err, &field) {
		return err
	}
	return invalid("", "%s", err.Error())
}
