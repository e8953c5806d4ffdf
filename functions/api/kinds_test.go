package api

import (
	"testing"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
)

func TestKinds(t *testing.T) {
	for _, bad := range []string{"", ",", "egress", "standard,", "Standard", "agents", "standard;sip"} {
		_, err := ParseKinds(bad)
		require.ErrorContains(t, err, "must be a comma-separated list of standard, ingress, sip, agent", bad)
	}

	const later = livekit.ParticipantInfo_Kind(77)
	all := []livekit.ParticipantInfo_Kind{livekit.ParticipantInfo_STANDARD, livekit.ParticipantInfo_INGRESS,
		livekit.ParticipantInfo_SIP, livekit.ParticipantInfo_AGENT, later}
	for text, want := range map[string][]bool{
		"standard,ingress,sip,agent": {true, true, true, true, true},
		" sip , sip ":                {false, false, true, false, false},
		"standard":                   {true, false, false, false, true},
		"agent,ingress":              {false, true, false, true, false},
	} {
		kinds, err := ParseKinds(text)
		require.NoError(t, err)
		for n, kind := range all {
			require.Equal(t, want[n], kinds.record(kind), "%s: %s", text, kind)
		}
	}
	require.True(t, Kinds(nil).record(livekit.ParticipantInfo_AGENT))
}

func TestTargets(t *testing.T) {
	for _, bad := range []string{"", "av,", "camera", "screen_share", "AV", "all"} {
		_, err := ParseTargets(bad)
		require.ErrorContains(t, err, "must be a comma-separated list of av, audio, video, screen", bad)
	}

	targets, err := ParseTargets("screen, av,screen")
	require.NoError(t, err)
	require.Equal(t, Targets{"screen", "av"}, targets.all())
	require.Equal(t, Targets{"av"}, Targets(nil).all())
}
