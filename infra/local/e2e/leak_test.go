package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// lastLoad is the recorder's newest report of its load.
func lastLoad(t *testing.T, p *stack.Process) (last stack.LogLine) {
	t.Helper()
	lines, err := p.Log()
	require.NoError(t, err)
	for _, line := range lines {
		if line.Msg == "load" {
			last = line
		}
	}
	return last
}

func openFiles(t *testing.T, p *stack.Process) int {
	t.Helper()
	files, err := p.OpenFiles()
	require.NoError(t, err)
	return files
}

// Two hundred recordings leave no goroutine and no open file behind: not many more than the first ten have, which is
// idle connections to S3 and SQS.
func TestTwoHundredRecordingsLeakNothing(t *testing.T) {
	t.Parallel()
	const rooms, each = 10, 20
	const idle = 10 // connections more or less, of two goroutines and a file each; what leaks would be there 190 times

	s := ownSystem(t)
	only := recorder(t, s)
	for n := range rooms {
		publish(t, join(t, s, fmt.Sprint("leak-", n), "alice"), "")
	}

	cycle(t, s, rooms, 1)
	before, files := loadFrom(t, only, time.Now()), openFiles(t, only)

	cycle(t, s, rooms, each-1)
	var after stack.LogLine
	ended := time.Now()
	require.Eventually(t, func() bool { // right after the last recordings up to 20 connections are idle, for up to 90 s
		after = lastLoad(t, only)
		few := after.Goroutines <= before.Goroutines+2*idle && openFiles(t, only) <= files+idle
		return after.Time.After(ended) && after.Recordings == 0 && few
	}, 3*time.Minute, time.Second, "before: %s, %d files", before.Text, files)
	t.Logf("before: %s, %d files; after: %s, %d files", before.Text, files, after.Text, openFiles(t, only))
}

// loadFrom returns the first report of a load from some time on.
func loadFrom(t *testing.T, recorder *stack.Process, from time.Time) stack.LogLine {
	t.Helper()
	require.Eventually(t, func() bool { return lastLoad(t, recorder).Time.After(from) }, 2*time.Minute, time.Second)
	return lastLoad(t, recorder)
}

// cycle starts and stops recordings of alice, some times in each room.
func cycle(t *testing.T, s *stack.Stack, rooms, times int) {
	t.Helper()
	rest := s.REST()
	joined := func(r document.Recording) bool { return r.Session != "" }

	var cycles errgroup.Group
	for n := range rooms {
		cycles.Go(func() error {
			for range times {
				r, err := rest.Start(t.Context(), map[string]string{"room": fmt.Sprint("leak-", n), "participant": "alice"})
				if err != nil {
					return err
				}
				if _, err := rest.Await(bounded(t, patience), r.ID, joined); err != nil {
					return err
				}
				if err := rest.Stop(t.Context(), map[string]string{"id": r.ID}); err != nil {
					return err
				}
				if _, err := rest.Await(bounded(t, patience), r.ID, document.Recording.Final); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, cycles.Wait())
}
