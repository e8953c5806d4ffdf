package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"livekit-recorder/infra/local/chaos"
	"livekit-recorder/infra/local/stack"
)

const (
	chaosPeople    = 6
	chaosRecorders = 3
	// chaosTimeout bounds all of it but the outages.
	chaosTimeout = 15 * time.Minute
)

// survive injects every fault of the chaos package, and prints what each has cost. OUTAGE is how long S3 and SQS are
// away.
func survive(ctx context.Context) error {
	var outage time.Duration
	if value := os.Getenv("OUTAGE"); value != "" {
		var err error
		if outage, err = time.ParseDuration(value); err != nil || outage <= 0 {
			return errors.New("OUTAGE must be a duration like 10m")
		}
	}

	faults := chaos.Faults(outage)
	ctx, cancel := context.WithTimeout(ctx, chaosTimeout+time.Duration(len(faults))*outage)
	defer cancel()
	return inSystem(ctx, "chaos", chaos.Room+"/*", func(s *stack.Stack, _, media string) error {
		report, err := chaos.Run(ctx, s, media, chaosPeople, chaosRecorders, faults, step)
		if err != nil {
			return err
		}
		return printChaos(report)
	})
}

func printChaos(report chaos.Report) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "\n| fault\t| recordings hit\t| lost at most\t| went on after\t|")
	fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t|")
	for _, row := range report.Rows {
		fmt.Fprintf(w, "| %s\t| %d of %d\t| %.1f s\t| %.1f s\t|\n",
			row.Name, row.Hit, report.People, row.Lost.Seconds(), row.Resume.Seconds())
	}

	if err := w.Flush(); err != nil {
		return err
	}

	var err error
	for _, fault := range report.Faults {
		err = errors.Join(err, errors.New(fault))
	}

	if err == nil {
		fmt.Printf("\n%d files, all of them decode; nothing else is in the bucket, and nobody was recorded twice.\n",
			report.Parts)
	}
	return err
}
