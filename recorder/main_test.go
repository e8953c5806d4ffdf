package main

import (
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
	t.Setenv("METRICS_ADDR", "9090")
	_, err := readSettings()
	for _, name := range []string{"LIVEKIT_URL", "SCRATCH_LIMIT", "MAX_RECORDINGS", "REJOIN_WINDOW", "HOLD_LIMIT",
		"S3_REGION", "METRICS_ADDR"} {
		require.ErrorContains(t, err, name)
	}
}

func TestSettings(t *testing.T) {
	required(t)
	t.Setenv("SCRATCH_LIMIT", "20GiB")
	t.Setenv("HAND_OVER_TIMEOUT", "0s")
	t.Setenv("METRICS_ADDR", ":9090")
	t.Setenv("STACK_NAME", "recorders")
	t.Setenv("EVENT_BUS", "calls")
	s, err := readSettings()
	require.NoError(t, err)
	require.EqualValues(t, 20<<30, s.limits.scratchLimit)
	require.Zero(t, s.policy.HandOver)
	require.Equal(t, 30*time.Second, s.policy.RejoinWindow)
	require.Equal(t, logrus.InfoLevel, s.operators.logLevel)
	require.Equal(t, ":9090", s.operators.address)
	require.Equal(t, "recorders", s.operators.stack)
	require.Equal(t, "calls", s.notices.bus)
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
