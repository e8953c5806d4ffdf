package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Each plan is played in a process of its own, which is this program once more: what killed recorders leave running
// ends with it, a panic or a hang ends one run only, and runs use all processors.
const (
	planVariable   = "SIMULATE_PLAN"
	resultVariable = "SIMULATE_RESULT"
	// standstill is how often the process looks at its virtual time, once a second, until it is taken to hang.
	standstill = 90
	// runLimit is how long a run may really take, on whatever machine: one that hangs ends by itself.
	runLimit = 20 * time.Minute
)

// pulses counts the steps of virtual time.
var pulses atomic.Int64

// Work plays the plan that the environment names, and exits; it returns if there is none. It comes first in main:
// virtual time (testing/synctest) needs a test, so it makes the program one.
func Work() {
	name := os.Getenv(planVariable)
	if name == "" {
		return
	}

	os.Args = os.Args[:1]
	play := func(t *testing.T) {
		plan, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		go watch()
		Run(t, plan, func(r Result) {
			finish(r)
			os.Exit(0)
		})
	}
	testing.Main(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "Play", F: play}}, nil, nil)
}

func finish(r Result) {
	body, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(os.Getenv(resultVariable), body, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write result:", err)
		os.Exit(1)
	}
}

// watch ends the process if the run hangs, as it does when a goroutine waits for a lock whose holder sleeps: virtual
// time then stands still, without a word. How long a run takes says nothing: it may have to wait for a processor, as
// this goroutine does, too. It is started outside the bubble.
func watch() {
	var virtual looks
	for range time.Tick(time.Second) {
		if virtual.hangs(pulses.Load()) {
			break
		}
	}

	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	finish(Result{
		Violations: []Violation{{"comes-to-an-end", fmt.Sprintf("nothing moves behind %d pulses", pulses.Load())}},
		Log:        strings.Split(string(stacks), "\n"),
	})
	os.Exit(0)
}

// looks is what has been seen of virtual time.
type looks struct {
	pulses int64
	same   int // looks that have found so many
}

// hangs takes one more look, and says whether virtual time stands still.
func (l *looks) hangs(pulses int64) bool {
	if pulses != l.pulses {
		l.pulses, l.same = pulses, 0
	}
	l.same++
	return l.same > standstill
}

// Play plays a plan in a process of its own.
func Play(ctx context.Context, plan Plan) (result Result, err error) {
	directory, err := os.MkdirTemp("", "simulate")
	if err != nil {
		return result, fmt.Errorf("play plan: %w", err)
	}
	defer os.RemoveAll(directory) // nothing is kept in it

	planFile, resultFile := filepath.Join(directory, "plan.json"), filepath.Join(directory, "result.json")
	if err := plan.Write(planFile); err != nil {
		return result, err
	}
	self, err := os.Executable()
	if err != nil {
		return result, fmt.Errorf("play plan: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), planVariable+"="+planFile, resultVariable+"="+resultFile, "GOMAXPROCS=1", "GOGC=400")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	failed := cmd.Run()

	body, err := os.ReadFile(resultFile)
	if err != nil || json.Unmarshal(body, &result) != nil {
		return crash(failed, output.String()), ctx.Err()
	}
	return result, nil
}

// crash is the result of a process that has left none: a panic, or a bubble in which nothing moves.
func crash(err error, output string) Result {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return Result{
		Violations: []Violation{{"no-panic", fmt.Sprintf("%v: %s", err, strings.Join(lines[:min(3, len(lines))], " "))}},
		Log:        lines[:min(400, len(lines))],
	}
}
