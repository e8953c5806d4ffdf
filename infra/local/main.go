// The whole system on one machine, without any account:
//
//	local demo    records two participants, checks the files and ends
//	local up      stays until Ctrl-C
//	local chaos      kills and cuts off what it can, and checks what was lost
//	local fidelity   measures recordings of difficult calls against what was sent
//	local load       measures what one recorder takes to record many people
//	local hostile    lets people send what no browser would, beside honest ones
//	local price      counts the requests to AWS, and says what an hour of a participant costs
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/infra/local/stack"
)

// startTimeout bounds the bringing up of the system.
const startTimeout = 2 * time.Minute

func main() {
	logrus.SetLevel(logrus.ErrorLevel)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	commands := map[string]func(context.Context) error{
		"demo":     demo,
		"up":       up,
		"chaos":    survive,
		"fidelity": measure,
		"load":     load,
		"hostile":  suffer,
		"price":    cost,
		"floor":    stack.RunFloor, // what load starts beside a recorder
	}
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: local "+strings.Join(slices.Sorted(maps.Keys(commands)), " | local "))
		os.Exit(2)
	}

	err := commands[os.Args[1]](ctx)
	switch {
	case ctx.Err() != nil:
		fmt.Println("stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// layout finds the tools beside the binary: .tools/build/local, .tools/bin.
func layout() (build, bin, media string, err error) {
	self, err := os.Executable()
	build = filepath.Dir(self)
	tools := filepath.Dir(build)
	return build, filepath.Join(tools, "bin"), filepath.Join(tools, "media"), err
}

func up(ctx context.Context) error {
	build, bin, _, err := layout()
	if err != nil {
		return err
	}

	o := stack.Options{
		Tools:       bin,
		Binaries:    build,
		BucketRoot:  "recordings",
		AutoRecord:  os.Getenv("AUTO_RECORD"),
		RecorderEnv: []string{"JOIN_PARTS=on"},
		AutoTargets: os.Getenv("AUTO_RECORD_TARGETS"),
	}

	recorders := 1
	for name, port := range map[string]*int{
		"LOCAL_API_PORT":     &o.APIPort,
		"LOCAL_LIVEKIT_PORT": &o.LiveKitPort,
		"LOCAL_SQS_PORT":     &o.SQSPort,
		"LOCAL_S3_PORT":      &o.S3Port,
		"RECORDERS":          &recorders,
	} {
		defaults := map[string]int{
			"LOCAL_API_PORT":     3000,
			"LOCAL_LIVEKIT_PORT": 7880,
			"LOCAL_SQS_PORT":     9324,
			"LOCAL_S3_PORT":      9000,
			"RECORDERS":          1,
		}
		if *port = defaults[name]; os.Getenv(name) != "" {
			if *port, err = strconv.Atoi(os.Getenv(name)); err != nil || *port < 0 || *port > 65535 {
				return fmt.Errorf("%s must be a whole number from 0 to 65535", name)
			}
		}
	}

	if o.Work, err = os.MkdirTemp("", "recorder-local-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.Work)

	if o.BucketRoot, err = filepath.Abs(o.BucketRoot); err != nil {
		return err
	}

	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s, err := stack.Start(starting, o)
	defer func() {
		fmt.Println("\nclosing and storing every file …")
		s.Stop()
	}()

	if err != nil {
		return err
	}

	for range recorders {
		if _, err := s.StartRecorder(starting); err != nil {
			return err
		}
	}

	if err := explain(s); err != nil {
		return err
	}

	<-ctx.Done()
	return nil
}

func explain(s *stack.Stack) error {
	rest, err1 := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).
		SetVideoGrant(&auth.VideoGrant{RoomRecord: true}).SetValidFor(24 * time.Hour).ToJWT()
	browser, err2 := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).SetIdentity("alice").
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: "my-room"}).SetValidFor(24 * time.Hour).ToJWT()
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("sign tokens: %w", err)
	}
	fmt.Printf(`
LiveKit   %[1]s        key %[2]s, secret %[3]s
REST API  %[4]s
SQS       %[5]s        S3  %[6]s
Files     %[7]s
Logs      %[8]s

Everybody who joins a room is recorded from then on (AUTO_RECORD=off make up: nobody).
Join room "my-room" as "alice", with any LiveKit client and this token:

%[9]s

Start, look at and stop recordings by hand:

TOKEN=%[10]s
curl -X POST %[4]s/recordings/start -H "Authorization: Bearer $TOKEN" \
  -d '{"room":"my-room","participant":"alice","file":"calls/{participant}-{date}"}'
curl "%[4]s/recordings?room=my-room" -H "Authorization: Bearer $TOKEN"
curl -X POST %[4]s/recordings/stop -H "Authorization: Bearer $TOKEN" -d '{"room":"my-room","participant":"alice"}'

Ctrl-C ends everything.
`, s.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, s.API, s.SQS, s.S3, s.Path(stack.Directory), s.Work, browser, rest)
	return nil
}
