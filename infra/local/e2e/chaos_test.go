package e2e

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/chaos"
	"livekit-recorder/infra/local/stack"
)

// `make chaos` injects all faults; here are those that happen every day.
func TestChaos(t *testing.T) {
	t.Parallel()
	work := filepath.Join(filepath.Dir(system.Work), "chaos") // stays, with the logs, if a test fails
	s, err := stack.Start(bounded(t, time.Minute), stack.Options{
		Tools: tools, Binaries: system.Binaries, Work: filepath.Join(work, "run"), BucketRoot: filepath.Join(work, "s3"),
		AutoRecord: chaos.Room + "/*",
	})
	t.Cleanup(s.Stop)
	require.NoError(t, err)
	everyday := slices.DeleteFunc(chaos.Faults(0), func(f chaos.Fault) bool { return f.Rare })
	report, err := chaos.Run(bounded(t, 5*time.Minute), s, media, 3, 2, everyday, t.Logf)
	require.NoError(t, err)
	for _, row := range report.Rows {
		t.Logf("%s: %d hit, lost at most %s, went on after %s", row.Name, row.Hit, max(0, row.Lost), row.Resume)
	}
	require.Empty(t, report.Faults)
}
