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

	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// The bucket can be away for a while: recordings go on on the local disk, and everything is stored when it is back.
func TestS3OutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 1)
	p, r := recorded(t, s, "no-bucket", "vp8")

	s.StopS3()
	pause(t, p, 2*length)
	p.Leave() // the end cannot be written down yet either
	pass(t, length)

	require.NoError(t, s.StartS3(bounded(t, time.Minute)))
	checkAll(t, s, awaitEnd(t, s, r.ID, document.Completed), p.Sent("audio"))
}

// When the bucket is away for so long that the disk is full, the newest recording is given back, and goes on when
// there is space again; the others go on all the time.
func TestFullScratchSpaceInterruptsTheNewestRecordingOnly(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(*testing.T) string{
		// The test signal takes about 36 KB/s: some 36 s of one recording, or 18 s of both. The older one leaves between.
		"limit": func(*testing.T) string { return "SCRATCH_LIMIT=1280KiB" },
		// A twentieth of the disk is kept free, 10 MiB here: there is room for another 1280 KiB.
		"disk": func(t *testing.T) string { return "SCRATCH_DIR=" + disk(t, 200<<20, 190<<20-1280<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownSystem(t)
			recorder(t, s, env(t))
			oldest, first := recorded(t, s, "older", "vp8")
			newest, second := recorded(t, s, "newer", "vp8")

			s.StopS3()
			pause(t, oldest, 4*length)
			oldest.Leave()
			require.NoError(t, s.StartS3(bounded(t, time.Minute)))

			await(t, s, second.ID, hasParts(2))
			pause(t, newest, length)
			newest.Leave()
			second = awaitEnd(t, s, second.ID, document.Completed)
			require.Equal(t, "the participant left", second.Reason)
			require.NotEmpty(t, missing(second, newest.Sent("audio"), end(newest.Sent("audio"))))

			first = awaitEnd(t, s, first.ID, document.Completed)
			require.Equal(t, "the participant left", first.Reason)
			checkCovers(t, s, first, oldest.Sent("audio"))
			for _, r := range []document.Recording{first, second} {
				checkSignal(t, s, r.Parts[0])
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
// recorder lives. Both record until the other one's part runs; nothing is lost, and nothing is recorded twice for
// long.
func TestSQSOutageLosesNothing(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 2)
	p, r := recorded(t, s, "no-queue", "vp8")

	s.CutSQS(true)
	pass(t, 35*time.Second) // SQS takes the recorder for dead after 30
	s.CutSQS(false)
	pass(t, 15*time.Second) // in which the other one may begin
	p.Leave()

	checkAll(t, s, awaitEnd(t, s, r.ID, document.Completed), p.Sent("audio"))
}

// A killed ffmpeg costs the frames that it had not written yet; the recording goes on with a new part.
func TestKilledFFmpegBeginsAPart(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	victim := recorder(t, s)
	p, r := recorded(t, s, "no-ffmpeg", "h264")
	pause(t, p, length)

	children, err := victim.Children()
	require.NoError(t, err)
	require.Len(t, children, 1)
	require.NoError(t, syscall.Kill(children[0], syscall.SIGKILL))
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 2)
	checkParts(t, s, r)

	lost := missing(r, p.Sent("audio"), end(p.Sent("audio")).Add(-lastPackets))
	require.Less(t, timeline.Length(lost), 2500*time.Millisecond, "a fragment, and the way to the next key frame")
}

// S3 that does not answer at all, on connections that stay open, is noticed: a stop that was asked for meanwhile is
// obeyed soon after new connections pass again, and everything is stored.
func TestSilentS3LosesNothing(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 1)
	p, r := recorded(t, s, "silent-bucket", "vp8")

	s.SilenceS3(true)
	pause(t, p, 15*time.Second)
	stopped := time.Now()
	stop(t, s, map[string]string{"room": "silent-bucket", "participant": "alice"})
	pause(t, p, 3*time.Second)
	s.SilenceS3(false)
	open := time.Now()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Equal(t, "stopped on request", r.Reason)
	require.Less(t, timeline.Length(timeline.Until(timeline.From(p.Sent("audio"), open), *r.EndedAt)), 15*time.Second,
		"the stop waited for a connection that was gone")
	require.True(t, r.EndedAt.After(stopped))
	checkAll(t, s, r, p.Sent("audio"))
}

// SQS that does not answer at all keeps no message from being held: nobody else gets the recording.
func TestSilentSQSCostsNoRecording(t *testing.T) {
	t.Parallel()
	s := withRecorders(t, 2)
	p, r := recorded(t, s, "silent-queue", "vp8")

	s.SilenceSQS(true)
	pass(t, 12*time.Second) // at least one sign of life falls into it
	s.SilenceSQS(false)
	pass(t, 28*time.Second) // SQS would have given the message to the other recorder by now
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 1, "it was not handed on")
	checkAll(t, s, r, p.Sent("audio"))
}

// A recorder that cannot store its files in the time that it has to end leaves them on its disk, for the next one.
func TestRecorderEndsInTimeWhenS3IsSilent(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	scratch := directory(t, s)
	first := recorder(t, s, "SCRATCH_DIR="+scratch, "STOP_TIMEOUT=6s")
	p, r := recorded(t, s, "wedged", "vp8")
	pause(t, p, length)

	s.SilenceS3(true)
	ended := time.Now()
	require.NoError(t, first.Signal(syscall.SIGTERM))
	// It is its own clock that counts, and that of whoever would kill it.
	require.ErrorContains(t, first.Wait(bounded(t, 10*time.Second)), "exit status 1")
	s.SilenceS3(false)

	recorder(t, s, "SCRATCH_DIR="+scratch)
	r = await(t, s, r.ID, firstPartStored)
	require.LessOrEqual(t, timeline.Length(missing(r, p.Sent("audio"), ended)), time.Second, "all of it")

	await(t, s, r.ID, hasParts(2))
	pause(t, p, length)
	p.Leave()
	checkParts(t, s, awaitEnd(t, s, r.ID, document.Completed))
}
