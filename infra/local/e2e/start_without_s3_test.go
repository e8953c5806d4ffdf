package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// begunWithout lets alice in and starts a recording of her while the bucket is away: it cannot be seen to run.
func begunWithout(t *testing.T, s *stack.Stack, room, codec string) (p *participant.Participant, id string) {
	t.Helper()

	p = join(t, s, room, "alice")
	publish(t, p, codec)
	r := start(t, s, map[string]string{"room": room, "participant": "alice", "file": room})
	return p, r.ID
}

// Whoever comes while the bucket is away is recorded all the same: on the disk, until the bucket says under which
// name.
func TestRecordingBeginsWithoutS3(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 1)
	s.StopS3()
	alice, stays := begunWithout(t, s, "stays", "vp8")
	other, stopped := begunWithout(t, s, "stopped", "h264")
	left, leaves := begunWithout(t, s, "leaves", "vp9")
	pause(t, left, 2*length)
	stop(t, s, map[string]string{"room": "stopped", "participant": "alice"})
	left.Leave()
	pause(t, alice, 2*length)

	back := time.Now()
	require.NoError(t, s.StartS3(bounded(t, time.Minute)))
	await(t, s, stays, active)
	pause(t, alice, length)
	alice.Leave()

	r := awaitEnd(t, s, stays, document.Completed)
	require.Len(t, r.Parts, 1)
	require.True(t, r.StartedAt.Before(end(left.Sent("audio"))), "long before the bucket was back")
	require.Equal(t, "stays", r.File)
	checkCovers(t, s, r, alice.Sent("audio"))
	others := []document.Recording{r}

	r = awaitEnd(t, s, stopped, document.Completed)
	require.Equal(t, "stopped on request", r.Reason)
	require.Less(t, timeline.Length(timeline.Until(timeline.From(other.Sent("audio"), back), *r.EndedAt)), 25*time.Second,
		"soon after the bucket was back")
	checkCovers(t, s, r, other.Sent("audio"))
	others = append(others, r)

	r = awaitEnd(t, s, leaves, document.Completed)
	require.Equal(t, "the participant left", r.Reason)
	checkCovers(t, s, r, left.Sent("audio"))
	others = append(others, r)

	for _, r := range others {
		require.Equal(t, document.Completed, r.Parts[0].State, r.Parts[0].Reason)
		checkSignal(t, s, r.Parts[0])
	}
	onlyFiles(t, s, others...)
}

// A recorder can also start while the bucket is away, whether it refuses connections or does not answer on them.
func TestRecorderStartsWithoutS3(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct{ begin, end func(*stack.Stack) error }{
		"refused": {
			begin: func(s *stack.Stack) error { s.StopS3(); return nil },
			end:   func(s *stack.Stack) error { return s.StartS3(bounded(t, time.Minute)) },
		},
		"silent": {
			begin: func(s *stack.Stack) error { s.SilenceS3(true); return nil },
			end:   func(s *stack.Stack) error { s.SilenceS3(false); return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownSystem(t)
			require.NoError(t, outage.begin(s))
			began := time.Now()
			recorder(t, s)
			took := time.Since(began)
			t.Logf("ready after %s", took)
			require.Less(t, took, 12*time.Second, "one attempt")
			p, id := begunWithout(t, s, "early", "vp8")
			pause(t, p, 2*length)

			require.NoError(t, outage.end(s))
			await(t, s, id, active)
			pause(t, p, length)
			p.Leave()
			r := awaitEnd(t, s, id, document.Completed)
			require.Len(t, r.Parts, 1)
			checkAll(t, s, r, p.Sent("audio"))
		})
	}
}

// What was recorded without the bucket is found on the disk, should the recorder be killed: by its name if the bucket
// had answered by then, and else by the start that lies there.
func TestRecorderThatBeganWithoutS3GoesOnFromItsDisk(t *testing.T) {
	t.Parallel()
	for name, answered := range map[string]bool{"before S3 answers": false, "after S3 has answered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownSystem(t)
			scratch := directory(t, s)
			first := recorder(t, s, "SCRATCH_DIR="+scratch)
			s.SilenceS3(true)
			p, id := begunWithout(t, s, "killed", "h264")
			pause(t, p, length)
			if answered {
				s.SilenceS3(false)
				await(t, s, id, active)
			}
			pause(t, p, length)

			killed := time.Now()
			require.NoError(t, first.Signal(syscall.SIGKILL))
			s.SilenceS3(false)
			again := recorder(t, s, "SCRATCH_DIR="+scratch)
			r := await(t, s, id, func(r document.Recording) bool { return hasParts(2)(r) && firstPartStored(r) })
			require.True(t, r.Parts[0].Recovered)
			require.LessOrEqual(t, timeline.Length(missing(r, p.Sent("audio"), killed)), underWay)

			pause(t, p, length)
			p.Leave()
			checkParts(t, s, awaitEnd(t, s, id, document.Completed))

			require.NoError(t, again.Signal(syscall.SIGTERM))
			require.NoError(t, again.Wait(bounded(t, patience)))
			scratchIsEmpty(t, scratch)
		})
	}
}

// A recorder can be ended while the bucket is away: another one goes on without a name, and both store when it is
// back.
func TestHandingOverWithoutS3LosesNothing(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s, "HAND_OVER_TIMEOUT=30s")
	p, r := recorded(t, s, "drain-without", "vp8")
	recorder(t, s)

	s.SilenceS3(true)
	require.NoError(t, first.Signal(syscall.SIGTERM))
	pause(t, p, 3*length)
	s.SilenceS3(false)
	require.NoError(t, first.Wait(bounded(t, patience)), "exit status")
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 2)
	require.Positive(t, r.Parts[1].Overlap)
	checkAll(t, s, r, p.Sent("audio"))
}
