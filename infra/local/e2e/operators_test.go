package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/events"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/health"
	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
)

// seen is a recorder as operators see it, at its METRICS_ADDR.
type seen struct{ address string }

// ask returns the status and the text at a path; 0 if nobody answers.
func (s seen) ask(path string) (status int, text string) {
	response, err := http.Get("http://" + s.address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// numbers are all values at /metrics, by name and labels.
func (s seen) numbers(t *testing.T) map[string]float64 {
	t.Helper()
	status, text := s.ask("/metrics")
	require.Equal(t, http.StatusOK, status, text)
	numbers := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || strings.HasPrefix(line, "#") || strings.Contains(value, " ") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err, line)
		numbers[name] = number
	}
	return numbers
}

// check runs the program that a container's health check runs.
func (s seen) check(t *testing.T) error {
	t.Helper()
	command := exec.Command(filepath.Join(system.Binaries, "recorder"), "health")
	command.Env = []string{"METRICS_ADDR=" + s.address}
	said, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// states are those of a recording that the bus has been told of.
func states(t *testing.T, bus *events.Bus, id string) (all []document.State) {
	t.Helper()
	for _, e := range bus.Events() {
		require.Equal(t, "Recording State Change", e.DetailType)
		var r document.Recording
		require.NoError(t, json.Unmarshal([]byte(e.Detail), &r))
		if r.ID == id {
			all = append(all, r.State)
		}
	}
	return all
}

// One recording, as operators see it: in the metrics, on the event bus, in the logs, and by its recorder's health.
func TestOperatorsSeeARecordingFromItsRequestToItsEnd(t *testing.T) {
	t.Parallel()
	bus := &events.Bus{Name: "calls"}
	bus.Fail(1) // the notice is tried again
	server := httptest.NewServer(bus)
	t.Cleanup(server.Close)

	s := ownSystem(t)
	port, err := stack.Port()
	require.NoError(t, err)
	operator := seen{fmt.Sprintf("127.0.0.1:%d", port)}
	require.Error(t, operator.check(t), "there is none")
	p := recorder(t, s, "METRICS_ADDR="+operator.address, "STACK_NAME=e2e", "HAND_OVER_TIMEOUT=10s",
		"EVENT_BUS=calls", "AWS_ENDPOINT_URL_EVENTBRIDGE="+server.URL)
	require.Eventually(t, func() bool {
		status, _ := operator.ask("/readyz")
		return status == http.StatusOK
	}, patience, 100*time.Millisecond, "it takes no starts; logs: %s", s.Work)
	require.NoError(t, operator.check(t))

	alice, r := recorded(t, s, "operators", "vp8")
	pause(t, alice, 2*length) // the parts say every 5 seconds what has come
	now := operator.numbers(t)
	name := func(of string) string { return health.Prefix + of }
	require.EqualValues(t, 1, now[name("recordings")])
	require.EqualValues(t, 1, now[name("uploads")])
	require.EqualValues(t, 1, now[name("livekit_reachable")])
	require.EqualValues(t, 1, now[name("starts_taken_total")])
	require.EqualValues(t, 1, now[name("pick_up_seconds_count")])
	require.EqualValues(t, 1, now[name("first_frame_seconds_count")])
	require.Less(t, now[name("upload_lag_seconds")], 30.0, "usually at most 10, on a machine of one's own")
	for _, some := range []string{"journal_puts_total", "journal_bytes", "packets_received_total",
		`frames_total{kind="audio"}`, `frames_total{kind="video"}`, "scratch_used_bytes"} {
		require.Positive(t, now[name(some)], some)
	}

	require.NoError(t, s.REST().Stop(t.Context(), map[string]string{"id": r.ID}))
	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Eventually(t, func() bool { return len(states(t, bus, r.ID)) >= 2 }, patience, 100*time.Millisecond)
	require.Equal(t, []document.State{document.Active, document.Completed}, states(t, bus, r.ID))
	now = operator.numbers(t)
	require.EqualValues(t, 1, now[name(`recordings_ended_total{reason="stopped",state="completed"}`)])
	require.EqualValues(t, 1, now[name("stop_to_stored_seconds_count")])
	require.EqualValues(t, 1, now[name(`ffmpeg_exits_total{result="ok"}`)])
	require.EqualValues(t, 1, now[name(`parts_total{result="stored"}`)])
	require.GreaterOrEqual(t, now[name(`notices_total{receiver="event_bus",result="failed"}`)], 1.0)
	require.Zero(t, now[name("uploads")])
	for _, m := range metrics.All() { // a recorder with a bucket has all there are
		found := false
		for name := range now {
			found = found || strings.HasPrefix(name, health.Prefix+m.Name)
		}
		require.True(t, found, m.Name)
	}

	checkTraces(t, s, r)
	checkGoodbye(t, s, p, operator)
}

// checkTraces checks that every line about a recording, of the function and of recorders, has its request's id.
func checkTraces(t *testing.T, s *stack.Stack, r document.Recording) {
	t.Helper()
	require.NotEmpty(t, r.RequestID)
	logs, err := filepath.Glob(filepath.Join(s.Work, "*.log"))
	require.NoError(t, err)
	lines := map[string]int{} // with the id, by program
	for _, path := range logs {
		file, err := os.Open(path)
		require.NoError(t, err)
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			var line struct{ Recording, Request, Msg string }
			if json.Unmarshal(scanner.Bytes(), &line) != nil || line.Recording != r.ID {
				continue
			}
			if line.Msg == "stop received" || line.Msg == "command queued" && line.Request != r.RequestID {
				require.NotEmpty(t, line.Request, "a stop is another request")
				continue
			}
			require.Equal(t, r.RequestID, line.Request, scanner.Text())
			program, _, _ := strings.Cut(filepath.Base(path), "-")
			lines[strings.TrimSuffix(program, ".log")]++
		}
		require.NoError(t, scanner.Err())
		require.NoError(t, file.Close())
	}
	require.Positive(t, lines["lambda"], "%v", lines)
	require.Greater(t, lines["recorder"], 5, "%v", lines)
}

// checkGoodbye checks that a recorder that shuts down lives to the last, and takes no starts.
func checkGoodbye(t *testing.T, s *stack.Stack, p *stack.Process, operator seen) {
	t.Helper()
	recorded(t, s, "goodbye", "")
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		status, text := operator.ask("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "it shuts down")
	}, patience, 50*time.Millisecond)
	status, text := operator.ask("/healthz")
	require.Equal(t, http.StatusOK, status, text)
	require.NoError(t, p.Wait(bounded(t, patience)), "exit status")
	require.ErrorContains(t, operator.check(t), "ask recorder")

	var stacks int
	lines, err := p.Log()
	require.NoError(t, err)
	for _, line := range lines {
		if line.Msg == "load" && strings.Contains(line.Text, `"Dimensions":[["Stack"]]`) &&
			strings.Contains(line.Text, `"Stack":"e2e"`) {
			stacks++
		}
	}
	require.Positive(t, stacks)
}

// What is asked of the API is asked of what it cannot do without.
func TestHealthOfTheAPISaysWhatIsAway(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	operator := seen{strings.TrimPrefix(s.API, "http://")}
	status, _ := operator.ask("/health")
	require.Equal(t, http.StatusOK, status)

	s.StopS3()
	var text string
	require.Eventually(t, func() bool {
		status, text = operator.ask("/health")
		return status == http.StatusServiceUnavailable
	}, patience, time.Second)
	require.Contains(t, text, "cannot be reached: bucket")
	require.NotContains(t, text, "queue")
}
