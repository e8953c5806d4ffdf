package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/queue"
)

// withDeadLetters gives the start queue of a harness a dead-letter queue, and puts something there.
func withDeadLetters(t *testing.T, h *harness, bodies ...string) *queue.Queue {
	t.Helper()
	none, err := h.Starts.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Nil(t, none)
	created, err := h.client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("starts-dead")})
	require.NoError(t, err)
	attributes, err := h.client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: created.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"},
	})
	require.NoError(t, err)
	_, err = h.client.SetQueueAttributes(t.Context(), &awssqs.SetQueueAttributesInput{
		QueueUrl: &h.Starts.URL,
		Attributes: map[string]string{"RedrivePolicy": fmt.Sprintf(
			`{"deadLetterTargetArn":%q,"maxReceiveCount":100}`, attributes.Attributes["QueueArn"])},
	})
	require.NoError(t, err)

	dead := &queue.Queue{Client: h.client, URL: aws.ToString(created.QueueUrl)}
	for _, body := range bodies {
		require.NoError(t, dead.Send(t.Context(), body))
	}
	return dead
}

func TestDeadStartsAreGivenUpAndComeOnceMore(t *testing.T) {
	start, err := command.NewStart("room", "alice", time.Now()).Encode()
	require.NoError(t, err)
	stop, err := command.NewStop("room", "alice", time.Now()).Encode()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		body         string
		err          error
		buried       int
		starts, dead string // messages that are there, visible or not
	}{
		"a start":                    {start, nil, 1, "1", "0"},
		"a start that somebody has":  {start, errors.New("it is alive"), 1, "0", "1"},
		"what cannot be read":        {"garbage", nil, 0, "0", "1"},
		"what is on the wrong queue": {stop, nil, 0, "0", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 1)
			h.stop()
			dead := withDeadLetters(t, h, c.body)
			buried := 0
			h.GiveUp = func(_ context.Context, _ command.Command, dead bool) error {
				require.True(t, dead)
				buried++
				return c.err
			}
			found := h.findDead(t.Context())
			require.Equal(t, dead.URL, found.URL)
			messages, err := found.Receive(t.Context(), 1, visibility)
			require.NoError(t, err)
			require.Len(t, messages, 1)
			h.bury(t.Context(), found, messages[0])

			require.Equal(t, c.buried, buried)
			require.Equal(t, [2]string{c.starts, "0"}, h.counts(t))
			h.Starts = dead
			require.Equal(t, [2]string{"0", c.dead}, h.counts(t))
		})
	}
}

// It stays among the dead for days, and every recorder gets it in its turn.
func TestAPanicOverADeadLetterCostsNoRecorder(t *testing.T) {
	h := newHarness(t, 1)
	h.stop()
	var bodies []string
	for _, room := range []string{"broken", "whole"} {
		body, err := command.NewStart(room, "alice", time.Now()).Encode()
		require.NoError(t, err)
		bodies = append(bodies, body)
	}
	dead := withDeadLetters(t, h, bodies...)
	h.GiveUp = func(_ context.Context, c command.Command, _ bool) error {
		if c.Room == "broken" {
			panic("an index is out of range")
		}
		return nil
	}
	h.buryAll(t.Context(), dead)
	require.Equal(t, [2]string{"1", "0"}, h.counts(t), "the other one")
	h.Starts = dead
	require.Equal(t, [2]string{"0", "1"}, h.counts(t))
}
