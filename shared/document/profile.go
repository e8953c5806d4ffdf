package document

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"time"
	"unicode/utf8"
)

// Profile is what LiveKit says of a participant, beside their identity.
type Profile struct {
	Name string `json:"name,omitempty"`
	// Kind is standard, ingress, sip, agent, or what is to come.
	Kind       string            `json:"kind,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Metadata   string            `json:"metadata,omitempty"`
	// ProfileCut says that some of the others was left out, because it was too long.
	ProfileCut bool `json:"profileCut,omitempty"`
}

// Change is what is said of a participant from a time on: all of it, not only what is different.
type Change struct {
	At time.Time `json:"at"` // by the recorder's clock
	Profile
}

// Bounds of profiles, in bytes as JSON has them. LiveKit allows 64 KiB of metadata, and participants may be allowed to
// change it as often as they like; a document is written again and again, and has to fit into an event.
const (
	maxProfileName = 256
	maxAttributes  = 4 << 10
	maxMetadata    = 4 << 10
	// MaxChanges is how many changes a document lists. Of more, the newest are listed, and all are counted.
	MaxChanges = 10
)

// Bounded returns a profile as a document may have it.
func (p Profile) Bounded() Profile {
	before := p
	p.Name = prefix(p.Name, maxProfileName)
	p.Metadata = prefix(p.Metadata, maxMetadata)
	p.Attributes = nil

	left := maxAttributes
	for _, key := range slices.Sorted(maps.Keys(before.Attributes)) {
		value := before.Attributes[key]
		if left -= encodedLength(key) + encodedLength(value); left < 0 {
			break
		}
		if p.Attributes == nil {
			p.Attributes = map[string]string{}
		}
		p.Attributes[key] = value
	}

	p.ProfileCut = p.ProfileCut || len(p.Name) < len(before.Name) || len(p.Metadata) < len(before.Metadata) ||
		len(p.Attributes) < len(before.Attributes)
	return p
}

// prefix is as much of a text as takes so many bytes as JSON, in whole characters.
func prefix(s string, limit int) string {
	if encodedLength(s) <= limit {
		return s
	}
	fits := sort.Search(len(s), func(n int) bool { return encodedLength(s[:n+1]) > limit })
	for fits > 0 && !utf8.RuneStart(s[fits]) {
		fits--
	}
	return s[:fits]
}

// encodedLength is how many bytes a text takes as JSON, without its quotes. Some characters take six.
func encodedLength(s string) int {
	encoded, _ := json.Marshal(s) // of a string it never fails
	return len(encoded) - 2
}

// Equal says whether two profiles say the same.
func (p Profile) Equal(other Profile) bool {
	return p.Name == other.Name && p.Kind == other.Kind && p.Metadata == other.Metadata &&
		p.ProfileCut == other.ProfileCut && maps.Equal(p.Attributes, other.Attributes)
}

// latest is the newest profile that is known; the zero value: none is.
func (r Recording) latest() Profile {
	if len(r.Changes) > 0 {
		return r.Changes[len(r.Changes)-1].Profile
	}
	return r.Profile
}

// Seen returns a document with what a recorder has seen of the participant before it knew the document.
func (r Recording) Seen(seen Recording) Recording {
	r.Session = cmp.Or(seen.Session, r.Session)
	r, _ = r.Without(seen.Unrecorded...)
	if !seen.Profile.Equal(Profile{}) {
		r = r.Described(seen.Profile, time.Now())
	}
	for _, c := range seen.Changes {
		r = r.Described(c.Profile, c.At)
	}
	return r
}

// Described returns a document with what is said of its participant, from a time on.
func (r Recording) Described(p Profile, at time.Time) Recording {
	p = p.Bounded()
	switch {
	case r.latest().Equal(p):
	case r.Profile.Equal(Profile{}) && len(r.Changes) == 0:
		r.Profile = p
	default:
		r.Changes = append(slices.Clone(r.Changes), Change{At: at.UTC(), Profile: p})
		if more := len(r.Changes) - MaxChanges; more > 0 {
			r.Changes, r.ChangesOmitted = r.Changes[more:], r.ChangesOmitted+more
		}
	}
	return r
}
