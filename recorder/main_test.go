package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// required are the variables without which nothing starts.
func required(t *testing.T) {
	for name, value := range map[string]string{
		"LIVEKIT_URL": "wss://x", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s",
		"START_QUEUE_URL": "https://x/starts", "CONTROL_QUEUE_URL": "https://x/controls",
	} {
		t.Setenv(name, value)
	}
}

func TestEveryFaultOfTheEnvironmentIsToldAtOnce(t *testing.T) {
	required(t)
	t.Setenv("LIVEKIT_URL", "http://x")
	t.Setenv("SCRATCH_LIMIT", "20GB")
	t.Setenv("MAX_RECORDINGS", "0")
	t.Setenv("REJOIN_WINDOW", "soon")
	t.Setenv("HOLD_LIMIT", "12h")
	t.Setenv("S3_BUCKET", "b")
	t.Setenv("AWS_REGION", "")
	_, err := readSettings()
	for _, name := range []string{"LIVEKIT_URL", "SCRATCH_LIMIT", "MAX_RECORDINGS", "REJOIN_WINDOW", "HOLD_LIMIT",
		"S3_REGION"} {
		require.ErrorContains(t, err, name)
	}
}

func TestSettings(t *testing.T) {
	required(t)
	t.Setenv("SCRATCH_LIMIT", "20GiB")
	t.Setenv("HAND_OVER_TIMEOUT", "0s")
	s, err := readSettings()
	require.NoError(t, err)
	require.EqualValues(t, 20<<30, s.limits.scratchLimit)
	require.Zero(t, s.policy.HandOver)
	require.Equal(t, 30*time.Second, s.policy.RejoinWindow)
}

// CloudWatch reads metrics out of log lines that look like this.
func TestMetricsAreInEmbeddedMetricFormat(t *testing.T) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetFormatter(&logrus.JSONFormatter{})
	logMetrics(log, time.UnixMilli(1700000000123), []metric{{"Recordings", "Count", 3}, {"ScratchBytes", "Bytes", 4096}})
	var line struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
		Recordings, ScratchBytes float64
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.EqualValues(t, 1700000000123, line.AWS.Timestamp)
	require.Len(t, line.AWS.CloudWatchMetrics, 1)
	require.Len(t, line.AWS.CloudWatchMetrics[0].Metrics, 2)
	require.Equal(t, [][]string{{}}, line.AWS.CloudWatchMetrics[0].Dimensions)
	require.EqualValues(t, 3, line.Recordings)
	require.EqualValues(t, 4096, line.ScratchBytes)
}

func TestProcessorTimeIsMeasured(t *testing.T) {
	before := cpuTime()
	for sum, began := 0, time.Now(); time.Since(began) < 50*time.Millisecond; sum++ {
		_ = sum * sum
	}
	require.Greater(t, cpuTime(), before)
	m := &cpuMeter{processors: 1}
	require.False(t, m.Busy())
	m.share.Store(math.Float64bits(0.9))
	require.True(t, m.Busy())
}
