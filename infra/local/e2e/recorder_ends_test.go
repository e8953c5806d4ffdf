package e2e

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// SIGTERM closes and stores every file and ends with 0; the recording, still wanted, goes on in the next recorder.
func TestTerminatedRecorderStoresItsFilesAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s)
	p, r := recorded(t, s, "drain", "vp8")
	pause(t, p, length)

	require.NoError(t, first.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(bounded(t, patience)), "exit status")
	r = await(t, s, r.ID, firstPartStored)
	require.Equal(t, document.Active, r.State)
	scratchIsEmpty(t, filepath.Join(s.Work, first.Name))

	recorder(t, s)
	await(t, s, r.ID, hasParts(2))
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 2)
	checkParts(t, s, r)
}

// Make before break: a recorder that is to end goes on until another one's part runs, so that nothing is missing.
func TestDrainingRecorderGoesOnUntilTheNextOneRuns(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s, "HAND_OVER_TIMEOUT=40s")
	p, r := recorded(t, s, "hand-over", "vp8")
	recorder(t, s)
	pause(t, p, length)

	require.NoError(t, first.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(bounded(t, patience)), "exit status")
	scratchIsEmpty(t, filepath.Join(s.Work, first.Name))
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 2)
	for _, part := range r.Parts {
		require.False(t, part.Recovered)
	}
	require.Positive(t, r.Parts[1].Overlap, "no gap")
	t.Logf("the parts overlap by %.2f s", r.Parts[1].Overlap)
	checkAll(t, s, r, p.Sent("audio"))
}

// A recorder that is killed: SQS hands its message to another one, which goes on with a part of its own, and makes a
// file of what the dead one had stored. Nothing else of it stays in the bucket.
func TestKilledRecordersRecordingGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s)
	var people []*participant.Participant
	var recordings []document.Recording
	// Each is at another moment between two entries of its recorder's journal when the recorder dies.
	for n, codec := range []string{"vp8", "h264", "vp9", "h264", "vp8"} {
		p, r := recorded(t, s, fmt.Sprint("kill-", n), codec)
		people, recordings = append(people, p), append(recordings, r)
	}
	pause(t, people[4], 15*time.Second) // entries come more often

	killed := time.Now()
	require.NoError(t, first.Signal(syscall.SIGKILL))
	recorder(t, s)
	for n, r := range recordings {
		recordings[n] = await(t, s, r.ID, hasParts(2))
		require.Equal(t, 2, recordings[n].Epoch)
	}
	pause(t, people[4], length)

	for n, p := range people {
		p.Leave()
		r := awaitEnd(t, s, recordings[n].ID, document.Completed)
		require.True(t, r.Parts[0].Recovered)
		require.NotEmpty(t, r.Parts[0].Tracks, "what its recorder had been receiving")
		lost := timeline.Length(missing(r, p.Sent("audio"), killed))
		t.Logf("%s: %s are missing", r.Parts[0].Key, lost)
		require.LessOrEqual(t, lost, 10*time.Second, "at most what was not in the journal, and what was under way")
		for _, part := range r.Parts {
			require.Equal(t, document.Completed, part.State, part.Reason)
			checkSignal(t, s, part)
		}
		recordings[n] = r
	}
	onlyFiles(t, s, recordings...)
}

// underWay is what a killed recorder on a disk that stays may lose: what was on its way to the disk.
const underWay = 2500 * time.Millisecond

// A recorder that is killed and started again on the same disk finishes its files before anything else: nothing but
// the time until it records again is missing.
func TestKilledRecorderGoesOnFromItsDisk(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	scratch := directory(t, s)
	first := recorder(t, s, "SCRATCH_DIR="+scratch)
	p, r := recorded(t, s, "restart", "h264")
	pause(t, p, length)

	killed := time.Now()
	require.NoError(t, first.Signal(syscall.SIGKILL))
	again := recorder(t, s, "SCRATCH_DIR="+scratch)
	r = await(t, s, r.ID, firstPartStored)
	require.Contains(t, r.Parts[0].Reason, "the file was finished from its disk")
	require.LessOrEqual(t, timeline.Length(missing(r, p.Sent("audio"), killed)), underWay)

	await(t, s, r.ID, hasParts(2))
	pause(t, p, length)
	p.Leave()
	checkParts(t, s, awaitEnd(t, s, r.ID, document.Completed))

	require.NoError(t, again.Signal(syscall.SIGTERM))
	require.NoError(t, again.Wait(bounded(t, patience)))
	scratchIsEmpty(t, scratch)
}

// A recorder that is to end comes back into the room, too, as long as nobody else records.
func TestDrainingRecorderSurvivesLiveKitRestart(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first := recorder(t, s, "HAND_OVER_TIMEOUT=60s", "REJOIN_WINDOW=30s")
	p, r := recorded(t, s, "drain-restart", "vp8")

	require.NoError(t, first.Signal(syscall.SIGTERM))
	await(t, s, r.ID, func(r document.Recording) bool { return r.Parts[0].State == document.Draining })
	require.NoError(t, s.RestartLiveKit(bounded(t, time.Minute), time.Second))
	restarted := time.Now()
	pause(t, p, 2*length) // everybody is back

	recorder(t, s, "REJOIN_WINDOW=30s")
	require.NoError(t, first.Wait(bounded(t, patience)), "exit status")
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 2)
	require.True(t, r.Parts[1].StartedAt.After(restarted))
	require.Positive(t, r.Parts[1].Overlap, "the first recorder went on until the second one recorded")
	for _, part := range r.Parts {
		require.Equal(t, document.Completed, part.State, part.Reason)
	}
	onlyFiles(t, s, r)
}

// What is held for as long as SQS allows is handed over: by a lone recorder to itself, any number of times, without a
// gap.
func TestLoneRecorderHandsOverToItself(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	recorder(t, s, "HOLD_LIMIT=12s", "HAND_OVER_TIMEOUT=40s")
	p, r := recorded(t, s, "long", "vp8")

	await(t, s, r.ID, func(r document.Recording) bool { return len(r.Parts) >= 3 })
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	checkAll(t, s, r, p.Sent("audio"))
	for _, part := range r.Parts[1:] {
		require.Positive(t, part.Overlap)
		require.Less(t, part.Overlap, 10.0)
	}
}
