package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"livekit-recorder/infra/local/stack"
)

// inSystem brings up a system that records whoever autoRecord names, without a recorder, and uses it. Work is a
// directory that goes when all went well, or when somebody pressed Ctrl-C; else it stays, with logs and files. Change
// says what is unusual about the system.
func inSystem(ctx context.Context, name, autoRecord string, use func(s *stack.Stack, work, media string) error,
	change ...func(*stack.Options)) error {
	build, bin, media, err := layout()
	if err != nil {
		return err
	}

	work, err := os.MkdirTemp("", "recorder-"+name+"-")
	if err != nil {
		return err
	}

	step("starting LiveKit, SQS, S3 and the Lambda (logs in %s)", work)
	options := stack.Options{
		Tools:      bin,
		Binaries:   build,
		Work:       filepath.Join(work, "run"),
		BucketRoot: filepath.Join(work, "s3"),
		AutoRecord: autoRecord,
	}
	for _, c := range change {
		c(&options)
	}
	s, err := stack.Start(ctx, options)
	defer s.Stop()

	if err == nil {
		err = use(s, work, media)
	}

	s.Stop() // before its directory goes
	if broken := s.Broken(); err == nil && len(broken) > 0 {
		err = errors.New(strings.Join(broken, "\n"))
	}
	if err != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		return fmt.Errorf("%w (logs and files are in %s)", err, work)
	}
	return errors.Join(err, os.RemoveAll(work))
}

func step(format string, args ...any) { fmt.Printf("▸ "+format+"\n", args...) }
