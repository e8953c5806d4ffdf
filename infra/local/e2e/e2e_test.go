// Package e2e checks the whole system with real components: a LiveKit server, the Lambda binary, recorder processes,
// ffmpeg, SQS and S3 over HTTP, real RTP.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livekit-recorder/infra/local/stack"
)

var (
	module = filepath.Join("..", "..", "..")
	tools  = filepath.Join(module, ".tools", "bin")
	media  = filepath.Join(module, ".tools", "media")
	system *stack.Stack
)

// TestMain brings up one system for all tests of the package, with one recorder. Rooms keep the tests apart.
func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, path := range []*string{&module, &tools, &media} {
		if *path, err = filepath.Abs(*path); err != nil {
			return 1, err
		}
	}
	work, err := os.MkdirTemp("", "recorder-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() {
		if code == 0 && os.Getenv("KEEP") == "" {
			_ = os.RemoveAll(work) // best effort, in a temporary directory
		} else {
			fmt.Fprintln(os.Stderr, "e2e: logs are in", work)
		}
	}()
	if err := stack.Build(ctx, module, work); err != nil {
		return 1, err
	}
	system, err = stack.Start(ctx, stack.Options{
		Tools: tools, Binaries: work, Work: filepath.Join(work, "run"), BucketRoot: filepath.Join(work, "s3"),
		Audit:       true,
		AutoRecord:  "auto-*/*,!*/not-me",
		RecorderEnv: []string{"START_TIMEOUT=12s"},
	})
	defer system.Stop()
	if err != nil {
		return 1, err
	}
	if _, err := system.StartRecorder(ctx); err != nil {
		return 1, err
	}
	code = m.Run()
	system.Stop()
	if err := kept(system); err != nil {
		return 1, err
	}
	if refused, calls := system.Refused(); len(refused) > 0 || calls["recorder"] == 0 || calls["function"] == 0 {
		return 1, fmt.Errorf("of calls to AWS (%v), template.yaml would have refused %q", calls, refused)
	}
	return code, nil
}

// kept says whether the system has answered and written only what openapi.yaml and recording.schema.json say.
func kept(s *stack.Stack) error {
	if broken := s.Broken(); len(broken) > 0 {
		return errors.New(strings.Join(broken, "\n"))
	}
	return nil
}
