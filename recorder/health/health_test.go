package health

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/metrics"
)

// reported is a line for CloudWatch.
type reported struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
	Stack                                string
	StartsTaken, RecordingsFailed        float64
	RecordingsCompleted, Recordings, CPU float64
	PickUp                               []float64
}

// units are those of the line's metrics.
func (r reported) units(t *testing.T) map[string]string {
	t.Helper()
	require.Len(t, r.AWS.CloudWatchMetrics, 1)
	units := map[string]string{}
	for _, m := range r.AWS.CloudWatchMetrics[0].Metrics {
		units[m.Name] = m.Unit
	}
	return units
}

// reporter returns what logs lines, and reads the one that it logs next.
func reporter(stack string) (*Reporter, func(t *testing.T) reported) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetFormatter(&logrus.JSONFormatter{})
	r := &Reporter{Stack: stack, Log: log}
	return r, func(t *testing.T) (line reported) {
		t.Helper()
		out.Reset()
		r.Report(time.UnixMilli(1700000000123))
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		return line
	}
}

// CloudWatch reads metrics out of log lines that look like this.
func TestMetricsAreInEmbeddedMetricFormat(t *testing.T) {
	metrics.Recordings.From(func() float64 { return 3 })
	metrics.CPU.From(func() float64 { return 0.25 })
	_, report := reporter("")
	line := report(t)
	require.EqualValues(t, 1700000000123, line.AWS.Timestamp)
	require.Equal(t, [][]string{{}}, line.AWS.CloudWatchMetrics[0].Dimensions)
	require.Equal(t, "ParticipantRecorder", line.AWS.CloudWatchMetrics[0].Namespace)
	require.EqualValues(t, 3, line.Recordings)
	require.EqualValues(t, 25, line.CPU)
	require.Equal(t, "Percent", line.units(t)["CPU"])
}

func TestMetricsOfTwoStacksAreApart(t *testing.T) {
	_, report := reporter("recorders")
	line := report(t)
	require.Equal(t, [][]string{{"Stack"}}, line.AWS.CloudWatchMetrics[0].Dimensions)
	require.Equal(t, "recorders", line.Stack)
}

// Alarms are on what has happened in a minute: a sum of what happened since a recorder started would never come down.
func TestWhatIsCountedIsReportedOnce(t *testing.T) {
	_, report := reporter("")
	report(t)
	metrics.StartsTaken.Inc()
	metrics.StartsTaken.Inc()
	metrics.PickUp.Observe(1500 * time.Millisecond)
	line := report(t)
	require.EqualValues(t, 2, line.StartsTaken)
	require.Equal(t, []float64{1.5}, line.PickUp)

	line = report(t)
	require.Zero(t, line.StartsTaken)
	require.Empty(t, line.PickUp)
	require.NotContains(t, line.units(t), "PickUp", "CloudWatch refuses a metric without a value")
}

// An alarm must not ring because somebody did not come, or listened only.
func TestNobodysFaultIsNoFailureForAlarms(t *testing.T) {
	_, report := reporter("")
	report(t)
	for _, reason := range []string{"not_joined", "no_media", "parts_failed"} {
		metrics.Ended.With("failed", reason).Inc()
	}
	metrics.Ended.With("completed", "left").Inc()
	line := report(t)
	require.EqualValues(t, 1, line.RecordingsFailed)
	require.EqualValues(t, 1, line.RecordingsCompleted)
}

// serve runs a server until the test ends.
func serve(t *testing.T, unready func() []string) *Server {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := &Server{Address: "127.0.0.1:0", Build: map[string]string{"version": "v1"}, Unready: unready, Log: log}
	require.NoError(t, s.Listen(t.Context()))
	s.Address = s.listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

func get(t *testing.T, s *Server, path string) (status int, text string) {
	t.Helper()
	response, err := http.Get("http://" + s.Address + path)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestARecorderThatTakesNoStartsSaysWhy(t *testing.T) {
	var why []string
	s := serve(t, func() []string { return why })
	status, _ := get(t, s, "/readyz")
	require.Equal(t, http.StatusOK, status)
	why = []string{"LiveKit cannot be reached", "it shuts down"}
	status, text := get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "LiveKit cannot be reached\nit shuts down\n", text)

	status, _ = get(t, s, "/healthz")
	require.Equal(t, http.StatusOK, status, "it lives all the same")
	require.NoError(t, Ask(t.Context(), s.Address))
}

func TestPrometheusGetsEverything(t *testing.T) {
	metrics.Ended.With("completed", "left").Inc()
	metrics.Ended.With("a state", "nobody has thought of").Inc()
	metrics.PickUp.Observe(90 * time.Millisecond)
	s := serve(t, func() []string { return nil })
	status, text := get(t, s, "/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		`# TYPE livekit_recorder_pick_up_seconds histogram`,
		`livekit_recorder_pick_up_seconds_bucket{le="+Inf"}`,
		`livekit_recorder_recordings_ended_total{reason="other",state="failed"} 1`,
		`livekit_recorder_frames_total{kind="audio"} `,
		`livekit_recorder_build_info{version="v1"} 1`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		require.Contains(t, text, line)
	}
}

// Everything in /metrics must be bounded, whoever is recorded, where and how often.
func TestNoLabelNamesARoomOrAPerson(t *testing.T) {
	for _, m := range metrics.All() {
		for _, label := range m.Labels {
			require.Contains(t, []string{"state", "reason", "kind", "result", "receiver"}, label, m.Name)
		}
		require.LessOrEqual(t, len(m.Samples()), 20, m.Name)
		require.True(t, strings.HasSuffix(m.Name, "_total") == (m.Kind == metrics.Counts), m.Name)
		require.NotEmpty(t, m.Help, m.Name)
	}
}

// A loop that does not turn, and has not ended, makes the recorder a dead one; one that has ended does not.
func TestARecorderWhoseLoopsAreStuckIsNotWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer metrics.Renewing.End()
		metrics.Renewing.Turn()
		time.Sleep(stuck - time.Second)
		require.Empty(t, metrics.Stuck(stuck))
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{metrics.Renewing.Name}, metrics.Stuck(stuck))
		metrics.Renewing.Turn()
		require.Empty(t, metrics.Stuck(stuck))
		time.Sleep(2 * stuck)
		metrics.Renewing.End()
		require.Empty(t, metrics.Stuck(stuck))
	})
}

func TestAskingADeadRecorder(t *testing.T) {
	stuckServer, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { // ends when the listener is closed
		_ = http.Serve(stuckServer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, []string{"renewing of messages", "measuring of the disk"})
		}))
	}()
	t.Cleanup(func() { _ = stuckServer.Close() })

	for address, fault := range map[string]string{
		"":                          "METRICS_ADDR is not set",
		"9090":                      "METRICS_ADDR is no address",
		"127.0.0.1:1":               "refused",
		stuckServer.Addr().String(): "503 Service Unavailable: renewing of messages, measuring of the disk",
	} {
		require.ErrorContains(t, Ask(t.Context(), address), fault)
	}
}

func TestAnAddressThatIsTakenIsToldByItsSetting(t *testing.T) {
	s := serve(t, func() []string { return nil })
	require.ErrorContains(t, (&Server{Address: s.Address, Log: s.Log}).Listen(t.Context()), "METRICS_ADDR")
}
