package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/webhook"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/secrets"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

// The API key that is changed to. The old one is that of the local system.
const newID, newSecret = "rotated", "very-new-secret"

var oldKey, newKey = keys.Key{ID: stack.LiveKitKey, Secret: stack.LiveKitSecret}, keys.Key{ID: newID, Secret: newSecret}

// systemWithSecret is a system of a test's own whose function and recorders have the API keys from a secret. Change says
// what else is unusual about it.
func systemWithSecret(t *testing.T, secret *secrets.Server, autoRecord string, change ...keys.Key) *stack.Stack {
	t.Helper()
	return newSystem(t, func(o *stack.Options) {
		o.Secret, o.AutoRecord, o.LiveKitKeys = secret, autoRecord, change
	})
}

// An API key is changed while people are recorded: in the secret first, then whoever signs with it, and then the old one
// is taken away from LiveKit. Nobody is refused at any time, no webhook and no notice gets lost, and nothing is deployed.
func TestChangingTheAPIKeyRefusesNobody(t *testing.T) {
	t.Parallel()
	secret := secrets.New(secrets.KeyText(stack.LiveKitKey, stack.LiveKitSecret))
	s := systemWithSecret(t, secret, "all", oldKey, newKey)
	notices := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, key := range []keys.Key{oldKey, newKey} {
			if _, err := webhook.Receive(r, auth.NewSimpleKeyProvider(key.ID, key.Secret)); err == nil {
				notices <- key.ID
				return
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer hook.Close()
	p := recorder(t, s, "WEBHOOK_URLS="+hook.URL)
	asked := func(key keys.Key) stack.REST { return stack.REST{Base: s.API, Logs: s.Work, Key: key} }
	recordedBy := func(key keys.Key, room string) (*participant.Participant, document.Recording) {
		t.Helper()
		somebody, err := participant.Join(s.LiveKit, key.ID, key.Secret, room, "alice", media)
		require.NoError(t, err)
		t.Cleanup(somebody.Leave)
		publish(t, somebody, "vp8")
		r, err := asked(key).AwaitOf(bounded(t, patience), room, "alice", active)
		require.NoError(t, err)
		return somebody, r
	}
	ends := func(key keys.Key, somebody *participant.Participant, r document.Recording) {
		t.Helper()
		pause(t, somebody, length)
		somebody.Leave()
		r, err := asked(key).Await(bounded(t, patience), r.ID, document.Recording.Final)
		require.NoError(t, err)
		require.Equal(t, document.Completed, r.State, r.Reason)
		checkCovers(t, s, r, somebody.Sent("audio"))
	}

	before, first := recordedBy(oldKey, "before")
	secret.Put(secrets.KeyText(newID, newSecret), time.Now())
	for range 10 { // by either, at once, at whichever instance of the function
		for _, key := range []keys.Key{newKey, oldKey} {
			_, err := asked(key).Get(t.Context(), first.ID)
			require.NoError(t, err)
		}
	}
	ends(oldKey, before, first)

	require.NoError(t, s.SetLiveKitKeys(bounded(t, time.Minute), newKey, oldKey)) // signs webhooks with the new one
	during, second := recordedBy(newKey, "during")
	ends(newKey, during, second)
	require.NoError(t, s.SetLiveKitKeys(bounded(t, time.Minute), newKey))
	after, third := recordedBy(newKey, "after")
	ends(newKey, after, third)

	for range 3 {
		select {
		case <-notices:
		case <-time.After(patience):
			t.Fatalf("a notice did not come; logs: %s", s.Work)
		}
	}
	refusesNobodyAndTellsNothing(t, s, p)
}

// refusesNobodyAndTellsNothing looks through all logs.
func refusesNobodyAndTellsNothing(t *testing.T, s *stack.Stack, p *stack.Process) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.Work, "*.log"))
	require.NoError(t, err)
	require.Contains(t, logs, p.LogPath)
	for _, path := range logs {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name := filepath.Base(path)
		if strings.HasPrefix(name, "lambda") { // LiveKit may refuse the recorder once, which tries the other key then
			require.NotContains(t, string(text), `"status":401`)
		}
		if strings.HasPrefix(name, "lambda") || strings.HasPrefix(name, "recorder") {
			require.NotContains(t, string(text), newSecret)
			require.NotContains(t, string(text), "eyJ", "the beginning of a token")
		}
	}
}
