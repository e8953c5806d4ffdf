package e2e

import (
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// A camera that comes a moment after the microphone belongs in the same file.
func TestCameraSoonAfterTheMicrophoneIsOneFile(t *testing.T) {
	t.Parallel()
	p := join(t, system, "auto-soon", "alice")
	publish(t, p, "")
	pause(t, p, 2*time.Second)
	_, err := p.Camera("vp8")
	require.NoError(t, err)
	pause(t, p, length)
	p.Leave()

	r := ended(t, system, "auto-soon", "alice")
	require.Len(t, r.Parts, 1)
	checkCovers(t, system, r, p.Sent("audio"))
	checkSignal(t, system, r.Parts[0])
}

// checkSeam checks that one part begins where the other ends.
func checkSeam(t *testing.T, r document.Recording) {
	t.Helper()

	require.Len(t, r.Parts, 2)
	first, second := timeline.Part(r.Parts[0]), timeline.Part(r.Parts[1])
	require.InDelta(t, 0, second.From.Sub(first.To).Seconds(), 0.04, "a seam without gap or overlap")

	for _, part := range r.Parts {
		complaints, err := analyse.Decode(t.Context(), system.Path(part.Key))
		require.NoError(t, err)
		require.Empty(t, complaints)
	}
}

func TestCameraLongAfterTheMicrophoneBeginsAPart(t *testing.T) {
	t.Parallel()
	p := join(t, system, "auto-late-camera", "alice")
	publish(t, p, "")
	pause(t, p, 9*time.Second)
	_, err := p.Camera("h264")
	require.NoError(t, err)
	pause(t, p, length)
	p.Leave()

	r := ended(t, system, "auto-late-camera", "alice")
	checkSeam(t, r)
	require.Equal(t, "ogg", r.Parts[0].Container)
	require.Equal(t, "video began", r.Parts[0].Reason)
	checkCovers(t, system, r, p.Sent("audio"))
	checkSignal(t, system, r.Parts[1])
}

func TestMicrophoneLongAfterTheCameraBeginsAPart(t *testing.T) {
	t.Parallel()
	p := join(t, system, "auto-late-microphone", "alice")
	_, err := p.Camera("vp8")
	require.NoError(t, err)
	pause(t, p, 9*time.Second)
	_, err = p.Microphone()
	require.NoError(t, err)
	pause(t, p, length)
	p.Leave()

	r := ended(t, system, "auto-late-microphone", "alice")
	require.Len(t, r.Parts, 2)
	require.Len(t, r.Parts[0].Tracks, 1)
	require.Equal(t, "audio began", r.Parts[0].Reason)
	checkSignal(t, system, r.Parts[1])
}

// A camera that is switched off and on again, and a microphone that is muted, go on in the same file.
func TestCameraOffAndOnAndMuteStayOneFile(t *testing.T) {
	t.Parallel()
	p := join(t, system, "auto-off-on", "alice")
	camera, microphone := publish(t, p, "vp8")
	pause(t, p, length)
	require.NoError(t, camera.Unpublish())
	pause(t, p, 3*time.Second)
	_, err := p.Camera("vp8")
	require.NoError(t, err)
	pause(t, p, length)
	microphone.Mute(true)
	pause(t, p, 3*time.Second)
	microphone.Mute(false)
	pause(t, p, length)
	p.Leave()

	r := ended(t, system, "auto-off-on", "alice")
	require.Len(t, r.Parts, 1)
	checkSignal(t, system, r.Parts[0])

	beeps, err := analyse.Beeps(t.Context(), system.Path(r.Parts[0].Key))
	require.NoError(t, err)
	odd := 0 // a beep that mute or unmute cuts off makes the gaps before and behind it odd
	for n := 1; n < len(beeps); n++ {
		if gap := beeps[n] - beeps[n-1]; (gap - gap.Round(time.Second)).Abs() > 5*time.Millisecond {
			odd++
		}
	}
	require.LessOrEqual(t, odd, 2, "time goes on through a mute: %v", beeps)

	spans := microphone.Spans()
	muted := timeline.Without([]timeline.Span{{From: spans[0].From, To: end(spans)}}, spans)
	require.InDelta(t, timeline.Length(muted).Seconds(), r.Parts[0].Tracks[1].FilledSilence, 1.2,
		"but for what the server fills in")
}

// Whoever comes back at once is recorded again, whatever order the webhooks of both sessions arrive in.
func TestQuickRejoinIsRecorded(t *testing.T) {
	t.Parallel()
	const room = "auto-rejoin"
	var sessions [][]timeline.Span
	for range 2 {
		p := join(t, system, room, "alice")
		publish(t, p, "")
		pause(t, p, 2*length)
		p.Leave()
		sessions = append(sessions, p.Sent("audio"))
	}

	// Both sessions may be in one recording, or in one each. That of the second one ends with the last that she sent.
	last := end(sessions[1]).Add(-lastPackets)
	_, err := system.REST().AwaitOf(bounded(t, patience), room, "alice", func(r document.Recording) bool {
		return r.Final() && r.EndedAt != nil && r.EndedAt.After(last)
	})
	require.NoError(t, err)

	all, err := system.REST().List(t.Context(), room, "alice")
	require.NoError(t, err)
	var recorded []timeline.Span
	for _, r := range all {
		require.True(t, r.Final(), "%+v", r)
		recorded = append(recorded, timeline.Recorded(r, "audio")...)
	}
	for _, sent := range sessions {
		lost := timeline.Longer(timeline.Without(timeline.Until(sent, end(sent).Add(-lastPackets)), recorded), seam)
		t.Logf("sent %v, not recorded %v", sent, lost)

		// How long a recorder needs to come is up to the machine: but it comes once, and stays.
		require.LessOrEqual(t, len(lost), 1, "recorded from some time on: %v", all)
		require.Less(t, timeline.Length(lost), length, "recorded at all: %v", all)
		if len(lost) == 1 {
			require.Equal(t, sent[0].From, lost[0].From, "recorded to the end: %v", all)
		}
	}
}

func TestMaximumDurationAndRoomEnd(t *testing.T) {
	t.Parallel()
	const maximum = 10 * time.Second
	s := ownSystem(t)
	recorder(t, s, "MAX_DURATION="+maximum.String())
	p, long := recorded(t, s, "maximum", "")
	_, deleted := recorded(t, s, "deleted", "")

	rooms := lksdk.NewRoomServiceClient("http"+s.LiveKit[len("ws"):], stack.LiveKitKey, stack.LiveKitSecret)
	_, err := rooms.DeleteRoom(t.Context(), &livekit.DeleteRoomRequest{Room: "deleted"})
	require.NoError(t, err)
	deleted = awaitEnd(t, s, deleted.ID, document.Completed)
	require.Contains(t, []string{"the room was closed", "the participant left"}, deleted.Reason)

	long = awaitEnd(t, s, long.ID, document.Completed)
	require.Equal(t, "the maximum duration was reached", long.Reason)
	// It counts from some time between the request and the first frame.
	require.WithinRange(t, *long.EndedAt,
		long.RequestedAt.Add(maximum-lastPackets), long.StartedAt.Add(maximum+lastPackets))
	require.Empty(t, missing(long, p.Sent("audio"), *long.EndedAt))
}
