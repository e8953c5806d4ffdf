package recording

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// owned is a recording as a recorder has it that has just claimed it, or taken it over.
func owned(t *testing.T, store ledger.Store, owner string, c command.Command) *take {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := &Studio{Documents: ledger.Documents{Store: store}, Ledger: &ledger.Ledger{Store: store, Owner: owner}, Log: log}
	_, epoch, _, err := s.Ledger.Start(t.Context(), c)
	require.NoError(t, err)
	document := ledger.NewRecording(c)
	document.Epoch, document.Recorder = epoch, owner
	reserved, err := s.Documents.Reserve(t.Context(), document, "file")
	require.NoError(t, err)
	reserved.Epoch, reserved.Recorder = epoch, owner
	return &take{
		Studio: s, command: c, document: reserved, earlier: reserved.Parts, log: log, poked: make(chan struct{}, 1),
		composer: (&composer{file: reserved.File}).init(),
	}
}

// A part that a draining recorder begins after another one has taken over is known to that one, and is waited for.
func TestPartsOfADrainingRecorderAreFound(t *testing.T) {
	store := &ledger.DirStore{Root: t.TempDir()}
	c := command.NewStart("room", "alice", time.Now())
	draining := owned(t, store, "first", c)
	draining.composer.parts = []ledger.Part{{Key: "file.webm", State: ledger.Active}}
	draining.composer.drain()
	require.NoError(t, draining.Documents.Save(t.Context(), draining.current()))

	successor := owned(t, store, "second", c)
	require.Len(t, successor.earlier, 1)
	require.Equal(t, ledger.Draining, successor.earlier[0].State)

	late := ledger.Part{Key: "file.drained.part2.mp4", State: ledger.Draining}
	draining.composer.parts = append(draining.composer.parts, late)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		draining.awaitSuccessor(ctx)
	}()
	require.Eventually(t, func() bool {
		document, err := draining.Documents.ByID(t.Context(), draining.document.ID)
		return err == nil && len(document.Parts) == 2
	}, 5*time.Second, 10*time.Millisecond)
	cancel()
	<-ended

	require.NoError(t, successor.findParts(t.Context()))
	require.Equal(t, []string{"file.webm", late.Key}, []string{successor.earlier[0].Key, successor.earlier[1].Key})
	require.NoError(t, successor.findParts(t.Context()))
	require.Len(t, successor.earlier, 2, "each once")
	require.NoError(t, successor.Documents.Save(t.Context(), successor.current()))
	require.ErrorIs(t, draining.findParts(t.Context()), ledger.ErrSuperseded, "they are for their owner to finish")

	for n := range draining.composer.parts {
		draining.composer.parts[n].State = ledger.Completed
	}
	require.NoError(t, draining.Documents.Amend(t.Context(), draining.current(), draining.composer.parts))
	successor.recoverParts(t.Context())
	for _, part := range successor.earlier {
		require.Equal(t, ledger.Completed, part.State)
	}
}

// A start over REST whose id the caller has, but the bucket not yet, is told as well.
func TestDismissalDoesNotWaitForTheNote(t *testing.T) {
	store := &ledger.DirStore{Root: t.TempDir()}
	log := logrus.New()
	log.SetOutput(io.Discard)
	c := command.NewStart("room", "alice", time.Now())
	late := ledger.NewRecording(c)
	dismissed := &take{Studio: &Studio{Documents: ledger.Documents{Store: store}}, command: c, document: ledger.NewRecording(c), log: log}
	require.NoError(t, dismissed.dismiss(t.Context(), "already being recorded"))
	require.NoError(t, dismissed.Documents.Request(t.Context(), late)) // the note
	document, err := dismissed.Documents.ByID(t.Context(), c.Recording)
	require.NoError(t, err)
	require.Equal(t, ledger.Failed, document.State)
	require.Equal(t, "already being recorded", document.Reason)

	c.Session, c.Recording = "PA_1", "RC_other"
	dismissed.command, dismissed.document = c, ledger.NewRecording(c)
	require.NoError(t, dismissed.dismiss(t.Context(), "already being recorded"))
	_, err = dismissed.Documents.ByID(t.Context(), c.Recording)
	require.ErrorIs(t, err, ledger.ErrNotFound, "nobody knows the id of what a webhook asked for")
}
