package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/webhook"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/shared/ledger"
)

// ownSystem is a system of a test's own, without a recorder.
func ownSystem(t *testing.T) *stack.Stack {
	t.Helper()
	work := t.TempDir()
	s, err := stack.Start(bounded(t, time.Minute), stack.Options{
		Tools: tools, Binaries: system.Binaries, Work: filepath.Join(work, "run"), BucketRoot: filepath.Join(work, "s3"),
		AutoRecord: "off", RecorderEnv: []string{"REJOIN_WINDOW=5s"},
	})
	t.Cleanup(s.Stop)
	require.NoError(t, err)
	return s
}

func enter(t *testing.T, s *stack.Stack, room, identity string) *participant.Participant {
	t.Helper()
	p, err := participant.Join(s.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, identity, media)
	require.NoError(t, err)
	t.Cleanup(p.Leave)
	return p
}

func awaitState(t *testing.T, s *stack.Stack, id string, done func(ledger.Recording) bool) (recording ledger.Recording) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		recording, err = stack.REST{Base: s.API}.Get(t.Context(), id)
		require.NoError(t, err)
		return done(recording)
	}, time.Minute, 100*time.Millisecond)
	return recording
}

// SIGTERM closes and stores every file and ends with 0; the recording, still wanted, goes on in the next recorder.
func TestTerminatedRecorderStoresItsFilesAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first, err := s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	p := enter(t, s, "drain", "alice")
	publish(t, p, "vp8")
	r, err := stack.REST{Base: s.API}.Start(t.Context(), map[string]string{"room": "drain", "participant": "alice"})
	require.NoError(t, err)
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.State == ledger.Active })
	pause(t, length)
	require.NoError(t, first.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(bounded(t, 20*time.Second)), "exit status")
	r = awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.Parts[0].State == ledger.Completed })
	require.Equal(t, ledger.Active, r.State)
	scratchIsEmpty(t, filepath.Join(s.Work, first.Name))
	_, err = s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return len(r.Parts) == 2 })
	pause(t, length)
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Equal(t, ledger.Completed, r.State)
	require.Len(t, r.Parts, 2)
	for _, part := range r.Parts {
		path := s.Path(part.Key)
		complaints, err := analyse.Decode(t.Context(), path)
		require.NoError(t, err)
		require.Empty(t, complaints)
		offset, err := analyse.AVOffset(t.Context(), path)
		require.NoError(t, err)
		require.InDelta(t, participant.EncoderDelay.Seconds(), offset.Seconds(), 0.020)
	}
}

// Make before break: a recorder that is to end goes on until another one's part runs, so that nothing is missing.
func TestDrainingRecorderGoesOnUntilTheNextOneRuns(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first, err := s.StartRecorder(bounded(t, time.Minute), "HAND_OVER_TIMEOUT=40s")
	require.NoError(t, err)
	p := enter(t, s, "hand-over", "alice")
	publish(t, p, "vp8")
	r, err := stack.REST{Base: s.API}.Start(t.Context(), map[string]string{"room": "hand-over", "participant": "alice"})
	require.NoError(t, err)
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.State == ledger.Active })
	_, err = s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	pause(t, length)
	require.NoError(t, first.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(bounded(t, 40*time.Second)), "exit status")
	scratchIsEmpty(t, filepath.Join(s.Work, first.Name))
	pause(t, length)
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Equal(t, ledger.Completed, r.State, r.Reason)
	require.Len(t, r.Parts, 2)
	for _, part := range r.Parts {
		require.Equal(t, ledger.Completed, part.State, part.Reason)
		require.False(t, part.Recovered)
		checkSignal(t, s, part, participant.EncoderDelay)
	}
	require.Positive(t, r.Parts[1].Overlap, "no gap")
	t.Logf("the parts overlap by %.2f s", r.Parts[1].Overlap)
	onlyFiles(t, s, r)
}

// A recorder that is killed: SQS hands its message to another one, which goes on with a part of its own, and makes a file
// of what the dead one had stored. Nothing else of it stays in the bucket.
func TestKilledRecordersRecordingGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first, err := s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	var people []*participant.Participant
	var recordings []ledger.Recording
	for _, codec := range []string{"vp8", "h264", "vp9", "h264", "vp8"} { // each at another moment between two of its tail objects
		p, r := recorded(t, s, fmt.Sprint("kill-", len(people)), codec)
		people, recordings = append(people, p), append(recordings, r)
	}
	pause(t, 15*time.Second) // tail objects come more often
	require.NoError(t, first.Signal(syscall.SIGKILL))
	killed := time.Now()
	_, err = s.StartRecorder(bounded(t, time.Minute))
	require.NoError(t, err)
	for n, r := range recordings {
		r = awaitState(t, s, r.ID, func(r ledger.Recording) bool { return len(r.Parts) == 2 })
		require.Less(t, r.Parts[1].StartedAt.Sub(killed), 45*time.Second)
		require.Equal(t, 2, r.Epoch)
		recordings[n] = r
	}
	pause(t, length)
	for n, p := range people {
		p.Leave()
		r := awaitState(t, s, recordings[n].ID, ledger.Recording.Final)
		require.Equal(t, ledger.Completed, r.State)
		require.True(t, r.Parts[0].Recovered)
		missing := killed.Sub(*r.Parts[0].StartedAt).Seconds() - r.Parts[0].Duration
		t.Logf("%s: %.2f s are missing", r.Parts[0].Key, missing)
		require.InDelta(t, 5, missing, 5, "at most what was not in a tail object, and what was under way")
		for _, part := range r.Parts {
			require.Equal(t, ledger.Completed, part.State, part.Reason)
			checkSignal(t, s, part, participant.EncoderDelay)
		}
		recordings[n] = r
	}
	onlyFiles(t, s, recordings...)
}

// A recorder that is killed and started again on the same disk finishes its files before anything else: nothing but the
// time until it records again is missing.
func TestKilledRecorderGoesOnFromItsDisk(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	scratch := t.TempDir()
	first, err := s.StartRecorder(bounded(t, time.Minute), "SCRATCH_DIR="+scratch)
	require.NoError(t, err)
	p := enter(t, s, "restart", "alice")
	publish(t, p, "h264")
	r, err := stack.REST{Base: s.API}.Start(t.Context(), map[string]string{"room": "restart", "participant": "alice"})
	require.NoError(t, err)
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.State == ledger.Active })
	pause(t, length)
	require.NoError(t, first.Signal(syscall.SIGKILL))
	killed := time.Now()
	again, err := s.StartRecorder(bounded(t, time.Minute), "SCRATCH_DIR="+scratch)
	require.NoError(t, err)
	r = awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.Parts[0].State == ledger.Completed })
	require.Contains(t, r.Parts[0].Reason, "the file was finished from its disk")
	missing := killed.Sub(*r.Parts[0].StartedAt).Seconds() - r.Parts[0].Duration
	require.InDelta(t, 1, missing, 1.5, "what was under way, and no more")
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return len(r.Parts) == 2 })
	pause(t, length)
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	checkParts(t, s, r)
	require.NoError(t, again.Signal(syscall.SIGTERM))
	require.NoError(t, again.Wait(bounded(t, 20*time.Second)))
	scratchIsEmpty(t, scratch)
}

// checkParts checks that everything of a recording is stored and decodes to the test signal, and that nothing else is in
// the bucket.
func checkParts(t *testing.T, s *stack.Stack, r ledger.Recording) {
	t.Helper()
	for _, part := range r.Parts {
		require.Equal(t, ledger.Completed, part.State, part.Reason)
		checkSignal(t, s, part, participant.EncoderDelay)
	}
	onlyFiles(t, s, r)
}

// onlyFiles checks that the bucket has the files of these recordings and their documents, and nothing that is left over
// from the making of them.
func onlyFiles(t *testing.T, s *stack.Stack, recordings ...ledger.Recording) {
	t.Helper()
	left, err := s.Leftovers(t.Context(), recordings...)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A stop goes to whichever recorder takes it; the one that records hears of it.
func TestStopsReachTheOtherRecorder(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	for range 2 {
		_, err := s.StartRecorder(bounded(t, time.Minute), "MAX_RECORDINGS=3")
		require.NoError(t, err)
	}
	rest := stack.REST{Base: s.API}
	recorders := map[string]bool{}
	var ids []string
	for n := range 6 {
		room := fmt.Sprint("room-", n)
		publish(t, enter(t, s, room, "alice"), "")
		r, err := rest.Start(t.Context(), map[string]string{"room": room, "participant": "alice"})
		require.NoError(t, err)
		ids = append(ids, r.ID)
	}
	for _, id := range ids {
		r := awaitState(t, s, id, func(r ledger.Recording) bool { return r.State == ledger.Active })
		recorders[r.Recorder] = true
	}
	for _, id := range ids {
		require.NoError(t, rest.Stop(t.Context(), map[string]string{"id": id}))
	}
	for _, id := range ids {
		r := awaitState(t, s, id, ledger.Recording.Final)
		require.Equal(t, ledger.Completed, r.State, r.Reason)
		require.Equal(t, "stopped on request", r.Reason)
	}
	require.Len(t, recorders, 2, "neither takes more than it may")
}

// Without a bucket, finished files and documents lie in a directory; completion webhooks are signed like LiveKit's.
func TestRecordingsDirectoryAndCompletionWebhook(t *testing.T) {
	t.Parallel()
	received := make(chan notify.Event, 10)
	failures := 1 // the first attempt is answered with an error
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := webhook.Receive(r, auth.NewSimpleKeyProvider(stack.LiveKitKey, stack.LiveKitSecret))
		if failures--; err != nil || failures >= 0 {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		var event notify.Event
		if json.Unmarshal(body, &event) == nil {
			received <- event
		}
	}))
	defer hook.Close()
	s := ownSystem(t)
	directory := t.TempDir()
	_, err := s.StartRecorder(bounded(t, time.Minute), "S3_BUCKET=", "RECORDINGS_DIR="+directory, "WEBHOOK_URLS="+hook.URL)
	require.NoError(t, err)
	publish(t, enter(t, s, "local", "alice"), "h264")
	rest := stack.REST{Base: s.API}
	r, err := rest.Start(t.Context(), map[string]string{"room": "local", "participant": "alice", "file": "{room}-{participant}"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(directory, "local-alice.json"))
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	pause(t, length)
	require.NoError(t, rest.Stop(t.Context(), map[string]string{"room": "local", "participant": "alice"}))
	select {
	case event := <-received:
		require.Equal(t, "recording_ended", event.Event)
		require.Equal(t, r.ID, event.Recording.ID)
		require.Equal(t, ledger.Completed, event.Recording.State, event.Recording.Reason)
		path := filepath.Join(directory, event.Recording.Parts[0].Key)
		info, err := os.Stat(path)
		require.NoError(t, err, "the notice comes after the file")
		require.Equal(t, event.Recording.Parts[0].Size, info.Size())
		file, err := analyse.Probe(t.Context(), path)
		require.NoError(t, err)
		require.Equal(t, "h264+opus", file.Codecs())
	case <-time.After(30 * time.Second):
		t.Fatal("no completion webhook came")
	}
}

// A recorder that is to end comes back into the room, too, as long as nobody else records.
func TestDrainingRecorderSurvivesLiveKitRestart(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	first, err := s.StartRecorder(bounded(t, time.Minute), "HAND_OVER_TIMEOUT=60s", "REJOIN_WINDOW=30s")
	require.NoError(t, err)
	p, r := recorded(t, s, "drain-restart", "vp8")
	require.NoError(t, first.Signal(syscall.SIGTERM))
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return r.Parts[0].State == ledger.Draining })
	require.NoError(t, s.RestartLiveKit(bounded(t, time.Minute), time.Second))
	restarted := time.Now()
	pause(t, 10*time.Second) // everybody is back
	_, err = s.StartRecorder(bounded(t, time.Minute), "REJOIN_WINDOW=30s")
	require.NoError(t, err)
	require.NoError(t, first.Wait(bounded(t, time.Minute)), "exit status")
	pause(t, length)
	p.Leave()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	require.Equal(t, ledger.Completed, r.State, r.Reason)
	require.Len(t, r.Parts, 2)
	require.True(t, r.Parts[1].StartedAt.After(restarted))
	require.Positive(t, r.Parts[1].Overlap, "the first recorder went on until the second one recorded")
	for _, part := range r.Parts {
		require.Equal(t, ledger.Completed, part.State, part.Reason)
	}
	onlyFiles(t, s, r)
}

// What is held for as long as SQS allows is handed over: by a lone recorder to itself, any number of times, without a gap.
func TestLoneRecorderHandsOverToItself(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	_, err := s.StartRecorder(bounded(t, time.Minute), "HOLD_LIMIT=12s", "HAND_OVER_TIMEOUT=40s")
	require.NoError(t, err)
	p, r := recorded(t, s, "long", "vp8")
	awaitState(t, s, r.ID, func(r ledger.Recording) bool { return len(r.Parts) == 3 })
	pause(t, length)
	p.Leave()
	left := time.Now()
	r = awaitState(t, s, r.ID, ledger.Recording.Final)
	covered(t, s, r, left.Sub(*r.StartedAt))
	for _, part := range r.Parts[1:] {
		require.Positive(t, part.Overlap)
		require.Less(t, part.Overlap, 10.0)
	}
}
