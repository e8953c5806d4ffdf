package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/fidelity"
	"livekit-recorder/infra/local/stack"
)

// atOnce is how many of the cases without a browser run at a time: with more of them on two cores, one would measure
// the machine. A browser encodes, and has the machine for itself.
const atOnce = 3

// measure plays all cases of the fidelity package, or those whose names contain ONLY, and prints a table of what was
// found in their files. FIDELITY_MINUTES adds a long call.
func measure(ctx context.Context) error {
	cases, err := chosen()
	if err != nil {
		return err
	}

	return inSystem(ctx, "fidelity", fidelity.RoomPrefix+"*/*", func(s *stack.Stack, work, media string) error {
		if _, err := s.StartRecorder(ctx); err != nil {
			return err
		}

		modules := filepath.Join(filepath.Dir(s.Tools), "browser")
		b, err := browser.Start(ctx, modules, filepath.Join(s.BucketRoot, stack.Bucket))
		if err != nil {
			return err
		}
		defer b.Close()

		bench := &fidelity.Bench{
			System:  s,
			Work:    filepath.Join(work, "cases"),
			Media:   media,
			Browser: b,
		}
		return table(cases, playAll(ctx, bench, cases))
	})
}

func chosen() (cases []fidelity.Case, err error) {
	all := fidelity.Cases()
	if text := os.Getenv("FIDELITY_MINUTES"); text != "" {
		minutes, err := strconv.Atoi(text)
		if err != nil || minutes < 1 {
			return nil, errors.New("FIDELITY_MINUTES must be a whole number, at least 1")
		}
		all = append(all, fidelity.Long(minutes))
	}

	for _, c := range all {
		if strings.Contains(strings.ToLower(c.Name), strings.ToLower(os.Getenv("ONLY"))) {
			cases = append(cases, c)
		}
	}

	if len(cases) == 0 {
		return nil, fmt.Errorf("no case has %q in its name", os.Getenv("ONLY"))
	}
	return cases, nil
}

// line is what the table says of a case.
type line struct {
	result fidelity.Result
	faults []string
}

func playAll(ctx context.Context, bench *fidelity.Bench, cases []fidelity.Case) []line {
	lines := make([]line, len(cases))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	play := func(n int) {
		result, err := cases[n].Run(ctx, bench)
		lines[n].result, lines[n].faults = result, cases[n].Limits.Check(result)
		if err != nil {
			lines[n].faults = []string{err.Error()}
		}
		step("%s: %s", cases[n].Name, result)
	}

	for n, c := range cases {
		if c.Browser || ctx.Err() != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			play(n)
		})
	}

	wg.Wait()
	for n, c := range cases {
		if c.Browser && ctx.Err() == nil {
			play(n)
		}
	}

	return lines
}

func table(cases []fidelity.Case, lines []line) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "\n| case\t| parts\t| length\t| A/V at start\t| at end\t| drift a minute\t"+
		"| gaps\t| publisher's own\t| frames\t| packets lost\t| ffmpeg errors\t|")
	fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	var faults []error

	for n, c := range cases {
		r := lines[n].result
		fmt.Fprintf(w, "| %s\t| %d\t| %.1f s\t| %s\t| %s\t| %s\t| ± %s\t| %s\t| %.2f %%\t| %d\t| %d\t|\n",
			c.Name, r.Parts, r.Duration.Seconds(),
			signedMS(r.Start), signedMS(r.End), signedMS(r.Drift), strings.TrimPrefix(signedMS(r.Gap), "+"),
			strings.TrimPrefix(signedMS(r.Stood), "+"), 100*r.Frames, r.Lost, len(r.Complaints))
		for _, fault := range lines[n].faults {
			faults = append(faults, fmt.Errorf("%s: %s", c.Name, fault))
		}
	}

	return errors.Join(w.Flush(), errors.Join(faults...))
}

// signedMS is a time with its sign.
func signedMS(d time.Duration) string { return fmt.Sprintf("%+.1f ms", float64(d.Microseconds())/1000) }
