package e2e

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/shared/document"
)

// What a caller gives a recording along is in the document, in the notices of its own webhook, and on its file.
func TestLabelsAndWebhooksOfARecording(t *testing.T) {
	t.Parallel()
	received := make(chan notify.Event, 10)
	hook := httptest.NewServer(receiver(received))
	defer hook.Close()

	p := join(t, system, "labelled", "alice")
	publish(t, p, "")
	labels := map[string]string{"tenant": "7", "name": "R&D"}
	r, err := system.REST().Start(t.Context(), map[string]any{
		"room": "labelled", "participant": "alice", "labels": labels, "webhooks": []string{hook.URL + "/own"},
	})
	require.NoError(t, err)
	require.Equal(t, labels, r.Labels)
	await(t, system, r.ID, active)
	pause(t, p, length)
	stop(t, system, map[string]string{"id": r.ID})
	r = awaitEnd(t, system, r.ID, document.Completed)
	require.Equal(t, labels, r.Labels)

	events := map[string]notify.Event{}
	for len(events) < 2 {
		select {
		case e := <-received:
			events[e.Event] = e
		case <-time.After(patience):
			t.Fatalf("no webhooks came but %v; logs: %s", events, system.Work)
		}
	}
	require.Equal(t, document.Active, events["recording_started"].Recording.State)
	require.Equal(t, document.Completed, events["recording_ended"].Recording.State)
	for _, e := range events {
		require.Equal(t, labels, e.Recording.Labels)
		require.Empty(t, e.Recording.Webhooks, "an address may be a secret")
	}

	out, err := system.S3Client().GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{
		Bucket: aws.String(stack.Bucket),
		Key:    &r.Parts[0].Key,
	})
	require.NoError(t, err)
	tags := map[string]string{}
	for _, tag := range out.TagSet {
		tags[*tag.Key] = *tag.Value
	}
	require.Equal(t, map[string]string{"tenant": "7", "name": "R_D"}, tags)
}
