package environment

import (
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// setAll sets what is required, and nothing else.
func setAll(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"LIVEKIT_API_KEY":     "key",
		"LIVEKIT_API_SECRET":  "secret",
		"LIVEKIT_SECRET_ARN":  "",
		"START_QUEUE_URL":     "https://sqs.example.com/starts",
		"CONTROL_QUEUE_URL":   "https://sqs.example.com/controls",
		"S3_BUCKET":           "",
		"S3_REGION":           "",
		"AWS_REGION":          "eu-central-1",
		"AUTO_RECORD":         "",
		"AUTO_RECORD_KINDS":   "",
		"AUTO_RECORD_TARGETS": "",
		"LOG_LEVEL":           "",
		"ECS_CLUSTER":         "",
		"ECS_SERVICE":         "",
	} {
		t.Setenv(name, value)
	}
}

func TestEverythingWrongInTheEnvironmentIsNamedAtOnce(t *testing.T) {
	setAll(t)
	t.Setenv("LIVEKIT_API_SECRET", "")
	t.Setenv("CONTROL_QUEUE_URL", "")
	t.Setenv("AUTO_RECORD", "everybody")
	t.Setenv("AUTO_RECORD_KINDS", "standard,egress")
	t.Setenv("AUTO_RECORD_TARGETS", "av,camera")
	t.Setenv("LOG_LEVEL", "loud")
	t.Setenv("ECS_SERVICE", "recorders")

	_, err := readSettings()
	require.Error(t, err)
	for _, fault := range []string{
		"LIVEKIT_API_SECRET is not set",
		"CONTROL_QUEUE_URL is not set",
		"AUTO_RECORD must be",
		`AUTO_RECORD_KINDS must be a comma-separated list of standard, ingress, sip, agent: "egress" is none of them`,
		`AUTO_RECORD_TARGETS must be a comma-separated list of av, audio, video, screen: "camera" is none of them`,
		"LOG_LEVEL must be",
		"ECS_CLUSTER and ECS_SERVICE go together",
	} {
		require.ErrorContains(t, err, fault)
	}
	require.NotContains(t, err.Error(), "START_QUEUE_URL")
}

func TestWhatIsRequiredIsEnough(t *testing.T) {
	setAll(t)
	s, err := readSettings()
	require.NoError(t, err)
	require.Equal(t, "eu-central-1", s.region)
	require.Equal(t, logrus.InfoLevel, s.logLevel)
	require.Len(t, s.kinds, 4)
	require.Len(t, s.targets, 1)

	handler, err := Handler(t.Context(), NewLog())
	require.NoError(t, err)
	require.NotNil(t, handler)
}
