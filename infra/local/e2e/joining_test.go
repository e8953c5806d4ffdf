package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

const joins = "JOIN_PARTS=on"

// joined says that the parts of a recording have been joined, or are never going to be.
func joined(r document.Recording) bool { return r.Final() && r.Join != nil && r.Join.Unended == 0 }

// checkJoined awaits that a recording is one file, and checks all of it.
func checkJoined(t *testing.T, s *stack.Stack, id string, from int) document.Recording {
	t.Helper()

	r := await(t, s, id, joined)
	require.Empty(t, r.Join.Reason)
	require.Len(t, r.Parts, 1)
	require.Len(t, r.Parts[0].Joined, from)
	// The parts go when the document does not list them any more, and then everybody is told.
	require.Eventually(t, func() bool {
		left, err := s.Leftovers(t.Context(), r)
		return err == nil && len(left) == 0
	}, patience, 100*time.Millisecond)
	checkParts(t, s, r)
	for _, part := range r.Parts[0].Joined {
		t.Logf("%s: %.1f s, %d packets, %d cut", part.Key, part.Duration, part.Packets, part.Cut)
	}
	return r
}

// Sound from the beginning, pictures from when they came, in one file and in step.
func TestALateCameraEndsInOneFile(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"vp8", "h264"} {
		t.Run(codec, func(t *testing.T) {
			s := ownSystem(t)
			recorder(t, s, joins)
			p := join(t, s, "late-camera", "alice")
			publish(t, p, "")
			r := start(t, s, map[string]string{"room": "late-camera", "participant": "alice"})
			await(t, s, r.ID, active)
			pause(t, p, 12*time.Second)
			_, err := p.Camera(codec)
			require.NoError(t, err)
			pause(t, p, length)
			p.Leave()

			r = checkJoined(t, s, r.ID, 2)
			checkCovers(t, s, r, p.Sent("audio"))
			require.Equal(t, "video", r.Parts[0].Tracks[0].Kind)
			require.Greater(t, r.Parts[0].Tracks[0].Offset, 10.0)
		})
	}
}

// What a killed recorder had stored, and what its successor recorded, with silence in between.
func TestATakeOverEndsInOneFile(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s, joins)
	p, r := recorded(t, s, "joined-take-over", "vp8")
	pause(t, p, 15*time.Second)

	killed := time.Now()
	require.NoError(t, first.Signal(syscall.SIGKILL))
	recorder(t, s, joins)
	await(t, s, r.ID, hasParts(2))
	pause(t, p, length)
	p.Leave()

	r = checkJoined(t, s, r.ID, 2)
	require.True(t, r.Parts[0].Recovered)
	for _, track := range r.Parts[0].Tracks {
		require.NotEmpty(t, track.Gaps)
		longest := document.Gap{}
		for _, gap := range track.Gaps {
			if gap.Length > longest.Length {
				longest = gap
			}
		}
		require.Equal(t, document.GapUnrecorded, longest.Kind)
		require.Greater(t, longest.Start, 5.0)
		require.Less(t, r.StartedAt.Add(time.Duration(longest.Start*float64(time.Second))).Sub(killed), time.Second)
	}
}

// Both recorders have the same for a moment: it is in the file once.
func TestAHandOverEndsInOneFile(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s, "HAND_OVER_TIMEOUT=40s", joins)
	p, r := recorded(t, s, "joined-hand-over", "h264")
	recorder(t, s, joins)
	pause(t, p, length)
	require.NoError(t, first.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(bounded(t, patience)), "exit status")
	pause(t, p, length)
	p.Leave()

	r = checkJoined(t, s, r.ID, 2)
	checkCovers(t, s, r, p.Sent("audio"))
	require.Positive(t, r.Parts[0].Joined[0].Cut+r.Parts[0].Joined[1].Cut, "they overlap")
	require.Empty(t, r.Parts[0].Tracks[0].Gaps)
}
