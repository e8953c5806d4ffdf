package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// What infra/compose.yaml starts records a call, also across a queue server that is killed and started anew.
func TestWhatTheComposeFileStartsRecords(t *testing.T) {
	t.Parallel()
	work := filepath.Join(filepath.Dir(system.Work), t.Name())
	s, err := stack.StartCompose(bounded(t, 2*time.Minute), filepath.Join(module, "infra", "compose.yaml"), stack.Options{
		Tools: tools, Binaries: system.Binaries, Work: filepath.Join(work, "run"), BucketRoot: filepath.Join(work, "s3"),
		AutoRecord: "all",
	})
	t.Cleanup(func() {
		s.Stop()
		for _, broken := range s.Broken() {
			t.Error(broken)
		}
		if !t.Failed() && os.Getenv("KEEP") == "" {
			_ = os.RemoveAll(work) // best effort, in a temporary directory
		}
	})
	require.NoError(t, err)

	p := join(t, s.Stack, "composed", "alice")
	publish(t, p, "h264")
	r, err := s.REST().AwaitOf(bounded(t, patience), "composed", "alice", active)
	require.NoError(t, err)
	require.NoError(t, s.RestartQueues())
	pause(t, p, 35*time.Second) // longer than a message stays in flight that nobody renews
	p.Leave()

	r = awaitEnd(t, s.Stack, r.ID, document.Completed)
	require.Len(t, r.Parts, 1, "nobody else has taken it over")
	checkCovers(t, s.Stack, r, p.Sent("audio"))
	checkSignal(t, s.Stack, r.Parts[0])
	all, err := s.REST().All(t.Context(), "composed")
	require.NoError(t, err)
	require.Len(t, all, 1)
}
