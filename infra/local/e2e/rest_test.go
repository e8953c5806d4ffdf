package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/shared/ledger"
)

// length is how long the participants of these tests are recorded.
const length = 5 * time.Second

func publish(t *testing.T, p *participant.Participant, codec string) (camera, microphone *participant.Publication) {
	t.Helper()
	microphone, err := p.Microphone()
	require.NoError(t, err)
	if codec != "" {
		camera, err = p.Camera(codec)
		require.NoError(t, err)
	}
	return camera, microphone
}

func startREST(t *testing.T, body map[string]string) ledger.Recording {
	t.Helper()
	recording, err := api().Start(t.Context(), body)
	require.NoError(t, err)
	require.Equal(t, ledger.Requested, recording.State)
	return recording
}

// awaitID returns a recording when it has come to a state.
func awaitID(t *testing.T, id string, states ...ledger.State) (recording ledger.Recording) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		recording, err = api().Get(t.Context(), id)
		require.NoError(t, err)
		for _, state := range states {
			if recording.State == state {
				return true
			}
		}
		return false
	}, 40*time.Second, 100*time.Millisecond, "recording %s did not come to %v", id, states)
	return recording
}

// pause lets a recording go on for a while: its length is what is waited for.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestRESTRecordsTwoPeopleWithOddNamesUnderOneCustomName(t *testing.T) {
	t.Parallel()
	const room = "rest/../Zimmer 7 🙂"
	names := []string{"a/b.c 🤖", "..", "«Ünï»\u202e%2F"}
	var recordings []ledger.Recording
	for _, name := range names {
		publish(t, join(t, room, name), "vp8")
		recordings = append(recordings, startREST(t, map[string]string{"room": room, "participant": name, "file": "same/name.webm"}))
	}
	for _, r := range recordings {
		awaitID(t, r.ID, ledger.Active)
	}
	pause(t, length)
	files := map[string]bool{}
	for i, r := range recordings {
		require.NoError(t, api().Stop(t.Context(), map[string]string{"room": room, "participant": names[i]}))
		r = awaitID(t, r.ID, ledger.Completed)
		require.Equal(t, "stopped on request", r.Reason)
		require.Equal(t, names[i], r.Participant)
		require.True(t, strings.HasPrefix(r.File, "same/name"))
		require.Equal(t, r.File != "same/name", r.RequestedFile == "same/name", "a suffix is told of")
		files[r.File] = true
		require.Len(t, r.Parts, 1)
		checkSignal(t, system, r.Parts[0], participant.EncoderDelay)
	}
	require.Len(t, files, len(names), "nobody overwrites anybody")
}

func TestDefaultNamesStayInsideTheDirectory(t *testing.T) {
	t.Parallel()
	const room, name = "../../escape", "/etc/passwd"
	publish(t, join(t, room, name), "")
	r := startREST(t, map[string]string{"room": room, "participant": name, "media": "audio"})
	awaitID(t, r.ID, ledger.Active)
	pause(t, time.Second)
	require.NoError(t, api().Stop(t.Context(), map[string]string{"id": r.ID}))
	r = awaitID(t, r.ID, ledger.Completed)
	require.True(t, strings.HasPrefix(r.File, "%2E.%2F..%2Fescape/%2Fetc%2Fpasswd/"), r.File)
	require.Equal(t, "ogg", r.Parts[0].Container)
	file, err := analyse.Probe(t.Context(), system.Path(r.Parts[0].Key))
	require.NoError(t, err)
	require.Equal(t, "opus", file.Codecs())
}

func TestSingleTracks(t *testing.T) {
	t.Parallel()
	const room = "single"
	p := join(t, room, "alice")
	_, microphone := publish(t, p, "vp8")
	_, err := p.ScreenShare("vp9")
	require.NoError(t, err)
	started := map[string]ledger.Recording{}
	for target, body := range map[string]map[string]string{
		"vp9": {"track": "screen_share"}, "opus": {"track": microphone.SID()}, "vp8": {"media": "video"}, "vp8+opus": {},
	} {
		body["room"], body["participant"] = room, "alice"
		started[target] = startREST(t, body)
	}
	for _, r := range started {
		awaitID(t, r.ID, ledger.Active)
	}
	pause(t, 3*time.Second)
	p.Leave()
	for codecs, r := range started {
		r = awaitID(t, r.ID, ledger.Completed)
		require.Equal(t, "the participant left", r.Reason)
		file, err := analyse.Probe(t.Context(), system.Path(r.Parts[0].Key))
		require.NoError(t, err)
		require.Equal(t, codecs, file.Codecs())
		require.Greater(t, file.Duration(), 2*time.Second)
	}
}

func TestStartWaitsForItsParticipant(t *testing.T) {
	t.Parallel()
	early := startREST(t, map[string]string{"room": "early", "participant": "alice"})
	never := startREST(t, map[string]string{"room": "early", "participant": "nobody"})
	cancelled := startREST(t, map[string]string{"room": "early", "participant": "cancelled"})
	pause(t, 3*time.Second) // she is late
	require.NoError(t, api().Stop(t.Context(), map[string]string{"id": cancelled.ID}))
	p := join(t, "early", "alice")
	publish(t, p, "h264")
	awaitID(t, early.ID, ledger.Active)
	pause(t, 2*time.Second)
	p.Leave()
	awaitID(t, early.ID, ledger.Completed)
	failed := awaitID(t, never.ID, ledger.Failed)
	require.Equal(t, "participant did not join", failed.Reason)
	failed = awaitID(t, cancelled.ID, ledger.Failed)
	require.Contains(t, failed.Reason, "stopped on request")
}

func TestSecondStartOfTheSameThingIsTold(t *testing.T) {
	t.Parallel()
	publish(t, join(t, "twice", "alice"), "")
	first := startREST(t, map[string]string{"room": "twice", "participant": "alice"})
	awaitID(t, first.ID, ledger.Active)
	second := startREST(t, map[string]string{"room": "twice", "participant": "alice"})
	second = awaitID(t, second.ID, ledger.Failed)
	require.Equal(t, "already being recorded as "+first.ID, second.Reason)
	require.NoError(t, api().Stop(t.Context(), map[string]string{"id": first.ID}))
	awaitID(t, first.ID, ledger.Completed)
}

func TestAutoRecordRules(t *testing.T) {
	t.Parallel()
	excluded, other := join(t, "auto-rules", "not-me"), join(t, "by-hand", "alice")
	publish(t, excluded, "")
	publish(t, other, "")
	recorded := join(t, "auto-rules", "me")
	publish(t, recorded, "")
	require.Eventually(t, func() bool {
		recordings, err := api().List(t.Context(), "auto-rules", "me")
		require.NoError(t, err)
		return len(recordings) == 1 && recordings[0].State == ledger.Active
	}, 20*time.Second, 100*time.Millisecond)
	for room, name := range map[string]string{"auto-rules": "not-me", "by-hand": "alice"} {
		recordings, err := api().List(t.Context(), room, name)
		require.NoError(t, err)
		require.Empty(t, recordings)
	}
}

func TestGarbageEndsInTheDeadLetterQueueAndTheRecorderLives(t *testing.T) {
	t.Parallel()
	client := system.SQSClient()
	garbage := []string{"not json", `{"version":1,"action":"start"}`, `{"version":99}`, `[]`, strings.Repeat("{", 10000)}
	for _, queue := range []string{system.StartQueue, system.ControlQueue} {
		for _, body := range garbage {
			_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body})
			require.NoError(t, err)
		}
	}
	publish(t, join(t, "amid-garbage", "alice"), "")
	r := startREST(t, map[string]string{"room": "amid-garbage", "participant": "alice"})
	awaitID(t, r.ID, ledger.Active)
	for _, queue := range []string{system.StartQueue, system.ControlQueue} {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			require.Equal(c, len(garbage), messages(t, queue+"-dead"), "dead letters")
		}, 60*time.Second, 500*time.Millisecond)
	}
	require.NoError(t, api().Stop(t.Context(), map[string]string{"id": r.ID}))
	awaitID(t, r.ID, ledger.Completed)
}

// messages counts those of a queue, in flight or not.
func messages(t *testing.T, queue string) (n int) {
	t.Helper()
	out, err := system.SQSClient().GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	require.NoError(t, err)
	for _, name := range []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	} {
		count, err := strconv.Atoi(out.Attributes[string(name)])
		require.NoError(t, err)
		n += count
	}
	return n
}

func scratchIsEmpty(t *testing.T, directory string) {
	t.Helper()
	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	require.NoError(t, err)
}

func bounded(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
