// Package command is the contract between the Lambda and the recorders: the JSON that travels on the two SQS queues.
package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/livekit/protocol/utils/guid"
)

// How the doing of a start can end without the start being done with.
var (
	// ErrHandOver: this recorder drains, or has held the message for nearly SQS's 12 hours. The recording is still
	// wanted, and the message becomes visible to other recorders at once.
	ErrHandOver = errors.New("handed over to another recorder")
	// ErrLost: another recorder has the recording, and the message.
	ErrLost = errors.New("another recorder has taken the recording over")
)

// Version is the only version of the contract so far. A recorder refuses commands of another version, which leaves them
// on the queue for a recorder that knows it (and in the dead-letter queue, should there be none).
const Version = 1

// Action says what a command asks for. Starts and stops travel on different queues: see DESIGN "Two queues".
type Action string

// The actions.
const (
	Start Action = "start"
	Stop  Action = "stop"
)

// Media limits a recording of camera and microphone to one of them.
type Media string

// What may be recorded of a participant.
const (
	AudioVideo Media = "av"
	AudioOnly  Media = "audio"
	VideoOnly  Media = "video"
)

// Sources are the names that [Command.Track] knows besides track SIDs.
var Sources = []string{"camera", "microphone", "screen_share", "screen_share_audio"}

// MaxNameBytes is the longest room name, identity or track a command may carry, in bytes (LiveKit's own limit is 256).
const MaxNameBytes = 256

// MaxFileBytes is the longest custom file name, in bytes: S3 keys end at 1024, and directory, suffix and extension
// want room beside it.
const MaxFileBytes = 512

// Command is one message. Times are UTC with millisecond precision or better.
type Command struct {
	Version     int       `json:"version"`
	Action      Action    `json:"action"`
	ID          string    `json:"id"`
	RequestedAt time.Time `json:"requestedAt"`
	// Recording is the id of the recording to start, or to stop. A stop without one stops every recording of the participant.
	Recording   string `json:"recording,omitempty"`
	Room        string `json:"room,omitempty"`
	Participant string `json:"participant,omitempty"`
	// Session is the participant's SID, known for commands that come from a webhook: a participant_left speaks of
	// one session only, and must not end the one that has begun since.
	Session string `json:"session,omitempty"`
	// Track is a track SID or one of [Sources]; empty records camera and microphone together.
	Track string `json:"track,omitempty"`
	Media Media  `json:"media,omitempty"`
	// File is the template of the file's name, without extension; empty means the recorder's default.
	File string `json:"file,omitempty"`
}

// NewStart makes a start command for a new recording.
func NewStart(room, participant string, at time.Time) Command {
	return Command{
		Version: Version, Action: Start, ID: guid.New("CM_"), Recording: guid.New("RC_"),
		Room: room, Participant: participant, Media: AudioVideo, RequestedAt: at.UTC(),
	}
}

// NewStop makes a stop command for every recording of a participant.
func NewStop(room, participant string, at time.Time) Command {
	return Command{
		Version: Version, Action: Stop, ID: guid.New("CM_"),
		Room: room, Participant: participant, RequestedAt: at.UTC(),
	}
}

// Target says which of a participant's possible recordings this is: one participant can be recorded as a composite and
// have their screen recorded as another file at the same time, but never the same thing twice.
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

// FieldError is a fault of one field of a command or request body. Its text says what was wrong and what is allowed.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Problem }

func fieldError(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// Validate reports the first fault as a [FieldError].
func (c Command) Validate() error {
	if c.Version != Version {
		return fieldError("version", "is %d, this recorder speaks %d", c.Version, Version)
	}
	if c.RequestedAt.IsZero() {
		return fieldError("requestedAt", "is missing")
	}
	switch c.Action {
	case Start:
		return c.validateStart()
	case Stop:
		return c.validateStop()
	default:
		return fieldError("action", "is %q, allowed are start and stop", c.Action)
	}
}

func (c Command) validateStart() error {
	if !validID(c.Recording) {
		return fieldError("recording", "must be a recording id: letters, digits, _ and -, at most 64")
	}
	if err := ValidateName("room", c.Room); err != nil {
		return err
	}
	if err := ValidateName("participant", c.Participant); err != nil {
		return err
	}
	if err := ValidateTrack(c.Track); err != nil {
		return err
	}
	if err := ValidateMedia(c.Media); err != nil {
		return err
	}
	if c.Track != "" && c.Media != "" && c.Media != AudioVideo {
		return fieldError("media", "does not go with track: a track is audio or video by itself")
	}
	return ValidateFile(c.File)
}

func (c Command) validateStop() error {
	if c.Recording != "" && !validID(c.Recording) {
		return fieldError("recording", "must be a recording id: letters, digits, _ and -, at most 64")
	}
	if c.Recording != "" && c.Room == "" && c.Participant == "" {
		return nil
	}
	if err := ValidateName("room", c.Room); err != nil {
		return err
	}
	return ValidateName("participant", c.Participant)
}

// ValidateName checks a room name or identity: any Unicode but control characters, 1 to [MaxNameBytes] bytes.
func ValidateName(field, value string) error {
	switch {
	case value == "":
		return fieldError(field, "is required")
	case !utf8.ValidString(value):
		return fieldError(field, "is not valid UTF-8")
	case len(value) > MaxNameBytes:
		return fieldError(field, "has %d bytes, at most %d are allowed", len(value), MaxNameBytes)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fieldError(field, "contains a control character")
	}
	return nil
}

// ValidateTrack checks a track selector: empty, one of [Sources], or a track SID.
func ValidateTrack(track string) error {
	if track == "" {
		return nil
	}
	for _, s := range Sources {
		if track == s {
			return nil
		}
	}
	if strings.HasPrefix(track, "TR_") && len(track) > 3 && validID(track) {
		return nil
	}
	return fieldError("track", "must be a track SID (TR_…) or one of %s", strings.Join(Sources, ", "))
}

// ValidateMedia checks that media is empty or one of av, audio, video.
func ValidateMedia(m Media) error {
	switch m {
	case "", AudioVideo, AudioOnly, VideoOnly:
		return nil
	}
	return fieldError("media", "must be av, audio or video")
}

// Placeholders are the names that a file template may have in braces.
var Placeholders = []string{"room", "participant", "id", "track", "date", "time"}

// ValidateFile checks a file template: a relative path of non-empty segments, with known placeholders only.
func ValidateFile(file string) error {
	switch {
	case file == "":
		return nil
	case !utf8.ValidString(file):
		return fieldError("file", "is not valid UTF-8")
	case len(file) > MaxFileBytes:
		return fieldError("file", "has %d bytes, at most %d are allowed", len(file), MaxFileBytes)
	case strings.ContainsFunc(file, unicode.IsControl):
		return fieldError("file", "contains a control character")
	}
	for segment := range strings.SplitSeq(file, "/") {
		if strings.TrimSpace(segment) == "" || segment == "." || segment == ".." {
			return fieldError("file", "must be a relative path without empty, \".\" or \"..\" segments")
		}
		if strings.HasPrefix(segment, ".") {
			return fieldError("file", "must not have segments that begin with a dot: those names are the recorder's own")
		}
	}
	return eachPlaceholder(file, func(name string) error {
		for _, p := range Placeholders {
			if name == p {
				return nil
			}
		}
		return fieldError("file", "has the unknown placeholder {%s}, known are {%s}", name, strings.Join(Placeholders, "} {"))
	})
}

func eachPlaceholder(template string, visit func(name string) error) error {
	for rest := template; ; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			return nil
		}
		end := strings.IndexByte(rest[open:], '}')
		if rest[open] == '}' || end < 0 {
			return fieldError("file", "has an unbalanced brace")
		}
		if err := visit(rest[open+1 : open+end]); err != nil {
			return err
		}
		rest = rest[open+end+1:]
	}
}

func validID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	})
}

// Encode makes the message body.
func (c Command) Encode() (string, error) {
	if err := c.Validate(); err != nil {
		return "", fmt.Errorf("encode command: %w", err)
	}
	body, err := json.Marshal(c)
	return string(body), err
}

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

// DecodeStrict reads exactly one JSON object into v. Unknown fields and values of the wrong type are [FieldError]s that
// name the field; anything that is no JSON object is a plain error.
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
