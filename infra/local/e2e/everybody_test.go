package e2e

import (
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// of returns the recording of one target of somebody's when it has ended as wanted.
func of(t *testing.T, s *stack.Stack, room, identity, target string, state document.State) document.Recording {
	t.Helper()

	r, err := s.REST().AwaitOf(bounded(t, patience), room, identity, func(r document.Recording) bool {
		return r.Target == target && r.Final()
	})
	require.NoError(t, err)
	require.Equal(t, state, r.State, "%s; logs: %s", r.Reason, s.Work)
	return r
}

// waits is a recording of somebody who is there, and shares nothing.
func waits(r document.Recording) bool {
	return r.Target == "screen" && r.State == document.Requested && r.Session != ""
}

// Participants of all kinds are recorded, and somebody who is called like our bots, with a control character. Somebody
// presents, pauses for a while, and goes on: that is one file.
func TestEverybodyAndTheirScreensAreRecorded(t *testing.T) {
	const room, odd = "everybody", "participant-recorder-\x01b"
	s := newSystem(t, func(o *stack.Options) { o.AutoRecord, o.AutoTargets = "*/*", "av,screen" })
	recorder(t, s)
	others := map[string]*participant.Participant{odd: join(t, s, room, odd)}
	for identity, kind := range map[string]lksdk.ParticipantKind{
		"agent":   lksdk.ParticipantAgent,
		"sip":     lksdk.ParticipantSIP,
		"ingress": lksdk.ParticipantIngress,
	} {
		others[identity] = join(t, s, room, identity, participant.Options{Kind: kind})
	}
	for _, p := range others {
		publish(t, p, "")
	}
	p := join(t, s, room, "presenter")
	_, err := s.REST().AwaitOf(bounded(t, patience), room, "presenter", waits)
	require.NoError(t, err)
	pass(t, 3*time.Second)

	for n := range 2 {
		if n > 0 {
			pass(t, 4*time.Second)
		}
		screen, err := p.ScreenShare("vp8")
		require.NoError(t, err)
		sound, err := p.ScreenShareAudio()
		require.NoError(t, err)
		pause(t, p, length)
		require.NoError(t, screen.Unpublish())
		require.NoError(t, sound.Unpublish())
	}
	p.Leave()
	for _, p := range others {
		p.Leave()
	}

	shared := of(t, s, room, "presenter", "screen", document.Completed)
	require.Len(t, shared.Parts, 1)
	checkSignal(t, s, shared.Parts[0])
	file, err := analyse.Probe(t.Context(), s.Path(shared.Parts[0].Key))
	require.NoError(t, err)
	require.Equal(t, "vp8+opus", file.Codecs())
	sent := p.Sent("video")
	require.InDelta(t, end(sent).Sub(sent[0].From).Seconds(), shared.Parts[0].Duration, 1, "from the first share to the last")
	require.WithinDuration(t, sent[0].From, *shared.StartedAt, time.Second)
	for _, track := range shared.Parts[0].Tracks {
		require.Contains(t, []string{"screen_share", "screen_share_audio"}, track.Source)
	}

	all := []document.Recording{shared, of(t, s, room, "presenter", "av", document.Failed)}
	for identity, p := range others {
		heard := of(t, s, room, identity, "av", document.Completed)
		if identity == odd {
			require.Equal(t, "standard", heard.Kind)
		} else {
			require.Equal(t, identity, heard.Kind)
		}
		checkCovers(t, s, heard, p.Sent("audio"))
		nothing := of(t, s, room, identity, "screen", document.Failed)
		require.Equal(t, "no screen was shared; the participant left", nothing.Reason)
		all = append(all, heard, nothing)
	}
	onlyFiles(t, s, all...)
}
