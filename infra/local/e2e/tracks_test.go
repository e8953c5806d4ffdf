package e2e

import (
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/livekit/protocol/livekit"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

// A camera that comes a moment after the microphone belongs into the same file.
func TestCameraSoonAfterTheMicrophoneIsOneFile(t *testing.T) {
	t.Parallel()
	p := join(t, "auto-soon", "alice")
	publish(t, p, "")
	pause(t, 2*time.Second)
	_, err := p.Camera("vp8")
	require.NoError(t, err)
	pause(t, length)
	p.Leave()
	r := await(t, "auto-soon", "alice")
	require.Len(t, r.Parts, 1)
	checkSignal(t, system, r.Parts[0], participant.EncoderDelay)
}

// checkSeam checks that one part begins where the other ends.
func checkSeam(t *testing.T, r ledger.Recording) {
	t.Helper()
	require.Equal(t, ledger.Completed, r.State, r.Reason)
	require.Len(t, r.Parts, 2)
	first, second := r.Parts[0], r.Parts[1]
	end := first.StartedAt.Add(time.Duration(first.Duration * float64(time.Second)))
	require.InDelta(t, 0, second.StartedAt.Sub(end).Seconds(), 0.04, "a seam without gap or overlap")
	for _, part := range r.Parts {
		complaints, err := analyse.Decode(t.Context(), system.Path(part.Key))
		require.NoError(t, err)
		require.Empty(t, complaints)
	}
}

func TestCameraLongAfterTheMicrophoneBeginsAPart(t *testing.T) {
	t.Parallel()
	p := join(t, "auto-late-camera", "alice")
	publish(t, p, "")
	pause(t, 9*time.Second)
	_, err := p.Camera("h264")
	require.NoError(t, err)
	pause(t, length)
	p.Leave()
	r := await(t, "auto-late-camera", "alice")
	checkSeam(t, r)
	require.Equal(t, "ogg", r.Parts[0].Container)
	require.Equal(t, "video began", r.Parts[0].Reason)
	checkSignal(t, system, r.Parts[1], participant.EncoderDelay)
}

func TestMicrophoneLongAfterTheCameraBeginsAPart(t *testing.T) {
	t.Parallel()
	p := join(t, "auto-late-microphone", "alice")
	_, err := p.Camera("vp8")
	require.NoError(t, err)
	pause(t, 9*time.Second)
	_, err = p.Microphone()
	require.NoError(t, err)
	pause(t, length)
	p.Leave()
	r := await(t, "auto-late-microphone", "alice")
	require.Len(t, r.Parts, 2)
	require.Len(t, r.Parts[0].Tracks, 1)
	require.Equal(t, "audio began", r.Parts[0].Reason)
	checkSignal(t, system, r.Parts[1], participant.EncoderDelay)
}

// A camera that is switched off and on again, and a microphone that is muted, go on in the same file.
func TestCameraOffAndOnAndMuteStayOneFile(t *testing.T) {
	t.Parallel()
	p := join(t, "auto-off-on", "alice")
	camera, microphone := publish(t, p, "vp8")
	pause(t, length)
	require.NoError(t, camera.Unpublish())
	pause(t, 3*time.Second)
	_, err := p.Camera("vp8")
	require.NoError(t, err)
	pause(t, length)
	microphone.Mute(true)
	pause(t, 3*time.Second)
	microphone.Mute(false)
	pause(t, length)
	p.Leave()
	r := await(t, "auto-off-on", "alice")
	require.Len(t, r.Parts, 1)
	checkSignal(t, system, r.Parts[0], participant.EncoderDelay)
	beeps, err := analyse.Beeps(t.Context(), system.Path(r.Parts[0].Key))
	require.NoError(t, err)
	odd := 0 // a beep that mute or unmute cuts off makes the gaps before and behind it odd
	for n := 1; n < len(beeps); n++ {
		if gap := beeps[n] - beeps[n-1]; (gap - gap.Round(time.Second)).Abs() > 5*time.Millisecond {
			odd++
		}
	}
	require.LessOrEqual(t, odd, 2, "time goes on through a mute: %v", beeps)
	require.InDelta(t, 3, r.Parts[0].Tracks[1].FilledSilence, 1.2, "but for what the server fills in")
}

// Whoever comes back at once is recorded again, whatever order the webhooks of both sessions arrive in.
func TestQuickRejoinIsRecorded(t *testing.T) {
	t.Parallel()
	const room = "auto-rejoin"
	for range 2 {
		p := join(t, room, "alice")
		publish(t, p, "")
		pause(t, length)
		p.Leave()
	}
	var recordings []ledger.Recording
	require.Eventually(t, func() bool {
		var err error
		recordings, err = api().List(t.Context(), room, "alice")
		require.NoError(t, err)
		for _, r := range recordings {
			if !r.Final() {
				return false
			}
		}
		return len(recordings) > 0
	}, 30*time.Second, time.Second)
	var recorded float64
	for _, r := range recordings {
		for _, part := range r.Parts {
			recorded += part.Duration
		}
	}
	require.InDelta(t, 2*length.Seconds(), recorded, 1.5, "%+v", recordings)
}

func TestMaximumDurationAndRoomEnd(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	_, err := s.StartRecorder(bounded(t, time.Minute), "MAX_DURATION=10s")
	require.NoError(t, err)
	rest := stack.REST{Base: s.API}
	var ids []string
	for _, room := range []string{"maximum", "deleted"} {
		publish(t, enter(t, s, room, "alice"), "")
		r, err := rest.Start(t.Context(), map[string]string{"room": room, "participant": "alice"})
		require.NoError(t, err)
		ids = append(ids, r.ID)
	}
	awaitState(t, s, ids[1], func(r ledger.Recording) bool { return r.State == ledger.Active })
	rooms := lksdk.NewRoomServiceClient("http"+s.LiveKit[len("ws"):], stack.LiveKitKey, stack.LiveKitSecret)
	_, err = rooms.DeleteRoom(t.Context(), &livekit.DeleteRoomRequest{Room: "deleted"})
	require.NoError(t, err)
	deleted := awaitState(t, s, ids[1], ledger.Recording.Final)
	require.Equal(t, ledger.Completed, deleted.State)
	require.Contains(t, []string{"the room was closed", "the participant left"}, deleted.Reason)
	maximum := awaitState(t, s, ids[0], ledger.Recording.Final)
	require.Equal(t, ledger.Completed, maximum.State)
	require.Equal(t, "the maximum duration was reached", maximum.Reason)
	require.InDelta(t, 10, maximum.Parts[0].Duration, 1.5)
}
