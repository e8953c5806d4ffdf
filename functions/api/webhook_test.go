package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/keys"
)

// signed makes the Authorization header of a LiveKit webhook.
func signed(t *testing.T, body, apiSecret string) string {
	t.Helper()
	jwt, err := auth.NewAccessToken(key, apiSecret).SetValidFor(time.Minute).SetSha256(hash(body)).ToJWT()
	require.NoError(t, err)
	return jwt
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const joinedBody = `{"event":"participant_joined","createdAt":"1700000000","room":{"name":"r"},
	"participant":{"sid":"PA_1","identity":"p","joinedAtMs":"1700000000123","brandNew":{"x":1}},"id":"EV_1"}`

func TestWebhooksStartAndStop(t *testing.T) {
	a, _ := newService(t)
	status, answer := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, signed(t, joinedBody, secret)})
	require.Equal(t, 200, status, answer)
	c := sent(t, a.Starts)
	require.Equal(t, "PA_1", c.Session)
	require.Equal(t, noon, c.RequestedAt)

	body := strings.Replace(joinedBody, "joined\"", "left\"", 1)
	status, _ = a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
	require.Equal(t, 200, status)
	require.Equal(t, "PA_1", sent(t, a.Controls).Session)
}

// Who leaves is gone; whose connection breaks may come back.
func TestDeparturesAreToldFromLostConnections(t *testing.T) {
	a, _ := newService(t)
	for reason, lost := range map[string]bool{
		"CLIENT_INITIATED": false, "PARTICIPANT_REMOVED": false, "ROOM_DELETED": false,
		"SIGNAL_CLOSE": true, "DUPLICATE_IDENTITY": true, "SERVER_SHUTDOWN": true, "STATE_MISMATCH": true,
		"SOMETHING_NEW": true, "": true,
	} {
		body := strings.Replace(joinedBody, "joined\"", "left\"", 1)
		if reason != "" {
			body = strings.Replace(body, `"identity":"p"`, `"identity":"p","disconnectReason":"`+reason+`"`, 1)
		}
		status, _ := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
		require.Equal(t, 200, status, reason)
		require.Equal(t, lost, sent(t, a.Controls).Lost, reason)
	}
}

func TestForgedWebhooksAreRefused(t *testing.T) {
	a, _ := newService(t)
	for name, authorization := range map[string]string{
		"unsigned":                 "",
		"another body's":           signed(t, joinedBody+" ", secret),
		"another secret's":         signed(t, joinedBody, secret+"x"),
		"expired (replayed later)": expired(t, map[string]any{"sha256": hash(joinedBody)}),
		"algorithm none":           unsigned(signed(t, joinedBody, secret)),
		"a REST token":             token(t, nil),
		"garbage":                  "x",
	} {
		t.Run(name, func(t *testing.T) {
			status, _ := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, authorization})
			require.Equal(t, 401, status)
		})
	}
	status, _ := a.call(t, call{"POST", "/recordings/webhooks", "nonsense", signed(t, "nonsense", secret)})
	require.Equal(t, 400, status)
	require.Nil(t, sent(t, a.Starts))
}

func TestRecordersAndExcludedPeopleAreNotRecorded(t *testing.T) {
	a, _ := newService(t)
	var err error
	a.AutoRecord, err = ParseRules("r*/*,!*/bot-?")
	require.NoError(t, err)
	a.Kinds, err = ParseKinds("standard,sip")
	require.NoError(t, err)
	a = serve(a.Config)

	bot := `"identity":"participant-recorder-RR_1","permission":`
	for name, change := range map[string]*strings.Replacer{
		"egress":       strings.NewReplacer(`"identity":"p"`, `"identity":"p","kind":"EGRESS"`),
		"agent":        strings.NewReplacer(`"identity":"p"`, `"identity":"p","kind":"AGENT"`),
		"our own bot":  strings.NewReplacer(`"identity":"p"`, bot+`{"hidden":true}`),
		"a recorder":   strings.NewReplacer(`"identity":"p"`, bot+`{"recorder":true}`),
		"excluded":     strings.NewReplacer(`"identity":"p"`, `"identity":"bot-1"`),
		"another room": strings.NewReplacer(`"name":"r"`, `"name":"x"`),
		"other event":  strings.NewReplacer(`participant_joined`, `track_published`),
	} {
		t.Run(name, func(t *testing.T) {
			body := change.Replace(joinedBody)
			status, answer := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
			require.Equal(t, 200, status)
			require.NotEmpty(t, answer["ignored"])
		})
	}
	require.Nil(t, sent(t, a.Starts))
}

func TestEverybodyElseIsRecorded(t *testing.T) {
	a, _ := newService(t)
	for name, c := range map[string]struct{ participant, identity string }{
		"agent":                {`"identity":"p","kind":"AGENT"`, "p"},
		"telephone":            {`"identity":"p","kind":"SIP"`, "p"},
		"stream":               {`"identity":"p","kind":"INGRESS"`, "p"},
		"a kind of later":      {`"identity":"p","kind":"CONNECTOR"`, "p"},
		"the same as a number": {`"identity":"p","kind":77`, "p"},
		"called like a bot":    {`"identity":"participant-recorder-RR_1"`, "participant-recorder-RR_1"},
		"control characters":   {`"identity":"a\u0000\n\u007fb"`, "a\x00\n\x7fb"},
		"hidden":               {`"identity":"p","permission":{"hidden":true}`, "p"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(joinedBody, `"identity":"p"`, c.participant, 1)
			status, answer := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
			require.Equal(t, 200, status, answer)
			start := sent(t, a.Starts)
			require.NotNil(t, start)
			require.Equal(t, c.identity, start.Participant)
			require.Equal(t, "av", start.Target())

			body = strings.Replace(body, "joined\"", "left\"", 1)
			status, answer = a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
			require.Equal(t, 200, status, answer)
			require.Equal(t, c.identity, sent(t, a.Controls).Participant)
		})
	}
}

func TestEachTargetIsARecordingOfItsOwn(t *testing.T) {
	a, stopQueues := newService(t)
	var err error
	a.Targets, err = ParseTargets("av, screen,audio,av")
	require.NoError(t, err)
	a = serve(a.Config)

	joined := call{"POST", "/recordings/webhooks", joinedBody, signed(t, joinedBody, secret)}
	status, answer := a.call(t, joined)
	require.Equal(t, 200, status, answer)
	messages, err := a.Starts.Look(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	targets, ids := map[string]bool{}, map[string]bool{}
	for _, m := range messages {
		c, err := command.Decode(m.Body)
		require.NoError(t, err)
		require.Equal(t, "PA_1", c.Session)
		require.Equal(t, answer["command"], c.ID)
		targets[c.Target()], ids[c.Recording] = true, true
	}
	require.Len(t, messages, 3)
	require.Len(t, ids, 3)
	require.Equal(t, map[string]bool{"av": true, "audio": true, "screen": true}, targets)

	stopQueues()
	status, _ = a.call(t, joined)
	require.Equal(t, 503, status, "LiveKit is to send it again")
}

// The clocks of LiveKit's servers are not ours: by theirs, a start could seem to come after the stop that followed it.
func TestLiveKitsClockOrdersNothing(t *testing.T) {
	a, _ := newService(t)
	for name, ahead := range map[string]time.Duration{"ahead": 5 * time.Second, "behind": -5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			theirs := noon.Add(ahead)
			joined := strings.NewReplacer(
				`"1700000000123"`, fmt.Sprintf(`"%d","joinedAt":"%d"`, theirs.UnixMilli(), theirs.Unix()),
				`"1700000000"`, fmt.Sprintf(`"%d"`, theirs.Unix()),
			).Replace(joinedBody)
			require.Contains(t, joined, fmt.Sprintf(`"createdAt":"%d"`, theirs.Unix()))
			left := strings.Replace(joined, "joined\"", "left\"", 1)

			for _, body := range []string{joined, left} {
				status, answer := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
				require.Equal(t, 200, status, answer)
			}
			require.Equal(t, noon, sent(t, a.Starts).RequestedAt)
			require.Equal(t, noon, sent(t, a.Controls).RequestedAt)
		})
	}
}

func FuzzWebhookBodies(f *testing.F) {
	f.Add(joinedBody)
	f.Add(`{"event":"participant_left","participant":{"identity":7}}`)
	f.Fuzz(func(t *testing.T, body string) {
		a := serve(Config{Keys: keys.Fixed(keys.Key{ID: key, Secret: secret}, keys.Key{}), Log: silent()})
		if strings.Contains(body, "left") {
			return // would be sent
		}
		status, _ := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
		require.Contains(t, []int{200, 400, 413}, status)
	})
}
