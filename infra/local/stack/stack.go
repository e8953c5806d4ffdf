// Package stack runs the whole system on one machine: a LiveKit server, stand-ins for SQS and S3, the Lambda behind
// an HTTP listener, and recorders. Everything listens on the loopback address only.
package stack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"livekit-recorder/infra/local/lambda"
	"livekit-recorder/infra/local/price"
	"livekit-recorder/infra/local/relay"
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
	Binaries                              string // directory of recorder and bootstrap, see [Build]
	Work                                  string // directory for logs, scratch files and configuration
	BucketRoot                            string // directory in which the bucket is, as plain files
	APIPort, LiveKitPort, SQSPort, S3Port int
	AutoRecord                            string
	// RecorderEnv is added to every recorder's environment.
	RecorderEnv []string
	// Requests counts what is asked of S3, SQS and the HTTP API; nil: nobody wants to know.
	Requests *price.Counter
}

// Stack is the running system.
type Stack struct {
	API, LiveKit, SQS, S3    string // addresses: URLs, LiveKit's with ws://
	StartQueue, ControlQueue string // URLs
	Options

	liveKit   *Process
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
	return start(ctx, o, (*Stack).startSQS, (*Stack).startS3, (*Stack).startAPI, (*Stack).startLiveKit)
}

// StartStorage brings up SQS and S3 only. Stop must follow even if it fails.
func StartStorage(ctx context.Context, o Options) (*Stack, error) {
	return start(ctx, o, (*Stack).startSQS, (*Stack).startS3)
}

func start(ctx context.Context, o Options, components ...func(*Stack, context.Context) error) (*Stack, error) {
	s := &Stack{Options: o}
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

// Ports are chosen below those that Linux gives to outgoing connections (ip(7), ip_local_port_range: from 32768 on),
// of which one could take a port between its choosing and its use.
const firstPort, lastPort = 10000, 32767

var chosen sync.Map // from a port to what reserves it, until this process ends

// choose finds a free port, unless there is one already. Between its choosing and its use it is reserved by a socket
// with the port in its name (unix(7), abstract sockets: no file, and gone with the process), so that another process
// that chooses at the same time does not take it.
func choose(port *int) error {
	if *port != 0 {
		return nil
	}

	for range lastPort - firstPort {
		candidate := firstPort + rand.IntN(lastPort-firstPort+1)
		reservation, err := net.Listen("unix", fmt.Sprintf("@livekit-recorder-port-%d", candidate))
		if err != nil {
			continue // chosen before, here or in another process
		}
		if !free(candidate) {
			_ = reservation.Close() // a name, nothing more
			continue
		}
		chosen.Store(candidate, reservation) // or it would be closed when nothing refers to it any more
		*port = candidate
		return nil
	}

	return errors.New("choose a port: none is free")
}

// Port chooses a free port of the loopback address.
func Port() (port int, err error) {
	err = choose(&port)
	return port, err
}

// free says whether nobody listens on a port of the loopback address.
func free(port int) bool {
	listener, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	return err == nil && listener.Close() == nil
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
	gateway := lambda.New()
	if err := s.serve(s.APIPort, s.counting(price.OfAPI, gateway)); err != nil {
		return fmt.Errorf("start HTTP API: %w", err)
	}

	var runtimePort int
	if err := errors.Join(choose(&runtimePort), s.serve(runtimePort, gateway.Runtime())); err != nil {
		return fmt.Errorf("start Lambda runtime API: %w", err)
	}

	for range 2 { // as Lambda would have: one instance for each request under way
		_, err := s.launch("lambda", nil, append(s.serviceEnv(), "AUTO_RECORD="+s.AutoRecord,
			fmt.Sprintf("AWS_LAMBDA_RUNTIME_API=127.0.0.1:%d", runtimePort)), filepath.Join(s.Binaries, "bootstrap"))
		if err != nil {
			return err
		}
	}

	return s.awaitHTTP(ctx, s.API+"/health")
}

func (s *Stack) startLiveKit(ctx context.Context) error {
	var udp, tcp int
	if err := errors.Join(choose(&udp), choose(&tcp)); err != nil {
		return err
	}

	config := strings.Join([]string{
		"port: " + strconv.Itoa(s.LiveKitPort), "bind_addresses: [127.0.0.1]", "development: true",
		"rtc:", "  udp_port: " + strconv.Itoa(udp), "  tcp_port: " + strconv.Itoa(tcp), "  node_ip: 127.0.0.1",
		"  use_external_ip: false", "  enable_loopback_candidate: true", "  interfaces: {includes: [lo]}",
		"keys: {" + LiveKitKey + ": " + LiveKitSecret + "}",
		"webhook:", "  api_key: " + LiveKitKey, "  urls: ['" + s.API + "/recordings/webhooks']",
		"logging: {level: info}", "",
	}, "\n")

	path := filepath.Join(s.Work, "livekit.yaml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return fmt.Errorf("configure LiveKit: %w", err)
	}
	return s.runLiveKit(ctx)
}

func (s *Stack) runLiveKit(ctx context.Context) (err error) {
	config := filepath.Join(s.Work, "livekit.yaml")
	if s.liveKit, err = s.launch("livekit", nil, nil, filepath.Join(s.Tools, "server"), "--config", config); err != nil {
		return err
	}
	return s.awaitHTTP(ctx, local("http", s.LiveKitPort))
}

// StartRecorder starts one more recorder, and returns when it polls the queues.
func (s *Stack) StartRecorder(ctx context.Context, env ...string) (*Process, error) {
	name := fmt.Sprintf("recorder-%d", len(s.processes))
	ready := make(chan struct{})
	p, err := s.launch(name, func(line string) bool {
		if !strings.Contains(line, `"recorder ready"`) {
			return false
		}
		close(ready)
		return true
	}, append(append(s.serviceEnv(),
		"LIVEKIT_URL="+s.LiveKit, "FFMPEG="+filepath.Join(s.Tools, "ffmpeg"),
		"SCRATCH_DIR="+filepath.Join(s.Work, name), "LOG_LEVEL=debug", "HAND_OVER_TIMEOUT=0s"),
		append(s.RecorderEnv, env...)...),
		filepath.Join(s.Binaries, "recorder"))
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

// serviceEnv is what the Lambda and the recorder have in common.
func (s *Stack) serviceEnv() []string {
	return []string{
		"LIVEKIT_API_KEY=" + LiveKitKey, "LIVEKIT_API_SECRET=" + LiveKitSecret,
		"START_QUEUE_URL=" + s.StartQueue, "CONTROL_QUEUE_URL=" + s.ControlQueue,
		"S3_BUCKET=" + Bucket, "S3_DIRECTORY=" + Directory, "S3_REGION=" + region, "AWS_REGION=" + region,
		"AWS_ENDPOINT_URL_S3=" + s.S3, "AWS_ENDPOINT_URL_SQS=" + s.SQS,
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_EC2_METADATA_DISABLED=true", "WEBHOOK_PRIVATE=on",
	}
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
