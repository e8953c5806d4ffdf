package simulate

import (
	"context"
	"slices"
)

// attempts is how often a candidate is played: runs of one plan are alike, not equal.
const attempts = 3

// Player plays a plan: [Play], or something simpler in tests.
type Player func(context.Context, Plan) (Result, error)

// Shrink leaves moves out of a plan for as long as it still breaks the same invariant, and returns what is left with
// the result of its last failing run. Tell is told of every candidate.
func Shrink(ctx context.Context, plan Plan, invariant string, play Player,
	tell func(moves int, broken bool)) (Plan, Result, error) {
	s := shrinker{
		invariant: invariant,
		play:      play,
		tell:      tell,
		plan:      plan,
	}

	broken, err := s.try(ctx, plan)
	if err != nil || !broken {
		return plan, s.result, err
	}

	for size := max(1, len(s.plan.Moves)/2); ; size = max(1, size/2) {
		smaller, err := s.pass(ctx, size)
		if err != nil {
			return s.plan, s.result, err
		}
		if size == 1 && !smaller {
			break
		}
	}

	if err := s.shorten(ctx); err != nil {
		return s.plan, s.result, err
	}

	s.plan.Violation = invariant
	return s.plan, s.result, nil
}

type shrinker struct {
	invariant string
	play      Player
	tell      func(moves int, broken bool)

	plan   Plan   // the smallest so far that breaks the invariant
	result Result // of it
}

// pass tries to leave out every run of that many moves, from the end on. It says whether any could be left out.
func (s *shrinker) pass(ctx context.Context, size int) (smaller bool, err error) {
	for end := len(s.plan.Moves); end > 0; {
		start := max(0, end-size)
		candidate := s.plan
		candidate.Moves = slices.Delete(slices.Clone(s.plan.Moves), start, end)
		broken, err := s.try(ctx, candidate)
		if err != nil {
			return smaller, err
		}
		smaller = smaller || broken
		end = start
	}

	return smaller, nil
}

// shorten leaves the time behind the last move out.
func (s *shrinker) shorten(ctx context.Context) error {
	if n := len(s.plan.Moves); n > 0 {
		last := s.plan.Moves[n-1]
		candidate := s.plan
		candidate.Length = min(candidate.Length, last.At+last.Seconds+30)
		_, err := s.try(ctx, candidate)
		return err
	}
	return nil
}

// try plays a candidate, and keeps it if it breaks the invariant.
func (s *shrinker) try(ctx context.Context, candidate Plan) (broken bool, err error) {
	for range attempts {
		result, err := s.play(ctx, candidate)
		if err != nil {
			return false, err
		}
		if slices.Contains(result.Invariants(), s.invariant) {
			s.plan, s.result = candidate, result
			s.tell(len(candidate.Moves), true)
			return true, nil
		}
	}

	s.tell(len(candidate.Moves), false)
	return false, nil
}
