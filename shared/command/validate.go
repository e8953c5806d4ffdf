package command

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
	case Notify:
		return c.validateNotify()
	case Join:
		return validateID(c.Recording)
	default:
		return fieldError("action", "is %q, allowed are start, stop, notify and join", c.Action)
	}
}

func (c Command) validateNotify() error {
	if err := validateID(c.Recording); err != nil {
		return err
	}
	return ValidateName("receiver", c.Receiver)
}

func validateID(recording string) error {
	if !validID(recording) {
		return fieldError("recording", "must be a recording id: letters, digits, _ and -, at most 64")
	}
	return nil
}

func (c Command) validateStart() error {
	if err := validateID(c.Recording); err != nil {
		return err
	}
	if err := ValidateName("room", c.Room); err != nil {
		return err
	}
	if err := ValidateIdentity("participant", c.Participant); err != nil {
		return err
	}
	if err := ValidateTrack(c.Track); err != nil {
		return err
	}
	if err := ValidateMedia(c.Media); err != nil {
		return err
	}

	if c.Track != "" && c.Media != "" && c.Media != AudioVideo {
		return fieldError("media", "does not go with track: a track is recorded by itself")
	}
	if err := ValidateLabels(c.Labels); err != nil {
		return err
	}
	if err := ValidateWebhooks(c.Webhooks); err != nil {
		return err
	}
	return ValidateFile(c.File)
}

func (c Command) validateStop() error {
	if c.Lost && c.Session == "" {
		return fieldError("lost", "says something about a session, which is missing")
	}
	if c.Recording != "" {
		if err := validateID(c.Recording); err != nil {
			return err
		}
	}

	if c.Recording != "" && c.Room == "" && c.Participant == "" {
		return nil
	}
	if err := ValidateName("room", c.Room); err != nil {
		return err
	}
	return ValidateIdentity("participant", c.Participant)
}

// ValidateName checks a room name: any Unicode but control characters, 1 to [MaxNameBytes] bytes.
func ValidateName(field, value string) error {
	if err := ValidateIdentity(field, value); err != nil {
		return err
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fieldError(field, "contains a control character")
	}
	return nil
}

// ValidateIdentity checks an identity: any Unicode, 1 to [MaxNameBytes] bytes. Whoever is let into a room is recorded,
// whatever they are called; keys have such characters escaped.
func ValidateIdentity(field, value string) error {
	switch {
	case value == "":
		return fieldError(field, "is required")
	case !utf8.ValidString(value):
		return fieldError(field, "is not valid UTF-8")
	case len(value) > MaxNameBytes:
		return fieldError(field, "has %d bytes, at most %d are allowed", len(value), MaxNameBytes)
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

// ValidateMedia checks that media is empty or one of [Medias].
func ValidateMedia(m Media) error {
	if m == "" || slices.Contains(Medias, m) {
		return nil
	}
	return fieldError("media", "must be av, audio, video or screen")
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
