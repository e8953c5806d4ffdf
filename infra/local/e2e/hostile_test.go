package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/hostile"
)

// What some people send costs the others nothing. `make hostile` runs more of these, and longer.
func TestHostile(t *testing.T) {
	t.Parallel()
	const length = 15 * time.Second

	s := ownSystem(t, hostile.Room+"/*")
	quick := slices.DeleteFunc(hostile.Attacks(length, 0), func(a hostile.Attack) bool { return !a.Quick })
	report, err := hostile.Run(bounded(t, 4*time.Minute), s, recorder(t, s), hostile.Plan{
		Honest:  2,
		Attacks: []hostile.Attack{hostile.Together(quick, length)},
		Media:   media,
		Say:     t.Logf,
	})
	require.NoError(t, err)
	t.Logf("%+v", report)
	require.NotZero(t, report.Rows[0].Packets, "the attack has reached the recorder")
	require.Empty(t, report.Faults)
}
