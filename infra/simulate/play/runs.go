package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"livekit-recorder/infra/simulate"
)

// many plays all seeds, and says how far it is.
func (o options) many(ctx context.Context) error {
	p := &progress{options: o, began: time.Now(), broken: map[string]int{}}
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range o.workers {
		workers.Go(func() {
			for seed := range seeds {
				result, err := simulate.Play(ctx, simulate.Generate(seed))
				if ctx.Err() == nil {
					p.played(seed, result, err)
				}
			}
		})
	}

	for seed := o.first; seed <= o.last && ctx.Err() == nil; seed++ {
		seeds <- seed
	}

	close(seeds)
	workers.Wait()
	return p.sum()
}

// progress is how far all runs are.
type progress struct {
	options
	began time.Time

	mu     sync.Mutex
	runs   int
	hours  float64
	failed []uint64
	broken map[string]int
}

func (p *progress) played(seed uint64, r simulate.Result, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	p.hours += r.Hours
	if names := r.Invariants(); err != nil || len(names) > 0 {
		p.failed = append(p.failed, seed)
		for _, name := range names {
			p.broken[name]++
		}

		fmt.Printf("\r\033[Kseed %d: %s\n", seed, strings.Join(names, ", "))
		if err != nil {
			fmt.Printf("    %v\n", err)
		}

		for _, v := range r.Violations[:min(3, len(r.Violations))] {
			fmt.Printf("    %s: %.300s\n", v.Invariant, v.Message)
		}

		if p.keep != "" {
			p.store(simulate.Generate(seed), r)
		}
	}

	fmt.Printf("\r\033[K%d of %d seeds, %d failed, %.0f recorder-hours, %.1f a second", p.runs, p.last-p.first+1,
		len(p.failed), p.hours, p.hours/time.Since(p.began).Seconds())
}

func (p *progress) sum() error {
	fmt.Println()
	if len(p.failed) == 0 {
		return nil
	}
	slices.Sort(p.failed)
	for name, n := range p.broken {
		fmt.Printf("%5d  %s\n", n, name)
	}
	return fmt.Errorf("%d of %d seeds failed: %v", len(p.failed), p.runs, p.failed)
}

func (o options) store(plan simulate.Plan, r simulate.Result) {
	name := filepath.Join(o.keep, fmt.Sprintf("seed%d", plan.Seed))
	err := os.MkdirAll(o.keep, 0o755)
	if err == nil {
		err = plan.Write(name + ".json")
	}
	if err == nil {
		err = os.WriteFile(name+".log", []byte(strings.Join(r.Log, "\n")+"\n"), 0o644)
	}

	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// one plays a single plan, shrinks it if that is wanted, and shows what is known of it.
func (o options) one(ctx context.Context, plan simulate.Plan) error {
	result, err := o.again(ctx, plan)
	if err != nil {
		return err
	}
	if len(result.Violations) == 0 {
		fmt.Printf("%d moves, nothing violated; %d frames sent, %d that had to be kept were checked, %.1f recorder-hours\n",
			len(plan.Moves), result.Frames, result.Checked, result.Hours)
		return nil
	}

	if o.shrink {
		if o.invariant == "" {
			o.invariant = result.Invariants()[0]
		}
		plan, result, err = simulate.Shrink(ctx, plan, o.invariant, simulate.Play, func(moves int, broken bool) {
			fmt.Printf("\r\033[K%d moves: %t", moves, broken)
		})
		fmt.Println()
		if err != nil {
			return err
		}
	}

	o.show(plan, result)
	if o.keep == "" {
		o.keep = os.TempDir()
	}

	o.store(plan, result)
	file := filepath.Join(o.keep, fmt.Sprintf("seed%d.json", plan.Seed))
	return fmt.Errorf("violated: %s\nplay it again: go run ./infra/simulate/play -plan %s (its log is beside it)",
		strings.Join(result.Invariants(), ", "), file)
}

// again plays a plan until something is violated, as often as is wanted: runs of one plan are alike, not equal.
func (o options) again(ctx context.Context, plan simulate.Plan) (result simulate.Result, err error) {
	for range o.tries {
		result, err = simulate.Play(ctx, plan)
		found := len(result.Violations) > 0
		if o.invariant != "" {
			found = slices.Contains(result.Invariants(), o.invariant)
		}
		if err != nil || found {
			return result, err
		}
	}

	return result, nil
}

func (o options) show(plan simulate.Plan, r simulate.Result) {
	fmt.Printf("\n%d moves (seed %d, hold %.0f s):\n", len(plan.Moves), plan.Seed, plan.Hold)
	for _, m := range plan.Moves {
		fmt.Println(" ", m)
	}

	fmt.Println("\nviolations:")
	for _, v := range r.Violations {
		fmt.Printf("  %s: %s\n", v.Invariant, v.Message)
	}

	fmt.Println("\nlog:")
	lines := r.Log
	if n := len(lines); n > o.lines {
		fmt.Printf("  (the last %d of %d lines)\n", o.lines, n)
		lines = lines[n-o.lines:]
	}

	for _, line := range lines {
		fmt.Printf("  %.220s\n", line)
	}
}
