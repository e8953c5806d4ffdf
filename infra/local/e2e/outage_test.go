package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

// recorded starts a recording of alice with camera and microphone, and returns when it runs.
func recorded(t *testing.T, s *stack.Stack, room, codec string) (*participant.Participant, ledger.Recording) {
	t.Helper()
	p := enter(t, s, room, "alice")
	publish(t, p, codec)
	r, err := stack.REST{Base: s.API}.Start(t.Context(), map[string]string{"room": room, "participant": "alice"})
	require.NoError(t, err)
	return p, awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.State == ledger.Active })
}

// covered checks that the parts of a recording have all of it, without a gap.
func covered(t *testing.T, s *stack.Stack, r ledger.Recording, length time.Duration) {
	t.Helper()
	require.Equal(t, ledger.Completed, r.State, r.Reason)
	end := *r.Parts[0].StartedAt
	for _, part := range r.Parts {
		require.Equal(t, ledger.Completed, part.State, part.Reason)
		require.LessOrEqual(t, part.StartedAt.Sub(end), 50*time.Millisecond, "a gap before %s", part.Key)
		end = part.StartedAt.Add(time.Duration(part.Duration * float64(time.Second)))
		checkSignal(t, s, part, participant.EncoderDelay)
	}
	require.InDelta(t, length.Seconds(), end.Sub(*r.Parts[0].StartedAt).Seconds(), 2)
	onlyFiles(t, s, r)
}

// withRecorders is a system of a test's own, with so many recorders.
func withRecorders(t *testing.T, recorders int) *stack.Stack {
	t.Helper()
	s := ownSystem(t)
	for range recorders {
		_, err := s.StartRecorder(bounded(t, time.Minute))
		require.NoError(t, err)
	}
	return s
}

// The bucket can be away for a while: recordings go on on the local disk, and everything is stored when it is back.
func TestS3OutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 1)
	p, r := recorded(t, s, "no-bucket", "vp8")
	s.StopS3()
	pause(t, 2*length)
	p.Leave() // the end cannot be written down yet either
	left := time.Now()
	pause(t, length)
	require.NoError(t, s.StartS3(bounded(t, time.Minute)))
	covered(t, s, awaitState(t, s, r.ID, ledger.Recording.Final), left.Sub(*r.StartedAt))
}

// When the bucket is away for so long that the disk is full, the newest recording ends, clearly, and the others go on.
func TestFullScratchSpaceEndsTheNewestRecordingOnly(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(*testing.T) string{
		// The test signal takes about 36 KB/s: some 36 s of one recording, or 18 s of both. The older one leaves in between.
		"limit": func(*testing.T) string { return "SCRATCH_LIMIT=1280KiB" },
		// A twentieth of the disk is kept free, 10 MiB here: there is room for another 1280 KiB.
		"disk": func(t *testing.T) string { return "SCRATCH_DIR=" + disk(t, 200<<20, 190<<20-1280<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownSystem(t)
			_, err := s.StartRecorder(bounded(t, time.Minute), env(t))
			require.NoError(t, err)
			oldest, first := recorded(t, s, "older", "vp8")
			_, second := recorded(t, s, "newer", "vp8")
			s.StopS3()
			pause(t, 4*length)
			oldest.Leave()
			left := time.Now()
			require.NoError(t, s.StartS3(bounded(t, time.Minute)))
			second = awaitState(t, s, second.ID, ledger.Recording.Final)
			require.Equal(t, ledger.Completed, second.State)
			require.Contains(t, second.Reason, "the scratch space is used up")
			require.True(t, second.EndedAt.Before(left), "it ended before the older one did")
			first = awaitState(t, s, first.ID, ledger.Recording.Final)
			require.Equal(t, "the participant left", first.Reason)
			require.InDelta(t, left.Sub(*first.StartedAt).Seconds(), first.Parts[0].Duration, 2)
			for _, r := range []ledger.Recording{first, second} {
				checkSignal(t, s, r.Parts[0], participant.EncoderDelay)
			}
			onlyFiles(t, s, first, second)
		})
	}
}

// disk is a file system of a size in bytes, of which that many are taken.
func disk(t *testing.T, size, taken int64) string {
	t.Helper()
	directory := t.TempDir()
	err := unix.Mount("tmpfs", directory, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, unix.EPERM) {
		t.Skip("only root may mount a disk")
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		// The recorder ends, and its ffmpeg, when the system does, which was started before.
		require.NoError(t, unix.Unmount(directory, unix.MNT_DETACH))
	})
	filling, err := os.Create(filepath.Join(directory, "taken"))
	require.NoError(t, err)
	require.NoError(t, unix.Fallocate(int(filling.Fd()), 0, 0, taken))
	require.NoError(t, filling.Close())
	return directory
}

// SQS can be away for longer than it keeps messages invisible: another recorder may get the start then, although its
// recorder lives. Both record until the other one's part runs; nothing is lost, and nothing is recorded twice for long.
func TestSQSOutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 2)
	p, r := recorded(t, s, "no-queue", "vp8")
	s.CutSQS(true)
	pause(t, 35*time.Second) // SQS takes the recorder for dead after 30
	s.CutSQS(false)
	pause(t, 15*time.Second)
	p.Leave()
	covered(t, s, awaitState(t, s, r.ID, ledger.Recording.Final), time.Since(*r.StartedAt))
}

// A killed ffmpeg costs the frames that it had not written yet; the recording goes on with a new part.
func TestKilledFFmpegBeginsAPart(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	recorder, err := s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	p, r := recorded(t, s, "no-ffmpeg", "h264")
	pause(t, length)
	children, err := recorder.Children()
	require.NoError(t, err)
	require.Len(t, children, 1)
	require.NoError(t, syscall.Kill(children[0], syscall.SIGKILL))
	pause(t, length)
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Len(t, r.Parts, 2)
	for _, part := range r.Parts {
		require.Equal(t, ledger.Completed, part.State, part.Reason)
		checkSignal(t, s, part, participant.EncoderDelay)
	}
	end := r.Parts[0].StartedAt.Add(time.Duration(r.Parts[0].Duration * float64(time.Second)))
	require.Less(t, r.Parts[1].StartedAt.Sub(end), 2500*time.Millisecond, "a fragment, and the way to the next key frame")
	onlyFiles(t, s, r)
}

// S3 that does not answer at all, on connections that stay open, is noticed: a stop that was asked for meanwhile is obeyed
// soon after new connections pass again, and everything is stored.
func TestSilentS3LosesNothing(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 1)
	_, r := recorded(t, s, "silent-bucket", "vp8")
	s.SilenceS3(true)
	pause(t, 15*time.Second)
	stopped := time.Now()
	require.NoError(t, stack.REST{Base: s.API}.Stop(t.Context(), map[string]string{"room": "silent-bucket", "participant": "alice"}))
	pause(t, 3*time.Second)
	s.SilenceS3(false)
	open := time.Now()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Equal(t, "stopped on request", r.Reason)
	require.Less(t, r.EndedAt.Sub(open), 15*time.Second, "the stop waited for a connection that was gone")
	require.True(t, r.EndedAt.After(stopped))
	covered(t, s, r, r.EndedAt.Sub(*r.StartedAt))
}

// SQS that does not answer at all keeps no message from being held: nobody else gets the recording.
func TestSilentSQSCostsNoRecording(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 2)
	p, r := recorded(t, s, "silent-queue", "vp8")
	s.SilenceSQS(true)
	pause(t, 12*time.Second) // at least one sign of life falls into it
	s.SilenceSQS(false)
	pause(t, 28*time.Second) // SQS would have given the message to the other recorder by now
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Len(t, r.Parts, 1, "it was not handed on")
	covered(t, s, r, time.Since(*r.StartedAt))
}

// A recorder that cannot store its files in the time that it has to end leaves them on its disk, for the next one there.
func TestRecorderEndsInTimeWhenS3IsSilent(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	scratch := t.TempDir()
	first, err := s.StartRecorder(bounded(t, time.Minute), "SCRATCH_DIR="+scratch, "STOP_TIMEOUT=6s")
	require.NoError(t, err)
	p, r := recorded(t, s, "wedged", "vp8")
	pause(t, length)
	s.SilenceS3(true)
	ended := time.Now()
	require.NoError(t, first.Signal(syscall.SIGTERM))
	err = first.Wait(bounded(t, 10*time.Second))
	require.ErrorContains(t, err, "exit status 1")
	s.SilenceS3(false)
	_, err = s.StartRecorder(bounded(t, time.Minute), "SCRATCH_DIR="+scratch)
	require.NoError(t, err)
	r = awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.Parts[0].State == ledger.Completed })
	require.InDelta(t, ended.Sub(*r.Parts[0].StartedAt).Seconds(), r.Parts[0].Duration, 1, "all of it")
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return len(r.Parts) == 2 })
	pause(t, length)
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	checkParts(t, s, r)
}
