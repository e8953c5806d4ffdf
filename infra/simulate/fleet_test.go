package simulate

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// toyVariable has the toy played instead of the real recorder.
const toyVariable = "SIMULATE_TOY"

func TestMain(m *testing.M) {
	if os.Getenv(toyVariable) != "" {
		product = toy
	}
	Work()
	os.Exit(m.Run())
}

func TestASeedIsAlwaysTheSamePlan(t *testing.T) {
	for seed := range uint64(50) {
		plan := Generate(seed)
		require.Equal(t, plan, Generate(seed))
		require.Greater(t, len(plan.Moves), 10)
		require.True(t, slices.IsSortedFunc(plan.Moves, func(a, b Move) int { return int(1000 * (a.At - b.At)) }))
		name := filepath.Join(t.TempDir(), "plan.json")
		require.NoError(t, plan.Write(name))
		back, err := Read(name)
		require.NoError(t, err)
		require.Equal(t, plan, back)
	}
	require.NotEqual(t, Generate(1).Moves, Generate(2).Moves)
}

func TestAPlanShrinksToTheMovesThatMatter(t *testing.T) {
	plan := Generate(7)
	plan.Moves = append(plan.Moves, Move{At: 1300, Do: Vanish, Host: 1}, Move{At: 1301, Do: Hop, Person: 2})
	matters := func(m Move) bool { return m == plan.Moves[len(plan.Moves)-1] || m == plan.Moves[len(plan.Moves)-2] }
	flaky := 0
	player := func(_ context.Context, p Plan) (Result, error) {
		n := 0
		for _, m := range p.Moves {
			if matters(m) {
				n++
			}
		}
		if flaky++; n < 2 || flaky%3 == 0 { // one in three runs does not show it
			return Result{}, nil
		}
		return Result{Violations: []Violation{{"documents-final", "x"}}}, nil
	}

	small, result, err := Shrink(t.Context(), plan, "documents-final", player, func(int, bool) {})
	require.NoError(t, err)
	require.Len(t, small.Moves, 2)
	require.Equal(t, "documents-final", small.Violation)
	require.NotEmpty(t, result.Violations)
}

// A run that has to wait for a processor does not hang, however long that takes.
func TestARunHangsWhenItsTimeStandsStill(t *testing.T) {
	var l looks
	for pulses := range int64(10) {
		for range standstill {
			require.False(t, l.hangs(pulses))
		}
	}
	require.True(t, l.hangs(9))
	require.False(t, l.hangs(10))
}

// TestFaultsThatWereFoundStayMended plays the plan of each fault that the simulator has ever found.
func TestFaultsThatWereFoundStayMended(t *testing.T) {
	names, err := filepath.Glob("corpus/*.json")
	require.NoError(t, err)
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			plan, err := Read(name)
			require.NoError(t, err)
			result, err := Play(t.Context(), plan)
			require.NoError(t, err)
			require.Empty(t, result.Violations)
		})
	}
}

// seeds is how many random plans `go test` plays.
const seeds = 100

// A run that violates something is played again so often. What happens in one run of many is for `make simulate`, which
// keeps its log; here it is told, and fails the test only if it is seen again.
const replays = 2

func TestAFleetThroughRandomFaults(t *testing.T) {
	count := uint64(seeds)
	if testing.Short() {
		count = 10
	}
	next := make(chan uint64)
	var players sync.WaitGroup
	var mu sync.Mutex
	hours := 0.0
	for range 2 {
		players.Go(func() {
			for seed := range next {
				played := playSeed(t, seed)
				mu.Lock()
				hours += played
				mu.Unlock()
			}
		})
	}

	for seed := uint64(1); seed <= count; seed++ {
		next <- seed
	}
	close(next)
	players.Wait()
	t.Logf("simulated %.0f recorder-hours", hours)
}

// playSeed plays a seed, and again if something is violated. It returns how many recorder-hours that were.
func playSeed(t *testing.T, seed uint64) (hours float64) {
	seen := map[string]bool{}
	for play := range 1 + replays {
		result, err := Play(t.Context(), Generate(seed))
		hours += result.Hours
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			return hours
		}
		if len(result.Violations) == 0 && play == 0 {
			return hours
		}

		for _, invariant := range result.Invariants() {
			if seen[invariant] {
				t.Errorf("seed %d: %v\nplay it again: go run ./infra/simulate/play -seeds %d -shrink",
					seed, result.Violations, seed)
				return hours
			}
			seen[invariant] = true
		}
		t.Logf("seed %d, run %d: %v", seed, play+1, result.Violations)
	}
	return hours
}

// TestNothingIsViolatedWhileNothingGoesWrong sees that the simulator accuses nobody who is right.
func TestNothingIsViolatedWhileNothingGoesWrong(t *testing.T) {
	t.Setenv(toyVariable, "1")
	result, err := Play(t.Context(), Plan{Seed: 1, Hosts: 1, People: 3, Length: 600, Moves: []Move{
		{At: 5, Do: Join},
		{At: 6, Do: Join, Person: 1},
		{At: 100, Do: Hop, Seconds: 8},
		{At: 150, Do: StopPerson, Person: 1},
		{At: 200, Do: StartByREST, Person: 1},
		{At: 250, Do: Mute, Person: 1, Target: "camera"},
		{At: 300, Do: StartByREST, Person: 1, Target: "audio"},
		{At: 400, Do: Leave, Person: 1},
		{At: 420, Do: Join, Person: 2},
	}})
	require.NoError(t, err)
	require.Empty(t, result.Violations, "%s", strings.Join(result.Log, "\n"))
	require.Greater(t, result.Checked, 3000)
	require.Greater(t, result.Kept, result.Checked)
}

// TestFaultsAreFound sees that the simulator accuses a recorder that knows nothing of faults.
func TestFaultsAreFound(t *testing.T) {
	t.Setenv(toyVariable, "1")
	for name, c := range map[string]struct {
		move      Move
		invariant string
	}{
		"a killed recorder's frames are lost": {Move{Do: Kill}, "calm-is-recorded"},
		"a store that failed is not repeated": {Move{Do: Outage, Service: S3, Mode: Refuses, Seconds: 300},
			"calm-is-recorded"}, // what is sent into silence may arrive when that is over
		"a lost LiveKit ends recordings": {Move{Do: Cut, Service: LiveKit, Mode: Refuses, Seconds: 60},
			"calm-is-recorded"},
		"a start that comes twice":             {Move{Do: Redeliver}, "no-overwrite"},
		"a terminated recorder leaves its own": {Move{Do: Terminate}, "calm-is-recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			c.move.At = 200
			result, err := Play(t.Context(), Plan{Seed: 3, Hosts: 1, People: 2, Length: 400, Moves: []Move{
				{At: 5, Do: Join},
				{At: 6, Do: Join, Person: 1},
				c.move,
				{At: 350, Do: Leave},
				{At: 360, Do: Join},
			}})
			require.NoError(t, err)
			require.Contains(t, result.Invariants(), c.invariant)
		})
	}
}
