package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

// begunWithout starts a recording of alice while the bucket is away, and returns when it runs on the disk alone.
func begunWithout(t *testing.T, s *stack.Stack, room, codec string) (p *participant.Participant, id string, since time.Time) {
	t.Helper()
	p = enter(t, s, room, "alice")
	publish(t, p, codec)
	since = time.Now()
	r, err := stack.REST{Base: s.API}.Start(t.Context(), map[string]string{"room": room, "participant": "alice", "file": room})
	require.NoError(t, err)
	return p, r.ID, since
}

// known returns when a recording can be found by its id: nothing of it was in the bucket while that was away.
func known(t *testing.T, s *stack.Stack, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.Eventually(t, func() bool {
			_, err := stack.REST{Base: s.API}.Get(t.Context(), id)
			return err == nil
		}, time.Minute, 100*time.Millisecond)
	}
}

// Whoever comes while the bucket is away is recorded all the same: on the disk, until the bucket says under which name.
func TestRecordingBeginsWithoutS3(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 1)
	s.StopS3()
	alice, stays, since := begunWithout(t, s, "stays", "vp8")
	_, stopped, _ := begunWithout(t, s, "stopped", "h264")
	left, leaves, _ := begunWithout(t, s, "leaves", "vp9")
	pause(t, 2*length)
	require.NoError(t, stack.REST{Base: s.API}.Stop(t.Context(), map[string]string{"room": "stopped", "participant": "alice"}))
	left.Leave()
	gone := time.Now()
	pause(t, 2*length)
	require.NoError(t, s.StartS3(bounded(t, time.Minute)))
	back := time.Now()
	known(t, s, stays, stopped, leaves)
	awaitState(t, s, stays, func(r ledger.Recording) bool { return r.State == ledger.Active })
	pause(t, length)
	alice.Leave()
	end := time.Now()

	r := awaitState(t, s, stays, ledger.Recording.Final)
	require.Len(t, r.Parts, 1)
	require.Less(t, r.StartedAt.Sub(since), 3*time.Second)
	require.Equal(t, "stays", r.File)
	require.InDelta(t, end.Sub(*r.StartedAt).Seconds(), r.Parts[0].Duration, 1.5)
	others := []ledger.Recording{r}

	r = awaitState(t, s, stopped, ledger.Recording.Final)
	require.Equal(t, ledger.Completed, r.State, r.Reason)
	require.Equal(t, "stopped on request", r.Reason)
	require.Less(t, r.EndedAt.Sub(back), 25*time.Second, "soon after the bucket was back")
	others = append(others, r)

	r = awaitState(t, s, leaves, ledger.Recording.Final)
	require.Equal(t, "the participant left", r.Reason)
	require.InDelta(t, gone.Sub(*r.StartedAt).Seconds(), r.Parts[0].Duration, 1.5)
	others = append(others, r)
	for _, r := range others {
		require.Equal(t, ledger.Completed, r.Parts[0].State, r.Parts[0].Reason)
		checkSignal(t, s, r.Parts[0], participant.EncoderDelay)
	}
	onlyFiles(t, s, others...)
}

// What was recorded without the bucket is found on the disk, should the recorder be killed: by its name if the bucket had
// answered by then, and else by the start that lies there.
func TestRecorderThatBeganWithoutS3GoesOnFromItsDisk(t *testing.T) {
	t.Parallel()
	for name, answered := range map[string]bool{"before S3 answers": false, "after S3 has answered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownSystem(t)
			scratch := t.TempDir()
			first, err := s.StartRecorder(bounded(t, time.Minute), "SCRATCH_DIR="+scratch)
			require.NoError(t, err)
			s.SilenceS3(true)
			p, id, _ := begunWithout(t, s, "killed", "h264")
			pause(t, length)
			if answered {
				s.SilenceS3(false)
				known(t, s, id)
				awaitState(t, s, id, func(r ledger.Recording) bool { return r.State == ledger.Active })
			}
			pause(t, length)
			require.NoError(t, first.Signal(syscall.SIGKILL))
			killed := time.Now()
			s.SilenceS3(false)
			again, err := s.StartRecorder(bounded(t, time.Minute), "SCRATCH_DIR="+scratch)
			require.NoError(t, err)
			known(t, s, id)
			r := awaitState(t, s, id, func(r ledger.Recording) bool { return len(r.Parts) == 2 && r.Parts[0].State == ledger.Completed })
			require.True(t, r.Parts[0].Recovered)
			missing := killed.Sub(*r.Parts[0].StartedAt).Seconds() - r.Parts[0].Duration
			require.InDelta(t, 1, missing, 1.5, "what was under way, and no more")
			pause(t, length)
			p.Leave()
			r = awaitState(t, s, id, ledger.Recording.Final)
			require.Equal(t, ledger.Completed, r.State)
			checkParts(t, s, r)
			require.NoError(t, again.Signal(syscall.SIGTERM))
			require.NoError(t, again.Wait(bounded(t, 20*time.Second)))
			scratchIsEmpty(t, scratch)
		})
	}
}

// A recorder can be ended while the bucket is away: another one goes on without a name, and both store when it is back.
func TestHandingOverWithoutS3LosesNothing(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first, err := s.StartRecorder(bounded(t, time.Minute), "HAND_OVER_TIMEOUT=30s")
	require.NoError(t, err)
	p, r := recorded(t, s, "drain-without", "vp8")
	_, err = s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	s.SilenceS3(true)
	require.NoError(t, first.Signal(syscall.SIGTERM))
	pause(t, 3*length)
	s.SilenceS3(false)
	require.NoError(t, first.Wait(bounded(t, time.Minute)), "exit status")
	pause(t, length)
	p.Leave()
	left := time.Now()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Len(t, r.Parts, 2)
	require.Positive(t, r.Parts[1].Overlap)
	covered(t, s, r, left.Sub(*r.StartedAt))
}
