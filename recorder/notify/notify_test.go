package notify

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/webhook"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

var ended = document.Recording{ID: "RC_1", Room: "room", Participant: "alice", UpdatedAt: time.Unix(1000, 0)}

// receiver answers with a status, and keeps what has come. Its URL has a secret in it.
func receiver(t *testing.T, status int) (n *Notifier, bodies func() []string, log *bytes.Buffer) {
	t.Helper()
	var all []string
	provider := auth.NewSimpleKeyProvider("key", strings.Repeat("secret", 6))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := webhook.Receive(r, provider)
		if err != nil {
			t.Error("a notice is not signed: ", err)
		}
		all = append(all, string(body))
		w.Header().Set("Location", "/somewhere/else")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)

	log = &bytes.Buffer{}
	logger := logrus.New()
	logger.SetOutput(log)
	n, err := New([]string{server.URL + "/hook?token=very-secret"}, false,
		keys.Fixed(keys.Key{ID: "key", Secret: strings.Repeat("secret", 6)}, keys.Key{}), logger)
	require.NoError(t, err)
	return n, func() []string { return all }, log
}

func TestWhoeverRefusesIsNotToldAgain(t *testing.T) {
	for status, again := range map[int]bool{
		http.StatusOK:                  false,
		http.StatusNoContent:           false,
		http.StatusFound:               false,
		http.StatusBadRequest:          false,
		http.StatusGone:                false,
		http.StatusTooManyRequests:     true,
		http.StatusInternalServerError: true,
		http.StatusServiceUnavailable:  true,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			n, bodies, log := receiver(t, status)
			require.Len(t, n.Receivers(ended), 1)
			err := n.Deliver(t.Context(), n.Receivers(ended)[0], ended)
			require.Equal(t, again, err != nil, "%v", err)
			require.Len(t, bodies(), 1)
			require.Contains(t, bodies()[0], `"event":"recording_ended"`)
			require.NotContains(t, log.String(), "very-secret")
		})
	}
}

func TestTheSameStateHasTheSameEventAgain(t *testing.T) {
	require.Equal(t, eventID(ended), eventID(ended))
	amended := ended
	amended.UpdatedAt = amended.UpdatedAt.Add(time.Nanosecond)
	require.NotEqual(t, eventID(ended), eventID(amended))
}

func TestAReceiverThatCannotBeReachedIsAnErrorWithoutItsURL(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	n, err := New([]string{"http://127.0.0.1:1/hook?token=very-secret"}, false,
		keys.Fixed(keys.Key{ID: "key", Secret: "secret"}, keys.Key{}), log)
	require.NoError(t, err)
	err = n.Deliver(t.Context(), n.Receivers(ended)[0], ended)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "very-secret")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, n.Deliver(ctx, n.Receivers(ended)[0], ended), context.Canceled)
	require.NoError(t, n.Deliver(t.Context(), "one that was taken out of the configuration", ended))
}

// While keys are changed, a receiver may know the new one only, or the old one only.
func TestAReceiverThatKnowsOneOfTwoKeysIsTold(t *testing.T) {
	current := keys.Key{ID: "new", Secret: strings.Repeat("new", 12)}
	previous := keys.Key{ID: "old", Secret: strings.Repeat("old", 12)}
	for name, c := range map[string]struct {
		knows keys.Key
		tries int
		told  bool
	}{
		"the new one": {current, 1, true},
		"the old one": {previous, 2, true},
		"neither":     {keys.Key{ID: "third", Secret: "x"}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			tries, told := 0, false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries++
				if _, err := webhook.Receive(r, auth.NewSimpleKeyProvider(c.knows.ID, c.knows.Secret)); err != nil {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				told = true
			}))
			defer server.Close()

			var out bytes.Buffer
			log := logrus.New()
			log.SetOutput(&out)
			n, err := New([]string{server.URL}, false, keys.Fixed(current, previous), log)
			require.NoError(t, err)
			require.NoError(t, n.Deliver(t.Context(), n.Receivers(ended)[0], ended), "it is not tried again later")
			require.Equal(t, c.tries, tries)
			require.Equal(t, c.told, told)
			require.Equal(t, !c.told, strings.Contains(out.String(), "was refused"))
		})
	}
}
