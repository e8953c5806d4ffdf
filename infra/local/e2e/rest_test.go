package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

func TestRESTRecordsTwoPeopleWithOddNamesUnderOneCustomName(t *testing.T) {
	t.Parallel()
	const room = "rest/../Zimmer 7 🙂"
	names := []string{"a/b.c 🤖", "..", "«Ünï»\u202e%2F"}

	var people []*participant.Participant
	var recordings []document.Recording
	for _, name := range names {
		p := join(t, system, room, name)
		publish(t, p, "vp8")
		people = append(people, p)
		recordings = append(recordings, start(t, system, map[string]string{
			"room":        room,
			"participant": name,
			"file":        "same/name.webm",
		}))
	}
	for _, r := range recordings {
		await(t, system, r.ID, active)
	}
	pause(t, people[0], length)

	files := map[string]bool{}
	for i, r := range recordings {
		stop(t, system, map[string]string{"room": room, "participant": names[i]})
		r = awaitEnd(t, system, r.ID, document.Completed)
		require.Equal(t, "stopped on request", r.Reason)
		require.Equal(t, names[i], r.Participant)
		require.True(t, strings.HasPrefix(r.File, "same/name"))
		require.Equal(t, r.File != "same/name", r.RequestedFile == "same/name", "a suffix is told of")
		files[r.File] = true
		require.Len(t, r.Parts, 1)
		checkCovers(t, system, r, people[i].Sent("audio"))
		checkSignal(t, system, r.Parts[0])
	}
	require.Len(t, files, len(names), "nobody overwrites anybody")
}

func TestDefaultNamesStayInsideTheDirectory(t *testing.T) {
	t.Parallel()
	const room, name = "../../escape", "/etc/passwd"
	p := join(t, system, room, name)
	publish(t, p, "")
	r := start(t, system, map[string]string{"room": room, "participant": name, "media": "audio"})
	await(t, system, r.ID, active)
	pause(t, p, time.Second)
	stop(t, system, map[string]string{"id": r.ID})
	r = awaitEnd(t, system, r.ID, document.Completed)

	require.True(t, strings.HasPrefix(r.File, "%2E.%2F..%2Fescape/%2Fetc%2Fpasswd/"), r.File)
	require.Equal(t, "ogg", r.Parts[0].Container)
	file, err := analyse.Probe(t.Context(), system.Path(r.Parts[0].Key))
	require.NoError(t, err)
	require.Equal(t, "opus", file.Codecs())
}

func TestSingleTracks(t *testing.T) {
	t.Parallel()
	const room = "single"
	p := join(t, system, room, "alice")
	_, microphone := publish(t, p, "vp8")
	_, err := p.ScreenShare("vp9")
	require.NoError(t, err)

	started := map[string]document.Recording{}
	for target, body := range map[string]map[string]string{
		"vp9": {"track": "screen_share"}, "opus": {"track": microphone.SID()}, "vp8": {"media": "video"}, "vp8+opus": {},
	} {
		body["room"], body["participant"] = room, "alice"
		started[target] = start(t, system, body)
	}
	for _, r := range started {
		await(t, system, r.ID, active)
	}
	pause(t, p, 3*time.Second)
	p.Leave()

	for codecs, r := range started {
		r = awaitEnd(t, system, r.ID, document.Completed)
		require.Equal(t, "the participant left", r.Reason)
		file, err := analyse.Probe(t.Context(), system.Path(r.Parts[0].Key))
		require.NoError(t, err)
		require.Equal(t, codecs, file.Codecs())
		require.Greater(t, file.Duration(), 2*time.Second)
	}
}

func TestStartWaitsForItsParticipant(t *testing.T) {
	t.Parallel()
	early := start(t, system, map[string]string{"room": "early", "participant": "alice"})
	never := start(t, system, map[string]string{"room": "early", "participant": "nobody"})
	cancelled := start(t, system, map[string]string{"room": "early", "participant": "cancelled"})
	pass(t, 3*time.Second) // she is late
	stop(t, system, map[string]string{"id": cancelled.ID})

	p := join(t, system, "early", "alice")
	publish(t, p, "h264")
	await(t, system, early.ID, active)
	pause(t, p, 2*time.Second)
	p.Leave()

	awaitEnd(t, system, early.ID, document.Completed)
	failed := awaitEnd(t, system, never.ID, document.Failed)
	require.Equal(t, "participant did not join", failed.Reason)
	failed = awaitEnd(t, system, cancelled.ID, document.Failed)
	require.Contains(t, failed.Reason, "stopped on request")
}

func TestSecondStartOfTheSameThingIsTold(t *testing.T) {
	t.Parallel()
	publish(t, join(t, system, "twice", "alice"), "")
	first := start(t, system, map[string]string{"room": "twice", "participant": "alice"})
	await(t, system, first.ID, active)
	second := start(t, system, map[string]string{"room": "twice", "participant": "alice"})
	second = awaitEnd(t, system, second.ID, document.Failed)
	require.Equal(t, "already being recorded as "+first.ID, second.Reason)
	stop(t, system, map[string]string{"id": first.ID})
	awaitEnd(t, system, first.ID, document.Completed)
}

func TestAutoRecordRules(t *testing.T) {
	t.Parallel()
	excluded, other := join(t, system, "auto-rules", "not-me"), join(t, system, "by-hand", "alice")
	publish(t, excluded, "")
	publish(t, other, "")
	publish(t, join(t, system, "auto-rules", "me"), "")
	_, err := system.REST().AwaitOf(bounded(t, patience), "auto-rules", "me", active)
	require.NoError(t, err)

	for room, name := range map[string]string{"auto-rules": "not-me", "by-hand": "alice"} {
		recordings, err := system.REST().List(t.Context(), room, name)
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

	publish(t, join(t, system, "amid-garbage", "alice"), "")
	r := start(t, system, map[string]string{"room": "amid-garbage", "participant": "alice"})
	await(t, system, r.ID, active)
	for _, queue := range []string{system.StartQueue, system.ControlQueue} {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			visible, held := messages(t, system, stack.Dead(queue))
			require.Equal(c, len(garbage), visible+held, "dead letters")
		}, patience, 500*time.Millisecond)
	}
	stop(t, system, map[string]string{"id": r.ID})
	awaitEnd(t, system, r.ID, document.Completed)
}
