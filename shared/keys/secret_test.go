package keys_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/secrets"
	"livekit-recorder/shared/keys"
)

// open opens the keys of a secret as a program would whose environment names it. It returns the program's log, too.
func open(t *testing.T, server http.Handler, arn string) (*keys.Keys, *bytes.Buffer) {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	source, faults := keys.ReadSource(func(name string) string {
		return map[string]string{"LIVEKIT_SECRET_ARN": arn}[name]
	})
	require.Empty(t, faults)

	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	return source.Open(aws.Config{
		BaseEndpoint:     &listener.URL,
		Credentials:      credentials.NewStaticCredentialsProvider("a", "b", ""),
		RetryMaxAttempts: 1,
	}, log), &out
}

func TestASecretThatIsChangedHasTwoKeys(t *testing.T) {
	server := secrets.New(secrets.KeyText("old", "old-secret"))
	k, log := open(t, server, secrets.ARN)
	known, err := k.Known(t.Context())
	require.NoError(t, err)
	require.True(t, known.Current == keys.Key{ID: "old", Secret: "old-secret"})
	require.Len(t, known.All(), 1, "it was never changed")

	server.Put(secrets.KeyText("new", "new-secret"), time.Now())
	known, err = k.Again(t.Context())
	require.NoError(t, err)
	require.True(t, known.Current == keys.Key{ID: "new", Secret: "new-secret"})
	require.True(t, known.Previous == keys.Key{ID: "old", Secret: "old-secret"})
	require.WithinDuration(t, time.Now(), known.Since, time.Minute)

	server.Forget()
	known, err = k.Again(t.Context())
	require.NoError(t, err)
	require.Len(t, known.All(), 1, "somebody has taken the label away: that key must not be good any more")
	require.NotContains(t, log.String(), "old")
	require.NotContains(t, log.String(), "new")
}

func TestSecretsThatCannotBeUsedAreNotQuoted(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":      `LIVEKIT_API_SECRET=very-secret`,
		"a string":     `"very-secret"`,
		"no key":       `{"LIVEKIT_API_SECRET":"very-secret"}`,
		"no secret":    `{"LIVEKIT_API_KEY":"very-secret"}`,
		"empty secret": `{"LIVEKIT_API_KEY":"very-secret","LIVEKIT_API_SECRET":""}`,
		"a number":     `{"LIVEKIT_API_KEY":"very-secret","LIVEKIT_API_SECRET":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			k, log := open(t, secrets.New(text), secrets.ARN)
			_, err := k.Known(t.Context())
			require.ErrorContains(t, err, "must be a JSON object with LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
			require.NotContains(t, err.Error()+log.String(), "very-secret")
		})
	}
}

// Whoever mends a secret that had nothing useful in it must not have to wait for another change.
func TestAPreviousVersionThatIsNoKeyIsAsGoodAsNone(t *testing.T) {
	server := secrets.New("a first try")
	server.Put(secrets.KeyText("new", "new-secret"), time.Now())
	k, _ := open(t, server, secrets.ARN)
	known, err := k.Known(t.Context())
	require.NoError(t, err)
	require.Len(t, known.All(), 1)
}

func TestASecretThatIsNotThereOrForbiddenIsAnError(t *testing.T) {
	k, _ := open(t, secrets.New(secrets.KeyText("k", "s")), secrets.ARN+"-other")
	_, err := k.Known(t.Context())
	require.ErrorContains(t, err, "ResourceNotFoundException")

	server := secrets.New(secrets.KeyText("k", "s"))
	server.Fail(http.StatusBadRequest)
	k, _ = open(t, server, secrets.ARN)
	_, err = k.Known(t.Context())
	require.ErrorContains(t, err, "AccessDeniedException")
}

func TestWhatIsWrongWithTheVariablesIsSaidWithTheirNames(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		says        []string
	}{
		"nothing is set": {nil, []string{
			"LIVEKIT_API_KEY is not set, and neither is LIVEKIT_SECRET_ARN",
			"LIVEKIT_API_SECRET is not set, and neither is LIVEKIT_SECRET_ARN",
		}},
		"a name instead of an ARN": {map[string]string{"LIVEKIT_SECRET_ARN": "livekit"}, []string{
			"LIVEKIT_SECRET_ARN is not the ARN of a secret",
		}},
		"both": {map[string]string{"LIVEKIT_SECRET_ARN": secrets.ARN, "LIVEKIT_API_KEY": "k"}, []string{
			"LIVEKIT_SECRET_ARN does not go with LIVEKIT_API_KEY",
		}},
		"half of a previous key": {
			map[string]string{"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s", "LIVEKIT_PREVIOUS_API_KEY": "p"},
			[]string{"LIVEKIT_PREVIOUS_API_KEY and LIVEKIT_PREVIOUS_API_SECRET must both be set"},
		},
		"a secret": {map[string]string{"LIVEKIT_SECRET_ARN": secrets.ARN}, nil},
		"a key":    {map[string]string{"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}, nil},
		"China's cloud": {map[string]string{
			"LIVEKIT_SECRET_ARN": "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a/b-AbCdEf",
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := keys.ReadSource(func(name string) string { return c.environment[name] })
			require.Len(t, faults, len(c.says))
			for n, says := range c.says {
				require.ErrorContains(t, faults[n], says)
			}
		})
	}
}
