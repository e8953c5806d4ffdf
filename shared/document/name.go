package document

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DefaultFile is the file template of a recording that names none.
const DefaultFile = "{room}/{participant}/{date}T{time}-{id}"

// maxSegmentBytes leaves room below the 255 bytes that file systems allow for a suffix ("-2", ".part12") and an
// extension.
const maxSegmentBytes = 200

// maxNameBytes is the longest name that [FileName] makes. S3 keys end at 1024 bytes, S3_DIRECTORY comes before.
const maxNameBytes = 700

// Join puts a directory before a key; either may be empty.
func Join(directory, key string) string {
	directory = strings.Trim(directory, "/")
	if directory == "" {
		return key
	}
	return directory + "/" + key
}

// reserved are the endings that the service puts behind the names of recordings: those of parts (see [PartName]), of
// what is kept beside them, of media files and of documents. Stores may not tell upper case from lower.
var reserved = regexp.MustCompile(`(?i)\.(e[0-9]+|part[0-9]+|rest[0-9]*|joined[0-9]*|webm|mp4|ogg|json)$`)

// ReservedEnding is the ending of a file template, or of a directory in it, that no name may have: with it, a name
// could be that of another recording's file. It is empty if there is none. One media extension at the very end is none
// of the name.
func ReservedEnding(template string) string {
	for segment := range strings.SplitSeq(withoutExtension(template), "/") {
		if ending := reserved.FindString(segment); ending != "" {
			return ending
		}
	}
	return ""
}

var mediaExtension = regexp.MustCompile(`(?i)[^/](\.(webm|mp4|ogg))$`)

func withoutExtension(template string) string {
	if at := mediaExtension.FindStringSubmatchIndex(template); at != nil {
		return template[:at[2]]
	}
	return template
}

// withoutReserved hides the dot of an ending that is reserved.
func withoutReserved(segment string) string {
	if at := reserved.FindStringIndex(segment); at != nil {
		return segment[:at[0]] + "%2E" + segment[at[0]+1:]
	}
	return segment
}

// FileName fills a file template (see [command.ValidateFile]) and makes it safe: the result is a relative path without
// extension whose segments are never empty, ".", ".." or hidden, and have no ending that is reserved. Each value
// becomes part of one segment, whatever characters it has, by [Segment].
//
// For two names that are different, all that is ever stored under the one is different from all that is stored under
// the other: behind a name there are only endings that are reserved.
func FileName(template string, recording Recording, at time.Time) string {
	template = withoutExtension(template)
	track := recording.Target
	values := strings.NewReplacer(
		"{room}", escape(recording.Room), "{participant}", escape(recording.Participant),
		"{id}", recording.ID, "{track}", escape(track),
		"{date}", at.UTC().Format("20060102"), "{time}", at.UTC().Format("150405Z"),
	)
	var segments []string
	for segment := range strings.SplitSeq(template, "/") {
		segments = append(segments, fit(withoutReserved(tidy(values.Replace(escapeLiteral(segment))))))
	}
	name := path.Join(segments...)
	if len(name) > maxNameBytes {
		return shorten(name, maxNameBytes)
	}
	return name
}

// Segment makes any string one path segment: readable, and different for different strings. Letters, digits, marks and
// symbols of any script and inner spaces stay; everything else, and a leading dot, becomes %XX like in URLs, so that
// url.PathUnescape gives the string back, unless it was too long: then it ends in "~" and a hash.
func Segment(value string) string { return fit(tidy(escape(value))) }

func escape(value string) string { return escapeExcept(value, "") }

// escapeLiteral keeps the braces of placeholders.
func escapeLiteral(value string) string { return escapeExcept(value, "{}") }

func escapeExcept(value, keep string) string {
	var b strings.Builder
	for i, r := range value {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(value[i:])
		}
		if (size > 1 && unicode.IsGraphic(r) && !unicode.IsSpace(r)) || isPlain(r) || strings.ContainsRune(keep, r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(value[i : i+size]) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isPlain: what needs no care in S3 keys and file systems ("~" marks our own shortening).
func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.@+=, ", r)
}

// tidy hides a dot or space at the beginning and a space at the end.
func tidy(segment string) string {
	if rest, ok := strings.CutPrefix(segment, "."); ok {
		segment = "%2E" + rest
	}
	if rest, ok := strings.CutPrefix(segment, " "); ok {
		segment = "%20" + rest
	}
	if rest, ok := strings.CutSuffix(segment, " "); ok {
		segment = rest + "%20"
	}
	return segment
}

func fit(segment string) string {
	if len(segment) <= maxSegmentBytes {
		return segment
	}
	return shorten(segment, maxSegmentBytes)
}

func shorten(s string, limit int) string {
	sum := sha256.Sum256([]byte(s))
	cut := limit - 1 - 16
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	// Not in the middle of a %XX, nor at the end of a directory.
	if at := strings.LastIndexByte(s[:cut], '%'); at > cut-3 {
		cut = at
	}
	return strings.TrimRight(s[:cut], "/") + "~" + hex.EncodeToString(sum[:8])
}
