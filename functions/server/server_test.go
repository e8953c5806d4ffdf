package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"livekit-recorder/functions/api"
	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/shared/keys"
	"livekit-recorder/shared/queue"
)

// TestMain looks for goroutines that a server has left behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving is a running server, and how it ends.
type serving struct {
	url  string
	log  *test.Hook
	stop context.CancelFunc
	done chan error
}

// start serves a handler on a free port, until the test is over at the latest.
func start(t *testing.T, handler http.Handler) *serving {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	log, hook := test.NewNullLogger()
	ctx, stop := context.WithCancel(t.Context())

	s := &serving{url: "http://" + listener.Addr().String(), log: hook, stop: stop, done: make(chan error, 1)}
	go func() {
		s.done <- serve(ctx, listener, handler, log)
		close(s.done)
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		<-s.done
	})
	return s
}

// ours is the service's own handler, without a bucket.
func ours(t *testing.T) http.Handler {
	t.Helper()
	client, urls, stop, err := sqs.Local(t.Context(), "starts", "controls")
	require.NoError(t, err)
	t.Cleanup(stop)
	log := logrus.New()
	log.SetOutput(io.Discard)
	key := keys.Key{ID: "key", Secret: "a secret that is long enough for anybody"}
	return api.New(api.Config{
		Keys:     keys.Fixed(key, keys.Key{}),
		Starts:   &queue.Queue{Client: client, URL: urls[0]},
		Controls: &queue.Queue{Client: client, URL: urls[1]},
		Log:      log,
	})
}

// get asks for something.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response, string(body)
}

func TestOurHandlerAnswers(t *testing.T) {
	s := start(t, ours(t))
	response, body := get(t, s.url+"/recordings?room=r")
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	require.Contains(t, body, `"code":"unauthenticated"`)
}

func TestRequestsUnderWayAreAnsweredAtTheEnd(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answer
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))

	status := make(chan int, 1)
	go func() {
		response, err := http.Get(s.url)
		if err != nil {
			status <- 0
			return
		}
		_ = response.Body.Close() // it is empty
		status <- response.StatusCode
	}()
	<-arrived
	s.stop()

	// Nobody new is let in, while the old one still waits.
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			return true
		}
		return connection.Close() != nil
	}, 10*time.Second, 5*time.Millisecond)
	require.Empty(t, s.done)

	close(answer)
	require.Equal(t, http.StatusOK, <-status)
	require.NoError(t, <-s.done)
}

func TestLargeHeadersAndBodiesAreRefused(t *testing.T) {
	s := start(t, ours(t))
	response, _ := get(t, s.url+"/health")
	require.Equal(t, http.StatusOK, response.StatusCode)

	large := strings.NewReader(strings.Repeat(" ", 256<<10+1))
	response, err := http.Post(s.url+"/recordings/start", "application/json", large)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)

	// net/http lets a few kilobytes more pass than it is told.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/health", nil)
	require.NoError(t, err)
	request.Header.Set("X-Long", strings.Repeat("x", maxHeader+8<<10))
	response, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
}

func TestWhoDoesNotSpeakHTTPIsLoggedAndNothingElse(t *testing.T) {
	s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of the handler") }))
	_, err := http.Get(s.url)
	require.Error(t, err)
	require.Eventually(t, func() bool {
		for _, line := range s.log.AllEntries() {
			if strings.Contains(line.Message, "a fault of the handler") {
				return true
			}
		}
		return false
	}, 10*time.Second, 5*time.Millisecond)

	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprint(connection, "no such thing\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(connection).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "400")
	require.NoError(t, connection.Close())
}

func TestHealthIsAskedForOnThisMachine(t *testing.T) {
	s := start(t, ours(t))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	for _, address := range []string{":" + port, "0.0.0.0:" + port, "127.0.0.1:" + port} {
		require.NoError(t, askHealth(t.Context(), address), address)
	}

	ill := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	err = askHealth(t.Context(), strings.TrimPrefix(ill.url, "http://"))
	require.ErrorContains(t, err, "503")
	require.ErrorContains(t, askHealth(t.Context(), "nonsense"), "LISTEN_ADDR")
}

func TestArguments(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"version":         {[]string{"--version"}, 0, "api "},
		"help":            {[]string{"-h"}, 0, "usage: api"},
		"unknown":         {[]string{"sereve"}, 2, "usage: api"},
		"too many":        {[]string{"health", "now"}, 2, "usage: api"},
		"nobody is there": {[]string{"health"}, 1, "ask for health"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LISTEN_ADDR", "127.0.0.1:1")
			var said bytes.Buffer
			require.Equal(t, c.code, program(c.args, &said, &said))
			require.Contains(t, said.String(), c.says)
		})
	}
}
