package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"livekit-recorder/infra/local/secrets"
	"livekit-recorder/infra/local/stack"
)

// startBound is within what time a recorder with a wrong setting must have ended.
const startBound = 30 * time.Second

// hastyQueue is a queue that gives messages up before recorders do.
func hastyQueue(t *testing.T, s *stack.Stack) string {
	t.Helper()
	policy := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:starts-dead","maxReceiveCount":3}`
	out, err := s.SQSClient().CreateQueue(t.Context(), &awssqs.CreateQueueInput{
		QueueName:  aws.String("hasty"),
		Attributes: map[string]string{"RedrivePolicy": policy},
	})
	require.NoError(t, err)
	return aws.ToString(out.QueueUrl)
}

// unaudited is for recorders with other settings than the template's: it would not allow what they call.
func unaudited(o *stack.Options) { o.Audit = false }

// A recorder with a wrong setting must not seem to be ready: whoever has set it would learn of it when somebody was not
// recorded. It says in one line which one it is, and what to do.
func TestRecorderWithAWrongSettingEndsAndSaysWhich(t *testing.T) {
	t.Parallel()
	s := newSystem(t, unaudited)
	var wrong []mistake
	for name, c := range map[string]struct{ environment, setting string }{
		"LiveKit's name":             {"LIVEKIT_URL=wss://nowhere.invalid", "LIVEKIT_URL"},
		"LiveKit's port":             {"LIVEKIT_URL=ws://127.0.0.1:1", "LIVEKIT_URL"},
		"no LiveKit":                 {"LIVEKIT_URL=" + strings.Replace(s.S3, "http", "ws", 1), "LIVEKIT_URL"},
		"LiveKit with a certificate": {"LIVEKIT_URL=" + strings.Replace(s.LiveKit, "ws", "wss", 1), "LIVEKIT_URL"},
		"LiveKit's scheme":           {"LIVEKIT_URL=https://127.0.0.1", "LIVEKIT_URL"},
		"API key":                    {"LIVEKIT_API_KEY=other", "LIVEKIT_API_KEY"},
		"API secret":                 {"LIVEKIT_API_SECRET=other", "LIVEKIT_API_SECRET"},
		"start queue":                {"START_QUEUE_URL=" + s.SQS + "/000000000000/other", "START_QUEUE_URL"},
		"control queue":              {"CONTROL_QUEUE_URL=" + s.SQS + "/000000000000/other", "CONTROL_QUEUE_URL"},
		"one queue for both":         {"CONTROL_QUEUE_URL=" + s.StartQueue, "CONTROL_QUEUE_URL"},
		"redrive policy":             {"START_QUEUE_URL=" + hastyQueue(t, s), "START_QUEUE_URL"},
		"bucket":                     {"S3_BUCKET=other-bucket", "S3_BUCKET"},
		"region":                     {"S3_REGION=eu-central-1", "S3_REGION"},
		"S3's name":                  {"AWS_ENDPOINT_URL_S3=http://nowhere.invalid", "S3_BUCKET"},
		"AWS credentials":            {"AWS_ACCESS_KEY_ID=other", "AWS credentials"},
		"ffmpeg":                     {"FFMPEG=/nowhere/ffmpeg", "FFMPEG"},
		"no ffmpeg":                  {"FFMPEG=/bin/false", "FFMPEG"},
		"scratch directory":          {"SCRATCH_DIR=/proc/scratch", "SCRATCH_DIR"},
		"webhook":                    {"WEBHOOK_URLS=receiver.example.com", "WEBHOOK_URLS"},
		"secret's name":              {"LIVEKIT_SECRET_ARN=livekit", "LIVEKIT_SECRET_ARN"},
	} {
		wrong = append(wrong, mistake{name: name, setting: c.setting, environment: c.environment})
	}
	wrong = append(wrong, mistake{ // both queues were never reached there
		name:        "SQS's address",
		setting:     "_QUEUE_URL",
		environment: "AWS_ENDPOINT_URL_SQS=http://127.0.0.1:1",
		lines:       2,
	})
	endAndSay(t, s, wrong)
}

// mistake is a recorder that must not start.
type mistake struct {
	name, setting, environment string
	lines                      int // 0 means 1
}

// endAndSay starts recorders that must end by themselves, in time, each with one line about its setting.
func endAndSay(t *testing.T, s *stack.Stack, mistakes []mistake) {
	t.Helper()
	printed, took := make([][]byte, len(mistakes)), make([]time.Duration, len(mistakes))
	errs := make([]error, len(mistakes))
	var running errgroup.Group
	running.SetLimit(12)
	for n, m := range mistakes {
		running.Go(func() error {
			began := time.Now()
			printed[n], errs[n] = s.RunRecorder(bounded(t, 2*startBound), fmt.Sprint("wrong-", n), nil, m.environment)
			took[n] = time.Since(began)
			return nil
		})
	}
	require.NoError(t, running.Wait())

	for n, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			require.ErrorContains(t, errs[n], "exit status 1")
			require.Less(t, took[n], startBound)
			require.NotContains(t, string(printed[n]), "recorder ready")
			var said []string
			for line := range strings.Lines(string(printed[n])) {
				if strings.Contains(line, `"level":"error"`) {
					said = append(said, line)
				}
			}
			require.Len(t, said, max(1, m.lines))
			for _, line := range said {
				require.Contains(t, line, m.setting)
			}
			t.Logf("after %s: %s", took[n].Round(time.Millisecond), said[0])
		})
	}
}

// What is wrong with a secret is said like that, too, and nothing that is in it.
func TestRecorderWithAWrongSecretEndsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := systemWithSecret(t, secrets.New(secrets.KeyText("other", "very-secret")), "off")
	endAndSay(t, s, []mistake{
		{name: "LiveKit does not know it", setting: "LIVEKIT_SECRET_ARN"},
		{
			name:        "it is not there",
			setting:     "LIVEKIT_SECRET_ARN",
			environment: "LIVEKIT_SECRET_ARN=" + strings.Replace(secrets.ARN, "livekit", "other", 1),
		},
	})
}

// What a recorder checks when it starts can be asked for without starting one. It leaves nothing behind, and takes
// nothing off the queues.
func TestCheckFindsNothingWrongAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, unaudited)
	start(t, s, map[string]string{"room": "r", "participant": "p"})

	began := time.Now()
	printed, err := s.RunRecorder(t.Context(), "check", []string{"check"})
	require.NoError(t, err, "%s", printed)
	t.Logf("in %s:\n%s", time.Since(began), printed)
	require.Equal(t, 8, strings.Count(string(printed), "\n"), "one line each")
	onlyFiles(t, s)
	visible, held := messages(t, s, s.StartQueue)
	require.Equal(t, []int{1, 0}, []int{visible, held})

	printed, err = s.RunRecorder(t.Context(), "check", []string{"check", "--json"}, "S3_BUCKET=other-bucket")
	require.ErrorContains(t, err, "exit status 1")
	var report struct {
		OK     bool
		Checks []struct{ Check, State, Setting, Detail, Remedy string }
	}
	require.NoError(t, json.Unmarshal(printed, &report), "%s", printed)
	require.False(t, report.OK)
	for _, c := range report.Checks {
		require.Equal(t, c.Check == "bucket", c.State != "ok", fmt.Sprint(c))
		if c.Check == "bucket" {
			require.Equal(t, "S3_BUCKET", c.Setting)
			require.NotEmpty(t, c.Remedy)
		}
	}
}
