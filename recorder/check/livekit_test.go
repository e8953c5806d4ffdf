package check

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/keys"
)

var oldKey, newKey = keys.Key{ID: "old", Secret: "old-secret"}, keys.Key{ID: "new", Secret: "new-secret"}

// aLiveKit answers as LiveKit does to those who have the key, with a clock that is ahead, or with something else.
func aLiveKit(key keys.Key, ahead time.Duration, status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		token, err := auth.ParseAPIToken(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err == nil && token.APIKey() == key.ID {
			_, err = token.Verify(key.Secret)
		}
		if err != nil || token.APIKey() != key.ID {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, "invalid token: %s", r.Header.Get("Authorization"))
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

func TestAnswersOfLiveKitAreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		server  http.Handler
		state   State
		setting string
		detail  string
	}{
		"well":               {aLiveKit(newKey, 0, 200, `{"rooms":[]}`), OK, "", "takes the API key"},
		"has another key":    {aLiveKit(keys.Key{ID: "x", Secret: "y"}, 0, 200, `{}`), Wrong, "KEY", "refuses the API key"},
		"has another secret": {aLiveKit(keys.Key{ID: "new", Secret: "y"}, 0, 200, `{}`), Wrong, "KEY", "refuses the API key"},
		"has the old key":    {aLiveKit(oldKey, 0, 200, `{}`), Warning, "KEY", "takes the key before"},
		"is two minutes on":  {aLiveKit(newKey, 2*time.Minute, 401, ``), Wrong, "the clock", "differ by -2m0s"},
		"is two minutes off": {aLiveKit(newKey, -2*time.Minute, 200, `{}`), Wrong, "the clock", "differ by 2m0s"},
		"is 20 seconds on":   {aLiveKit(newKey, 20*time.Second, 200, `{}`), Warning, "the clock", "differ by -20s"},
		"is something else":  {aLiveKit(newKey, 0, 200, `<html>`), Wrong, "LIVEKIT_URL", "no LiveKit server"},
		"is not there":       {aLiveKit(newKey, 0, 404, ``), Wrong, "LIVEKIT_URL", "404"},
		"is elsewhere":       {aLiveKit(newKey, 0, 308, ``), Wrong, "LIVEKIT_URL", "308"},
		"is out of order":    {aLiveKit(newKey, 0, 502, ``), Away, "LIVEKIT_URL", "502"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.server)
			defer server.Close()
			address := strings.Replace(server.URL, "http", "ws", 1)
			found := Run(t.Context(), []Check{LiveKit(address, "KEY", keys.Fixed(newKey, oldKey))})[0]
			require.Equal(t, c.state, found.State, found.String())
			require.Equal(t, c.setting, found.Setting)
			require.Contains(t, found.Detail, c.detail)
			require.NotContains(t, found.String(), "eyJ", "a token")
			require.NotContains(t, found.String(), "\n")
		})
	}
}

// What LiveKit's address has of a password is not told.
func TestAddressesAreToldWithoutTheirPasswords(t *testing.T) {
	check := LiveKit("ws://user:very-secret@127.0.0.1:1", "KEY", keys.Fixed(newKey, keys.Key{}))
	found := Run(t.Context(), []Check{check, Webhook("https://127.0.0.1:1/hook?token=very-secret")})
	for _, f := range found {
		require.Equal(t, Away, f.State)
		require.Contains(t, f.Detail, "connection refused")
		require.NotContains(t, f.String(), "very-secret")
	}
}
