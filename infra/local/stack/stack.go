// Package stack runs the whole system on one machine: a LiveKit server, stand-ins for SQS and S3, the Lambda behind
// an HTTP listener, and recorders. Everything listens on the loopback address only.
package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"livekit-recorder/functions/api"
	"livekit-recorder/infra/contract"
	"livekit-recorder/infra/local/lambda"
	"livekit-recorder/infra/local/price"
	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/secrets"
	"livekit-recorder/infra/template"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

// The credentials of the local system. Those of LiveKit are what `livekit-server --dev` uses.
const (
	LiveKitKey, LiveKitSecret = "devkey", "secret"
	accessKey, secretKey      = "local", "local-secret"
	region                    = "us-east-1"
	// Bucket is the S3 bucket, a directory below Options.BucketRoot.
	Bucket = "local-bucket"
	// Directory is S3_DIRECTORY.
	Directory = "participants"
)

// Options say where things are and go. Ports that are 0 are chosen.
type Options struct {
	Tools                                 string // directory of server (livekit-server), versitygw and ffmpeg
	Binaries                              string // directory of recorder, bootstrap and api, see [Build]
	Work                                  string // directory for logs, scratch files and configuration
	BucketRoot                            string // directory in which the bucket is, as plain files
	APIPort, LiveKitPort, SQSPort, S3Port int
	AutoRecord                            string
	// AutoTargets is AUTO_RECORD_TARGETS; empty: the default.
	AutoTargets string
	// Plain runs the API as a plain HTTP server, functions/server, and not as a Lambda.
	Plain bool
	// RecorderEnv is added to every recorder's environment. Parts are not joined without JOIN_PARTS=on: most tests look at
	// what each recorder has made.
	RecorderEnv []string
	// Secret is what has LiveKit's API keys for the function and recorders; nil: their environment has them.
	Secret *secrets.Server
	// LiveKitKeys are those that the LiveKit server takes; it signs webhooks with the first one. None: the credentials
	// above.
	LiveKitKeys []keys.Key
	// Requests counts what is asked of S3, SQS and the HTTP API; nil: nobody wants to know.
	Requests *price.Counter
	// Audit judges every call to S3 and SQS by what template.yaml allows: see [Stack.Refused].
	Audit bool
}

// Stack is the running system.
type Stack struct {
	API, LiveKit, SQS, S3    string // addresses: URLs, LiveKit's with ws://
	StartQueue, ControlQueue string // URLs
	Options
	// Watch sees what the API answers, and what of it is not as promised.
	Watch *contract.Watch
	// PlainAPI is the API's process, of a system that is [Options.Plain].
	PlainAPI *Process

	bucket    string // empty: Bucket
	deployed  *template.Deployment
	audit     *audit // nil without Options.Audit
	liveKit   *Process
	media     mediaPorts // of LiveKit
	secretURL string
	s3        *Process
	s3Gate    *relay.Gate
	s3Port    int // of the process behind the gate
	sqsDown   atomic.Bool
	sqsSilent atomic.Bool
	disturbed atomic.Bool
	processes []*Process
	servers   []*http.Server
}

// Start brings everything up but the recorders. Stop must follow even if it fails.
func Start(ctx context.Context, o Options) (*Stack, error) {
	return start(ctx, o, (*Stack).startSQS, (*Stack).startS3, (*Stack).startSecret, (*Stack).startAPI,
		(*Stack).startLiveKit)
}

// StartStorage brings up SQS and S3 only. Stop must follow even if it fails.
func StartStorage(ctx context.Context, o Options) (*Stack, error) {
	return start(ctx, o, (*Stack).startSQS, (*Stack).startS3)
}

func start(ctx context.Context, o Options, components ...func(*Stack, context.Context) error) (*Stack, error) {
	s := &Stack{Options: o}
	promised, err := contract.New(api.OpenAPI, document.Schema)
	if err != nil {
		return s, err
	}
	s.Watch = &contract.Watch{Contract: promised}

	for _, port := range []*int{&s.APIPort, &s.LiveKitPort, &s.SQSPort, &s.S3Port} {
		if err := choose(port); err != nil {
			return s, err
		}
	}

	s.API, s.LiveKit = local("http", s.APIPort), local("ws", s.LiveKitPort)
	s.SQS, s.S3 = local("http", s.SQSPort), local("http", s.S3Port)
	if err := os.MkdirAll(s.Work, 0o755); err != nil {
		return s, fmt.Errorf("make work directory: %w", err)
	}

	for _, start := range components {
		if err := start(s, ctx); err != nil {
			return s, err
		}
	}

	return s, nil
}

func local(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }

// Port chooses a free port of the loopback address.
func Port() (port int, err error) {
	err = choose(&port)
	return port, err
}

// Tools finds the repository's .tools/bin, for tests in any of its packages.
func Tools() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; directory != "/"; directory = filepath.Dir(directory) {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return filepath.Join(directory, ".tools", "bin"), nil
		}
	}
	return "", errors.New("not in the repository")
}

// Stop ends everything: recorders first, which close and store their files.
func (s *Stack) Stop() {
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].Stop()
	}
	for _, server := range s.servers {
		_ = server.Close() // long polls are cut off
	}
	if s.s3Gate != nil {
		s.s3Gate.Close()
	}
}

func (s *Stack) serve(port int, handler http.Handler) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(listener) }() // until Stop closes it
	return nil
}

func (s *Stack) startAPI(ctx context.Context) error {
	if s.Plain {
		return s.startPlainAPI(ctx)
	}

	environment, err1 := s.functionEnv()
	timeout, err2 := s.functionTimeout()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	gateway := lambda.New(timeout)
	if err := s.serve(s.APIPort, s.counting(price.OfAPI, s.Watch.Answers(gateway))); err != nil {
		return fmt.Errorf("start HTTP API: %w", err)
	}

	var runtimePort int
	if err := errors.Join(choose(&runtimePort), s.serve(runtimePort, gateway.Runtime())); err != nil {
		return fmt.Errorf("start Lambda runtime API: %w", err)
	}

	for range 2 { // as Lambda would have: one instance for each request under way
		_, err := s.launch("lambda", nil, slices.Concat(environment, s.serviceEnv(), []string{
			appID + "function",
			"AWS_REGION=" + home, // Lambda's own
			fmt.Sprintf("AWS_LAMBDA_RUNTIME_API=127.0.0.1:%d", runtimePort),
		}), filepath.Join(s.Binaries, "bootstrap"))
		if err != nil {
			return err
		}
	}

	return s.awaitHTTP(ctx, s.API+"/health")
}

// StartRecorder starts one more recorder, and returns when it polls the queues.
func (s *Stack) StartRecorder(ctx context.Context, env ...string) (*Process, error) {
	name := fmt.Sprintf("recorder-%d", len(s.processes))
	environment, err := s.recorderEnv(name, env...)
	if err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	p, err := s.launch(name, func(line string) bool {
		if !strings.Contains(line, `"recorder ready"`) {
			return false
		}
		close(ready)
		return true
	}, environment, filepath.Join(s.Binaries, "recorder"))
	if err != nil {
		return nil, err
	}

	select {
	case <-ready:
		return p, nil
	case <-p.done:
		return p, fmt.Errorf("recorder ended at once: see %s", p.LogPath)
	case <-ctx.Done():
		return p, ctx.Err()
	}
}

// recorderEnv is the whole environment of a recorder.
func (s *Stack) recorderEnv(name string, env ...string) ([]string, error) {
	deployed, err := s.deployedRecorderEnv()
	return slices.Concat(deployed, s.serviceEnv(), []string{
		appID + "recorder",
		"FFMPEG=" + filepath.Join(s.Tools, "ffmpeg"), "SCRATCH_DIR=" + filepath.Join(s.Work, name), // the image's
		"LOG_LEVEL=debug", "HAND_OVER_TIMEOUT=0s", "JOIN_PARTS=off",
	}, s.RecorderEnv, env), err
}

// RunRecorder runs a recorder that ends by itself, with arguments, and returns what it prints. Name is that of its
// scratch directory. Any number may run at once.
func (s *Stack) RunRecorder(ctx context.Context, name string, args []string, env ...string) (
	printed []byte, err error) {
	environment, err := s.recorderEnv(name, env...)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.Binaries, "recorder"), args...)
	cmd.Env = append([]string{"TMPDIR=" + s.Work}, environment...)
	return cmd.CombinedOutput()
}

// serviceEnv is what both programs need beside what template.yaml gives them: where LiveKit's keys are, and the ways to
// the stand-ins.
func (s *Stack) serviceEnv() []string {
	return append(s.keysEnv(),
		"AWS_ENDPOINT_URL_S3="+s.S3, "AWS_ENDPOINT_URL_SQS="+s.SQS,
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_EC2_METADATA_DISABLED=true", "WEBHOOK_PRIVATE=on",
	)
}

// awaitHTTP returns when a URL answers.
func (s *Stack) awaitHTTP(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()

	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close() // only that there is an answer counts
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: see the logs in %s", url, s.Work)
		case <-ticker.C:
		}
	}
}
