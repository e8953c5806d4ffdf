// Command play lets simulated fleets of recorders go through random faults, in virtual time.
//
//	go run ./infra/simulate/play -seeds 1-150
//	go run ./infra/simulate/play -seeds 17 -shrink      what is left of seed 17 when all that does not matter is left out
//	go run ./infra/simulate/play -plan corpus/x.json    one plan again, with its log
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"livekit-recorder/infra/simulate"
)

func main() {
	simulate.Work()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	first, last uint64
	plan        string
	shrink      bool
	invariant   string
	keep        string
	workers     int
	lines       int
	tries       int
}

func run(ctx context.Context) error {
	var o options
	seeds := flag.String("seeds", "1-150", "a seed, or the first and last one")
	flag.StringVar(&o.plan, "plan", "", "a file with a plan, to be played instead of seeds")
	flag.BoolVar(&o.shrink, "shrink", false, "leave out moves while the same invariant is violated")
	flag.StringVar(&o.invariant, "invariant", "", "the invariant to shrink for; otherwise the first that is violated")
	flag.StringVar(&o.keep, "keep", "", "directory for plans and logs of failing runs")
	flag.IntVar(&o.workers, "workers", 2, "how many runs at once")
	flag.IntVar(&o.lines, "lines", 60, "how many lines of a log are shown")
	flag.IntVar(&o.tries, "tries", 5, "how often a single plan is played until something is violated")
	flag.Parse()

	if o.plan != "" {
		plan, err := simulate.Read(o.plan)
		if err != nil {
			return err
		}
		return o.one(ctx, plan)
	}

	if err := o.parse(*seeds); err != nil {
		return err
	}
	if o.first == o.last {
		return o.one(ctx, simulate.Generate(o.first))
	}
	return o.many(ctx)
}

func (o *options) parse(seeds string) (err error) {
	first, last, span := strings.Cut(seeds, "-")
	if !span {
		last = first
	}

	var other error
	o.first, err = strconv.ParseUint(first, 10, 64)
	o.last, other = strconv.ParseUint(last, 10, 64)
	if err = errors.Join(err, other); err != nil || o.last < o.first {
		return fmt.Errorf("read seeds %q: it must be like 17 or 1-150", seeds)
	}
	return nil
}
