package api

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// Rules say which participants are recorded when they join: AUTO_RECORD. The zero value records nobody.
type Rules struct{ include, exclude []rule }

// rule is a pattern for room and identity.
type rule struct{ room, identity *regexp.Regexp }

// ParseRules reads "off", "all", or a comma-separated list of ROOM/IDENTITY patterns in which * stands for anything and
// ? for one character; a pattern with ! before it excludes. Its error completes a sentence that begins with the name of
// the setting: "must be …".
func ParseRules(text string) (Rules, error) {
	switch text {
	case "off":
		return Rules{}, nil
	case "all":
		text = "*/*"
	}

	var r Rules
	for pattern := range strings.SplitSeq(text, ",") {
		pattern, excluded := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		room, identity, ok := strings.Cut(pattern, "/")
		if !ok || room == "" || identity == "" {
			return Rules{}, errors.New(`must be off, all, or patterns like "support-*/*,!*/bot-?" (ROOM/IDENTITY)`)
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

func (r Rules) record(room, identity string) bool {
	matches := func(one rule) bool {
		return one.room.MatchString(room) && one.identity.MatchString(identity)
	}
	return slices.ContainsFunc(r.include, matches) && !slices.ContainsFunc(r.exclude, matches)
}
