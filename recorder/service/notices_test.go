package service

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// audience are who is told of ends and of beginnings, and what they were told.
type audience struct{ told []document.Recording }

func (*audience) Receivers(document.Recording) []string             { return []string{"hook", "bus"} }
func (*audience) ReceiversOfBeginnings(document.Recording) []string { return []string{"beginnings"} }
func (*audience) ReceiversOfParts(document.Recording) []string      { return []string{"parts"} }
func (*audience) Begins(receiver string) bool                       { return receiver == "beginnings" }

func (a *audience) Deliver(_ context.Context, _ string, r document.Recording) error {
	a.told = append(a.told, r)
	return nil
}

// speaker is a recorder as far as it tells others of recordings.
func speaker(t *testing.T) (r *Recorder, all *audience, recording document.Recording) {
	t.Helper()
	client, urls, stop, err := sqs.Local(t.Context(), "controls")
	require.NoError(t, err)
	t.Cleanup(stop)
	log := logrus.New()
	log.SetOutput(io.Discard)
	all = &audience{}
	r = &Recorder{
		documents: ledger.Documents{Store: &ledger.DirStore{Root: t.TempDir()}},
		world: World{
			Controls: &queue.Queue{Client: client, URL: urls[0]},
			Notices:  all,
			Now:      time.Now,
			Log:      log,
		},
	}
	start := command.NewStart("room", "alice", time.Now())
	start.ID = "request-1"
	recording, err = r.documents.Reserve(t.Context(), document.NewRecording(start), "name")
	require.NoError(t, err)
	return r, all, recording
}

// waiting takes the notices that wait on the queue, by receiver.
func waiting(t *testing.T, r *Recorder) map[string]command.Command {
	t.Helper()
	all := map[string]command.Command{}
	messages, err := r.world.Controls.Receive(t.Context(), queue.MaxBatch, time.Minute)
	require.NoError(t, err)
	for _, m := range messages {
		c, err := command.Decode(m.Body)
		require.NoError(t, err)
		require.Equal(t, c.Receiver == "", c.Action == command.Join)
		all[c.Receiver] = c
		require.NoError(t, r.world.Controls.Delete(t.Context(), m))
	}
	return all
}

func TestANoticeOfABeginningWaitsForThat(t *testing.T) {
	r, all, recording := speaker(t)
	require.NoError(t, r.tellBegun(t.Context(), recording))
	notices := waiting(t, r)
	require.Len(t, notices, 1)
	notice := notices["beginnings"]
	require.Equal(t, "request-1", notice.ID, "what is logged of it leads to the request")
	require.ErrorIs(t, r.notify(t.Context(), notice), errNotBegun)

	require.NoError(t, r.documents.Save(t.Context(), recording.Running([]document.Part{{Key: "name.webm"}})))
	require.NoError(t, r.notify(t.Context(), notice))
	require.Len(t, all.told, 1)
	require.Equal(t, document.Active, all.told[0].State)
}

// Everybody who is told of an end has been told of the beginning, in whatever order.
func TestANoticeOfABeginningThatComesLateSaysSo(t *testing.T) {
	r, all, recording := speaker(t)
	part := document.Part{Key: "name.webm", State: document.Completed}
	_, err := r.documents.Conclude(t.Context(), recording.Running([]document.Part{part}), "the participant left")
	require.NoError(t, err)
	require.NoError(t, r.notify(t.Context(), command.NewNotify(recording.ID, "beginnings", time.Now())))
	require.NoError(t, r.notify(t.Context(), command.NewNotify(recording.ID, "hook", time.Now())))
	require.Len(t, all.told, 2)
	require.Equal(t, []document.State{document.Active, document.Completed}, []document.State{
		all.told[0].State, all.told[1].State,
	})
	require.Empty(t, all.told[0].Reason)
}

// Whoever ends a recording that another one had ended before tells of its beginning, too, to be sure.
func TestWhatNeverBeganIsNotSaidToHaveBegun(t *testing.T) {
	r, all, recording := speaker(t)
	_, err := r.documents.Conclude(t.Context(), recording, document.ReasonNotJoined)
	require.NoError(t, err)
	require.NoError(t, r.notify(t.Context(), command.NewNotify(recording.ID, "beginnings", time.Now())))
	require.Empty(t, all.told)
}

func TestANoticeOfAnEndWaitsForThat(t *testing.T) {
	r, all, recording := speaker(t)
	require.NoError(t, r.tell(t.Context(), recording))
	notices := waiting(t, r)
	require.Len(t, notices, 2)
	require.ErrorIs(t, r.notify(t.Context(), notices["hook"]), errNotFinal)
	require.Empty(t, all.told)
	unknown := command.NewNotify("RC_unknown", "hook", time.Now())
	require.NoError(t, r.notify(t.Context(), unknown), "nobody can wait for it")
}

// Notices of the end come when there is one file: until then, only those wait who want to know of the parts.
func TestNoticesOfTheEndComeWhenPartsAreJoined(t *testing.T) {
	r, _, recording := speaker(t)
	r.settings.JoinParts = true
	began := time.Now()
	for _, key := range []string{"name.ogg", "name.part2.webm"} {
		recording.Parts = append(recording.Parts, document.Part{Key: key, State: document.Completed, StartedAt: &began})
	}
	recording, err := r.documents.Conclude(t.Context(), recording, "left")
	require.NoError(t, err)

	require.NoError(t, r.tell(t.Context(), recording))
	first := waiting(t, r)
	require.Len(t, first, 2)
	require.Equal(t, command.Notify, first["parts"].Action)
	join := first[""]
	require.Equal(t, command.Join, join.Action)
	require.Equal(t, recording.ID, join.Recording)
	require.Equal(t, "request-1", join.ID)

	r.settings.JoinParts = false
	require.NoError(t, r.tell(t.Context(), recording))
	require.Contains(t, waiting(t, r), "hook")
}
