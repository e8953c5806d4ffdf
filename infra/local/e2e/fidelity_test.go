package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/fidelity"
)

// What was said and shown is what is in the file, whatever happens to the call. `make fidelity` runs more of these.
func TestFidelity(t *testing.T) {
	t.Parallel()
	bench := &fidelity.Bench{System: system, Work: t.TempDir(), Media: media}
	for _, c := range fidelity.Cases() {
		if !c.Quick || c.Browser {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			result, err := c.Run(ctx, bench)
			require.NoError(t, err)
			t.Log(result)
			require.Empty(t, c.Limits.Check(result))
		})
	}
}
