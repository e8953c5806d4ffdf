package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/livekit/protocol/livekit"

	"livekit-recorder/shared/command"
)

// Kinds are the kinds of participants that are recorded when they join: AUTO_RECORD_KINDS. Nil stands for all that can
// be named.
type Kinds []livekit.ParticipantInfo_Kind

// kindNames are the kinds that can be named. Egress is none of them: recorders are not recorded.
var kindNames = []string{"standard", "ingress", "sip", "agent"}

// ParseKinds reads a comma-separated list of kinds. Its error completes a sentence that begins with the name of the
// setting.
func ParseKinds(text string) (Kinds, error) {
	names, err := list(text, kindNames)
	var all Kinds
	for _, name := range names {
		all = append(all, livekit.ParticipantInfo_Kind(livekit.ParticipantInfo_Kind_value[strings.ToUpper(name)]))
	}
	return all, err
}

// record says whether participants of a kind are recorded. A kind that this version has no name for is taken for a
// standard one: whoever wants each participant does not want to wait for another version.
func (k Kinds) record(kind livekit.ParticipantInfo_Kind) bool {
	if _, named := livekit.ParticipantInfo_Kind_name[int32(kind)]; !named {
		kind = livekit.ParticipantInfo_STANDARD
	}
	return k == nil || slices.Contains(k, kind)
}

// Targets are what is recorded of whoever joins, each as a recording of its own: AUTO_RECORD_TARGETS. Nil stands for
// camera and microphone together.
type Targets []command.Media

// ParseTargets reads a comma-separated list of targets. Its error is like that of [ParseKinds].
func ParseTargets(text string) (Targets, error) {
	var known []string
	for _, media := range command.Medias {
		known = append(known, string(media))
	}
	names, err := list(text, known)
	var all Targets
	for _, name := range names {
		all = append(all, command.Media(name))
	}
	return all, err
}

func (t Targets) all() Targets {
	if t == nil {
		return Targets{command.AudioVideo}
	}
	return t
}

// list reads a comma-separated list of known names, each of which counts once.
func list(text string, known []string) (names []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("must be a comma-separated list of %s: %q is none of them", strings.Join(known, ", "), name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}
