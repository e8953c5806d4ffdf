package document

import (
	"cmp"
	"slices"
)

// Unrecorded is a track that was asked for and published, and cannot be recorded. It is not even received.
type Unrecorded struct {
	SID    string `json:"sid"`
	Source string `json:"source"`
	// Codec is what the track is offered in, in lower case: h265. It is empty if its publisher does not say.
	Codec  string           `json:"codec"`
	Reason UnrecordedReason `json:"reason"`
}

// UnrecordedReason says why a track is not recorded.
type UnrecordedReason string

// The reasons.
const (
	// UnrecordedEncrypted is an end-to-end encrypted track: without its key, what is in its frames is noise.
	UnrecordedEncrypted UnrecordedReason = "encrypted"
	// UnrecordedCodec is one in a codec that we cannot take, or put into a file.
	UnrecordedCodec UnrecordedReason = "codec"
	// UnrecordedFault is one whose receiving has failed again and again, by a fault of ours.
	UnrecordedFault UnrecordedReason = "fault"
)

// MaxUnrecorded is how many such tracks a document lists. The others are counted: whoever publishes endlessly must not
// make it endless.
const MaxUnrecorded = 100

// Without returns a document that says of tracks that they could not be recorded, and whether it did not say so before.
// Of each track it is said once.
func (r Recording) Without(tracks ...Unrecorded) (Recording, bool) {
	news := false
	r.Unrecorded = slices.Clone(r.Unrecorded)
	for _, t := range tracks {
		if slices.ContainsFunc(r.Unrecorded, func(u Unrecorded) bool { return u.SID == t.SID }) {
			continue
		}
		news = true
		if len(r.Unrecorded) < MaxUnrecorded {
			r.Unrecorded = append(r.Unrecorded, t)
		} else {
			r.UnrecordedOmitted++
		}
	}
	return r, news
}

// missed returns a document that says so of what another version of it says it of, too.
func (r Recording) missed(there Recording) Recording {
	omitted := max(r.UnrecordedOmitted, there.UnrecordedOmitted)
	r, _ = r.Without(there.Unrecorded...)
	r.UnrecordedOmitted = max(r.UnrecordedOmitted, omitted)
	return r
}

// refusal is why nothing at all could be recorded, in words; empty if there was nothing of that kind. That tracks were
// encrypted says more than that another one's codec was unknown.
func (r Recording) refusal() (reason string) {
	for _, t := range r.Unrecorded {
		switch t.Reason {
		case UnrecordedEncrypted:
			return string(UnrecordedEncrypted)
		case UnrecordedCodec:
			reason = cmp.Or(reason, "codec "+cmp.Or(t.Codec, "unknown"))
		case UnrecordedFault:
			reason = cmp.Or(reason, "receiving it failed, again and again")
		}
	}
	return reason
}
