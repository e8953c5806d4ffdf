package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/secrets"
	"livekit-recorder/shared/keys"
)

const newID, newSecret = "newkey", "another secret that is long enough for anybody"

// withSecret is a handler whose keys are in a secret.
func withSecret(t *testing.T, kept *secrets.Server) (service, *test.Hook) {
	t.Helper()
	a, _ := newService(t)
	server := httptest.NewServer(kept)
	t.Cleanup(server.Close)
	source, faults := keys.ReadSource(func(name string) string {
		return map[string]string{"LIVEKIT_SECRET_ARN": secrets.ARN}[name]
	})
	require.Empty(t, faults)

	log, hook := test.NewNullLogger()
	a.Log = log
	a.Keys = source.Open(aws.Config{
		BaseEndpoint:     &server.URL,
		RetryMaxAttempts: 1,
		Credentials:      credentials.NewStaticCredentialsProvider("a", "b", ""),
	}, log)
	return serve(a.Config), hook
}

// calls makes a REST call and delivers a webhook, both signed with a key, and returns the answers' statuses.
func (s service) calls(t *testing.T, id, secret string) (statuses [2]int) {
	t.Helper()
	start := call{"POST", "/recordings/start", `{"room":"r","participant":"p"}`, "Bearer " + tokenBy(t, id, secret, nil)}
	statuses[0], _ = s.call(t, start)
	jwt, err := auth.NewAccessToken(id, secret).SetValidFor(time.Minute).SetSha256(hash(joinedBody)).ToJWT()
	require.NoError(t, err)
	statuses[1], _ = s.call(t, call{"POST", "/recordings/webhooks", joinedBody, jwt})
	return statuses
}

var good, refused, tryAgain = [2]int{202, 200}, [2]int{401, 401}, [2]int{503, 503}

// A key is changed while calls and webhooks come, signed with either: nobody is refused.
func TestChangingTheKeyRefusesNobody(t *testing.T) {
	kept := secrets.New(secrets.KeyText(key, secret))
	a, hook := withSecret(t, kept)
	require.Equal(t, good, a.calls(t, key, secret))
	require.Equal(t, refused, a.calls(t, newID, newSecret), "not yet")

	kept.Put(secrets.KeyText(newID, newSecret), time.Now())
	for range 20 {
		require.Equal(t, good, a.calls(t, newID, newSecret))
		require.Equal(t, good, a.calls(t, key, secret))
	}
	require.Less(t, kept.Reads(), 6, "what is known is not read again for each call")

	kept.Put(secrets.KeyText("third", newSecret), time.Now())
	require.Equal(t, good, a.calls(t, "third", newSecret))
	require.Equal(t, good, a.calls(t, newID, newSecret))
	require.Equal(t, refused, a.calls(t, key, secret), "two changes ago")
	for _, line := range hook.AllEntries() {
		text, err := line.String()
		require.NoError(t, err)
		require.NotContains(t, text, "long enough")
	}
}

// Somebody who has stolen a key can use it until it is changed, and not for ever.
func TestAKeyThatWasChangedAWeekAgoIsRefused(t *testing.T) {
	kept := secrets.New(secrets.KeyText(key, secret))
	kept.Put(secrets.KeyText(newID, newSecret), time.Now().Add(-8*24*time.Hour))
	a, _ := withSecret(t, kept)
	require.Equal(t, good, a.calls(t, newID, newSecret))
	require.Equal(t, refused, a.calls(t, key, secret))
}

// That the function cannot read its secret is not the caller's fault: LiveKit delivers a webhook again that was
// answered with 503, and drops one that was answered with 401.
func TestASecretThatCannotBeReadRefusesNobody(t *testing.T) {
	for name, status := range map[string]int{"forbidden": http.StatusBadRequest, "out of order": 500} {
		t.Run(name, func(t *testing.T) {
			kept := secrets.New(secrets.KeyText(newID, newSecret))
			kept.Fail(status)
			a, hook := withSecret(t, kept)
			require.Equal(t, tryAgain, a.calls(t, newID, newSecret))
			require.Equal(t, tryAgain, a.calls(t, "anybody", "elses key, who can tell"))
			require.True(t, strings.HasPrefix(hook.LastEntry().Message, "signatures cannot be checked"))

			kept.Fail(0)
			again := func() bool { return a.calls(t, newID, newSecret) == good }
			require.Eventually(t, again, 10*time.Second, 100*time.Millisecond)
			kept.Fail(status)
			require.Equal(t, good, a.calls(t, newID, newSecret), "what is known is good")
			require.Equal(t, tryAgain, a.calls(t, "third", "a key that may be new"))
		})
	}
}
