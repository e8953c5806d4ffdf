package command

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of labels. They become tags of objects in S3, which has at most 10 of them
// per object, with keys of 128 and values of 256 UTF-16 units (S3 user guide, "Categorizing your objects using tags").
const (
	MaxLabels     = 10
	maxLabelKey   = 128
	maxLabelValue = 256
)

// labelKey is what S3 allows of a tag: letters, digits and spaces of any script, and these.
var labelKey = regexp.MustCompile(`^[\p{L}\p{N}\p{Z}_.:/=+\-@]+$`)

// ValidateLabels checks labels: keys that can be keys of tags as they are, so that no two become the same one; values
// of any characters but control characters.
func ValidateLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return fieldError("labels", "has %d of them, at most %d are allowed", len(labels), MaxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := labels[key]
		switch {
		case key == "" || units(key) > maxLabelKey:
			return fieldError("labels", "must have keys of 1 to %d characters", maxLabelKey)
		case !labelKey.MatchString(key) || strings.TrimSpace(key) != key:
			return fieldError("labels", "has the key %q: keys may have letters, digits, inner spaces and _.:/=+-@", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return fieldError("labels", "has the key %q: what begins with aws: is for AWS", key)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
			return fieldError("labels", "has a value with a control character, or one that is not UTF-8, for %q", key)
		case units(value) > maxLabelValue:
			return fieldError("labels", "has a value of %d characters for %q, at most %d are allowed",
				units(value), key, maxLabelValue)
		}
	}
	return nil
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }
