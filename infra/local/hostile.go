package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"livekit-recorder/infra/local/hostile"
	"livekit-recorder/infra/local/stack"
)

const (
	hostileHonest = 5
	hostileTracks = 1000
	// hostileLength is how long an attack lasts, hostileTogether how long all of them at once do, hostileQuiet how long
	// there is none before them.
	hostileLength   = 12 * time.Second
	hostileQuiet    = 10 * time.Second
	hostileTogether = 30 * time.Second
	// hostileTimeout bounds all of it.
	hostileTimeout = 15 * time.Minute
)

// suffer lets hostile people do what they can beside honest ones, and prints what it has cost. ONLY chooses attacks by
// a part of their names, SECONDS says how long each lasts.
func suffer(ctx context.Context) error {
	length := hostileLength
	if text := os.Getenv("SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 {
			return errors.New("SECONDS must be a whole number, at least 1")
		}
		length = time.Duration(seconds) * time.Second
	}

	attacks, err := chosenAttacks(length)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, hostileTimeout)
	defer cancel()
	return inSystem(ctx, "hostile", hostile.Room+"/*", func(s *stack.Stack, _, media string) error {
		recorder, err := s.StartRecorder(ctx, "LOG_LEVEL=info", "REJOIN_WINDOW=5s", "START_TIMEOUT=20s")
		if err != nil {
			return err
		}
		report, err := hostile.Run(ctx, s, recorder, hostile.Plan{
			Honest:  hostileHonest,
			Attacks: attacks,
			Media:   media,
			Say:     step,
		})
		if err != nil {
			return err
		}
		return printHostile(report)
	})
}

// chosenAttacks are those whose names contain ONLY, one after the other; if there are several, all of them at once at
// the end.
func chosenAttacks(length time.Duration) ([]hostile.Attack, error) {
	only := strings.ToLower(os.Getenv("ONLY"))
	var chosen []hostile.Attack
	for _, attack := range hostile.Attacks(length, hostileTracks) {
		if strings.Contains(strings.ToLower(attack.Name), only) {
			chosen = append(chosen, attack)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no attack has %q in its name", only)
	}

	attacks := append([]hostile.Attack{hostile.Nobody(hostileQuiet)}, chosen...)
	if len(chosen) > 1 {
		attacks = append(attacks, hostile.Together(chosen, hostileTogether))
	}
	return attacks, nil
}

func printHostile(r hostile.Report) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "\n| attack\t| seconds\t| packets\t| cores: recorder\t| ffmpeg\t| memory, at most\t| open files\t"+
		"| completed\t| failed\t| files\t| dropped: LiveKit\t| recorder\t| honest people lack\t|")
	fmt.Fprintln(w, strings.Repeat("| ---\t", 13)+"|")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "| %s\t| %.0f\t| %d\t| %.2f\t| %.2f\t| %d MiB\t| %d\t| %d\t| %d\t| %d\t| %d\t| %d\t| %.2f s\t|\n",
			row.Name, row.To.Sub(row.From).Seconds(), row.Packets, row.Recorder, row.FFmpeg, row.Peak.Memory>>20,
			row.Peak.Files, row.Completed, row.Failed, row.Parts, row.Dropped.LiveKit, row.Dropped.Recorder,
			row.Missing.Seconds())
	}

	fmt.Fprintln(w, "\n| who\t| length\t| frames\t| A/V at start\t| at end\t| gaps\t| packets lost\t|")
	fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	for _, h := range r.Honest {
		fmt.Fprintf(w, "| %s\t| %.1f s\t| %.2f %%\t| %s\t| %s\t| %d\t| %d\t|\n",
			h.Name, h.Result.Duration.Seconds(), 100*h.Result.Frames, signedMS(h.Result.Start), signedMS(h.Result.End),
			h.Gaps, h.Result.Lost)
	}
	if err := w.Flush(); err != nil {
		return err
	}

	fmt.Printf("\nAt most %d MiB, %d open files, %d ffmpeg processes, %d goroutines. "+
		"Of the many tracks %d were published. Whoever came afterwards was recorded after %.1f s.\n",
		r.Peak.Memory>>20, r.Peak.Files, r.Peak.Parts, r.Goroutines, r.Tracks, r.ReadyAfter.Seconds())
	for reason, n := range r.Reasons {
		fmt.Printf("%d failed: %s\n", n, reason)
	}

	for _, excused := range r.Excused {
		fmt.Printf("Has not reached the recorder, as %d datagrams did not reach LiveKit: %s\n", r.Dropped.LiveKit, excused)
	}

	var faults []error
	for _, fault := range r.Faults {
		faults = append(faults, errors.New(fault))
	}
	return errors.Join(faults...)
}
