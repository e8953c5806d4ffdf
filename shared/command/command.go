// Package command is the contract between the Lambda and the recorders, and among these: the JSON that travels on the
// two SQS queues.
package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/livekit/protocol/utils/guid"
)

// Version is the only version of the contract so far. A recorder refuses commands of another version, which leaves
// them on the queue for a recorder that knows it (and in the dead-letter queue, should there be none).
const Version = 1

// Action says what a command asks for. Starts travel on a queue of their own: a recorder that is full takes no more of
// them, and goes on obeying stops and delivering notices.
type Action string

// The actions.
const (
	Start  Action = "start"
	Stop   Action = "stop"
	Notify Action = "notify" // a receiver is to be told of a recording's end
	Join   Action = "join"   // the parts of a recording that has ended are to become one file
)

// Media are tracks of a participant that are recorded together, into one file.
type Media string

// What may be recorded of a participant.
const (
	AudioVideo Media = "av"
	AudioOnly  Media = "audio"
	VideoOnly  Media = "video"
	// Screen is the shared screen with its sound. Such a recording waits for somebody to share it.
	Screen Media = "screen"
)

// Medias are all of them.
var Medias = []Media{AudioVideo, AudioOnly, VideoOnly, Screen}

// Sources are the names that [Command.Track] knows besides track SIDs.
var Sources = []string{"camera", "microphone", "screen_share", "screen_share_audio"}

// MaxNameBytes is the longest room name, identity or track a command may carry, in bytes (LiveKit's own limit is
// 256).
const MaxNameBytes = 256

// MaxFileBytes is the longest custom file name, in bytes: S3 keys end at 1024, and directory, suffix and extension
// want room beside it.
const MaxFileBytes = 512

// Command is one message. Times are UTC with millisecond precision or better.
type Command struct {
	Version int    `json:"version"`
	Action  Action `json:"action"`
	// ID is that of the HTTP request that the command has come by, or one of its own. All that is logged about it has it.
	ID          string    `json:"id"`
	RequestedAt time.Time `json:"requestedAt"`
	// Recording is the id of the recording to start, to stop, to join, or to tell of. A stop without one stops every
	// recording of the participant.
	Recording   string `json:"recording,omitempty"`
	Room        string `json:"room,omitempty"`
	Participant string `json:"participant,omitempty"`
	// Session is the participant's SID, known for commands that come from a webhook: a participant_left speaks of
	// one session only, and must not end the one that has begun since.
	Session string `json:"session,omitempty"`
	// Lost says of a stop that nobody meant to leave: the connection broke, or a server went down. Starts for that
	// session are void, but a recording that runs waits for the participant to come back.
	Lost bool `json:"lost,omitempty"`
	// Track is a track SID or one of [Sources]; empty records camera and microphone together.
	Track string `json:"track,omitempty"`
	Media Media  `json:"media,omitempty"`
	// File is the template of the file's name, without extension; empty means the recorder's default.
	File string `json:"file,omitempty"`
	// Labels are what the caller calls a recording by, and Webhooks who is to be told of it beside those who are told of
	// all. Recorders that do not know these leave such a start to others.
	Labels   map[string]string `json:"labels,omitempty"`
	Webhooks []string          `json:"webhooks,omitempty"`
	// Receiver names who is to be told, without saying where that is: recorders know.
	Receiver string `json:"receiver,omitempty"`
}

// NewStart makes a start command for a new recording.
func NewStart(room, participant string, at time.Time) Command {
	return Command{
		Version:     Version,
		Action:      Start,
		ID:          guid.New("CM_"),
		Recording:   guid.New("RC_"),
		Room:        room,
		Participant: participant,
		Media:       AudioVideo,
		RequestedAt: at.UTC(),
	}
}

// NewStop makes a stop command for every recording of a participant.
func NewStop(room, participant string, at time.Time) Command {
	return Command{
		Version:     Version,
		Action:      Stop,
		ID:          guid.New("CM_"),
		Room:        room,
		Participant: participant,
		RequestedAt: at.UTC(),
	}
}

// NewNotify makes a command to tell a receiver that a recording has ended.
func NewNotify(recording, receiver string, at time.Time) Command {
	return Command{
		Version:     Version,
		Action:      Notify,
		ID:          guid.New("CM_"),
		Recording:   recording,
		Receiver:    receiver,
		RequestedAt: at.UTC(),
	}
}

// NewJoin makes a command to join the parts of a recording that has ended.
func NewJoin(recording string, at time.Time) Command {
	return Command{
		Version:     Version,
		Action:      Join,
		ID:          guid.New("CM_"),
		Recording:   recording,
		RequestedAt: at.UTC(),
	}
}

// Target says which of a participant's possible recordings this is: camera and microphone of one participant
// can be recorded together, and their screen into another file at the same time, but never the same thing twice.
func (c Command) Target() string {
	switch {
	case c.Track != "":
		return c.Track
	case c.Media == "":
		return string(AudioVideo)
	default:
		return string(c.Media)
	}
}

// Trace is what every line of the log has that is about a command: by the request, it can be followed from the HTTP
// request to the file.
func (c Command) Trace() map[string]any {
	trace := map[string]any{}
	for name, value := range map[string]string{
		"request": c.ID, "recording": c.Recording, "room": c.Room, "participant": c.Participant,
	} {
		if value != "" {
			trace[name] = value
		}
	}
	return trace
}

// Encode makes the message body.
func (c Command) Encode() (string, error) {
	if err := c.Validate(); err != nil {
		return "", fmt.Errorf("encode command: %w", err)
	}
	body, err := json.Marshal(c)
	return unsendable.Replace(string(body)), err
}

// unsendable writes the two characters as JSON escapes that SQS refuses and that encoding/json leaves as they are; it
// escapes the control characters that SQS refuses (SQS API reference, SendMessage, allows #x9, #xA, #xD, #x20 to
// #xD7FF, #xE000 to #xFFFD, and #x10000 to #x10FFFF).
var unsendable = strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`)

// Decode reads a message body. Unknown fields are errors: within one version the contract does not grow.
func Decode(body string) (Command, error) {
	var c Command
	if err := DecodeStrict([]byte(body), &c); err != nil {
		return c, fmt.Errorf("decode command: %w", err)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("decode command: %w", err)
	}
	return c, nil
}

// DecodeStrict reads exactly one JSON object into v. Unknown fields and values of the wrong type are [FieldError]s
// that name the field; anything that is no JSON object is a plain error.
func DecodeStrict(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not valid UTF-8")
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("the body must be a JSON object")
	}

	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) && wrongType.Field != "" {
			return fieldError(wrongType.Field, "must be a %s, not a %s", jsonType(wrongType), wrongType.Value)
		}
		// encoding/json has no type for this one: json: unknown field "x"
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fieldError(strings.Trim(name, `"`), "is not a known field")
		}
		return fmt.Errorf("the body is not valid JSON: %w", err)
	}

	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body must be one JSON object and nothing after it")
	}
	return nil
}

func jsonType(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "string"
	case "int", "int64", "float64":
		return "number"
	case "bool":
		return "boolean"
	}
	return e.Type.String()
}
