package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// noteTimeout bounds the noting of a wish in the bucket, which the start itself does not depend on.
const noteTimeout = 3 * time.Second

// startRequest is the body of POST /recordings/start.
type startRequest struct {
	Room        string            `json:"room"`
	Participant string            `json:"participant"`
	File        string            `json:"file"`
	Track       string            `json:"track"`
	Media       command.Media     `json:"media"`
	Labels      map[string]string `json:"labels"`
	Webhooks    []string          `json:"webhooks"`
}

// command is what is to be done, not validated yet.
func (s startRequest) command(received time.Time) command.Command {
	c := command.NewStart(s.Room, s.Participant, received)
	c.File, c.Track, c.Labels, c.Webhooks = s.File, s.Track, s.Labels, s.Webhooks
	if s.Media != "" {
		c.Media = s.Media
	}
	if c.Track != "" && s.Media == "" {
		c.Media = ""
	}
	return c
}

func (a *api) start(ctx context.Context, r request) (int, any, error) {
	who, err := a.authorise(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	var body startRequest
	if err := decode(r.body, &body); err != nil {
		return 0, nil, err
	}

	c := body.command(r.received)
	c.ID = idOf(ctx)
	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	if !a.PrivateWebhooks {
		if err := command.ValidatePublic(c.Webhooks); err != nil {
			return 0, nil, err
		}
	}
	if ending := document.ReservedEnding(c.File); ending != "" {
		return 0, nil, invalid("file", "file must not have a name that ends in %s: files of other recordings could be "+
			"called so (reserved are .eN, .partN, .restN, .joinedN, .json, and media extensions but one at the end)", ending)
	}
	if err := who.may("room", c.Room); err != nil {
		return 0, nil, err
	}

	recording := document.NewRecording(c)
	// Beside each other: a bucket that is slow must not hold up a recording.
	var noting sync.WaitGroup
	noting.Go(func() { a.note(ctx, recording) })
	err = a.send(ctx, c)
	noting.Wait()

	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, recording, nil
}

// note makes the recording known by its id before the caller has the id, or else a recorder does. Should the sending
// fail, the caller knows no id.
func (a *api) note(ctx context.Context, recording document.Recording) {
	if a.Documents == nil {
		return
	}

	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := a.Documents.Request(ctx, recording); err != nil {
		a.Log.WithError(err).WithFields(recording.Trace()).
			Warn("the recording cannot be found by its id until a recorder takes it")
	}
}

// stopRequest is the body of POST /recordings/stop.
type stopRequest struct {
	ID          string `json:"id"`
	Room        string `json:"room"`
	Participant string `json:"participant"`
}

func (a *api) stop(ctx context.Context, r request) (int, any, error) {
	who, err := a.authorise(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	var body stopRequest
	if err := decode(r.body, &body); err != nil {
		return 0, nil, err
	}

	field := "room"
	c := command.NewStop(body.Room, body.Participant, r.received)
	c.ID = idOf(ctx)
	answer := map[string]string{"room": body.Room, "participant": body.Participant}
	if body.ID != "" {
		if body.Room != "" || body.Participant != "" {
			return 0, nil, invalid("id", "id does not go with room and participant: give either")
		}
		if err := a.name(ctx, &c, body.ID); err != nil {
			return 0, nil, err
		}
		field = "id"
		answer = map[string]string{"id": body.ID}
	}

	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	// Without a bucket nobody knows here whose recording an id names: then a token for one room stops none by its id.
	if err := who.may(field, c.Room); err != nil {
		return 0, nil, err
	}
	if err := a.send(ctx, c); err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, answer, nil
}

// name makes a stop one of a single recording. Its document says whose it is: recorders have one ledger entry for each
// participant.
func (a *api) name(ctx context.Context, c *command.Command, id string) error {
	c.Recording = id
	if err := c.Validate(); err != nil {
		return invalid("id", "id must be a recording id: letters, digits, _ and -, at most 64")
	}
	if a.Documents == nil {
		return nil
	}

	recording, err := a.find(ctx, id)
	if err != nil {
		return err
	}
	c.Room, c.Participant = recording.Room, recording.Participant
	return nil
}

func (a *api) get(ctx context.Context, r request) (int, any, error) {
	who, err := a.reader(ctx, r)
	if err != nil {
		return 0, nil, err
	}

	recording, err := a.find(ctx, r.id)
	if err != nil {
		return 0, nil, err
	}
	if err := who.may("id", recording.Room); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, recording, nil
}

// reader is a caller to whom documents may be shown.
func (a *api) reader(ctx context.Context, r request) (caller, error) {
	who, err := a.authorise(ctx, r)
	if err != nil {
		return caller{}, err
	}

	if a.Documents == nil {
		return caller{}, &problem{
			status:  http.StatusNotImplemented,
			Code:    "no_bucket",
			Message: "this service runs without a bucket: S3_BUCKET is not set",
		}
	}
	return who, nil
}

// find reads the document of a recording. What can be no id is not looked for: it would become part of a key.
func (a *api) find(ctx context.Context, id string) (document.Recording, error) {
	unknown := notFound("id", "there is no recording with this id")
	probe := command.NewStop("", "", a.Now())
	probe.Recording = id
	if id == "" || probe.Validate() != nil {
		return document.Recording{}, unknown
	}

	recording, err := a.Documents.ByID(ctx, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return recording, unknown
	case err != nil:
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
