package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

const key, secret = "devkey", "a secret that is long enough for anybody"

// newTestAPI is the function with real queues behind it; its documents are in a directory.
func newTestAPI(t *testing.T) (a *api, stopQueues func()) {
	t.Helper()
	client, urls, stop, err := sqs.Local(t.Context(), "starts", "controls")
	require.NoError(t, err)
	t.Cleanup(stop)
	log := logrus.New()
	log.SetOutput(io.Discard)
	all, err := parseRules("all")
	require.NoError(t, err)
	return &api{
		keys: auth.NewSimpleKeyProvider(key, secret), rules: all, log: log,
		starts: &queue.Queue{Client: client, URL: urls[0]}, controls: &queue.Queue{Client: client, URL: urls[1]},
		documents: &ledger.Documents{Store: &ledger.DirStore{Root: filepath.Join(t.TempDir(), "bucket")}},
	}, stop
}

func token(t *testing.T, change func(*auth.AccessToken)) string {
	t.Helper()
	at := auth.NewAccessToken(key, secret).SetVideoGrant(&auth.VideoGrant{RoomRecord: true}).SetValidFor(time.Minute)
	if change != nil {
		change(at)
	}
	jwt, err := at.ToJWT()
	require.NoError(t, err)
	return jwt
}

type call struct{ method, path, body, authorization string }

func (a *api) call(t *testing.T, c call) (status int, answer map[string]any) {
	t.Helper()
	event := events.APIGatewayV2HTTPRequest{RawPath: c.path, Body: c.body, Headers: map[string]string{"authorization": c.authorization}}
	if path, query, ok := strings.Cut(c.path, "?room="); ok {
		event.RawPath, event.QueryStringParameters = path, map[string]string{"room": query}
	}
	event.RequestContext.HTTP.Method = c.method
	response, err := a.handle(t.Context(), event)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(response.Body), &answer))
	require.Equal(t, "application/json", response.Headers["content-type"])
	return response.StatusCode, answer
}

// sent takes the only command off a queue; none if there is none.
func sent(t *testing.T, q *queue.Queue) *command.Command {
	t.Helper()
	out, err := q.Client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10})
	require.NoError(t, err)
	if len(out.Messages) == 0 {
		return nil
	}
	require.Len(t, out.Messages, 1)
	c, err := command.Decode(*out.Messages[0].Body)
	require.NoError(t, err)
	require.NoError(t, q.Delete(t.Context(), queue.Message{Receipt: *out.Messages[0].ReceiptHandle}))
	return &c
}

func TestStartStopAndLook(t *testing.T) {
	a, _ := newTestAPI(t)
	bearer := "Bearer " + token(t, nil)
	status, answer := a.call(t, call{"POST", "/recordings/start", `{"room":"r/ö","participant":"p","media":"audio","file":"x/{id}"}`, bearer})
	require.Equal(t, 202, status, answer)
	require.Equal(t, "requested", answer["state"])
	require.Equal(t, "audio", answer["media"])
	c := sent(t, a.starts)
	require.Equal(t, answer["id"], c.Recording)
	require.Equal(t, "r/ö", c.Room)
	require.Equal(t, "x/{id}", c.File)

	status, found := a.call(t, call{"GET", "/recordings/" + c.Recording, "", bearer})
	require.Equal(t, 200, status)
	require.Equal(t, "requested", found["state"])
	status, list := a.call(t, call{"GET", "/recordings?room=r/ö", "", bearer})
	require.Equal(t, 200, status)
	require.Len(t, list["recordings"], 1)

	status, _ = a.call(t, call{"POST", "/recordings/stop", `{"id":"` + c.Recording + `"}`, bearer})
	require.Equal(t, 202, status)
	stop := sent(t, a.controls)
	require.Equal(t, c.Recording, stop.Recording)
	require.Equal(t, "r/ö", stop.Room, "whoever gets it knows whose ledger entry it is")
	status, _ = a.call(t, call{"POST", "/recordings/stop", `{"room":"r","participant":"p"}`, bearer})
	require.Equal(t, 202, status)
	require.Equal(t, "p", sent(t, a.controls).Participant)
}

func TestFaultsAreToldByFieldAndQueueNothing(t *testing.T) {
	a, _ := newTestAPI(t)
	bearer := "Bearer " + token(t, nil)
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		call
		status int
		field  string
	}{
		"no body":            {call{"POST", "/recordings/start", "", bearer}, 400, ""},
		"no JSON":            {call{"POST", "/recordings/start", "{", bearer}, 400, ""},
		"wrong type":         {call{"POST", "/recordings/start", `{"room":7,"participant":"p"}`, bearer}, 400, "room"},
		"unknown field":      {call{"POST", "/recordings/start", `{"room":"r","participant":"p","fiel":"x"}`, bearer}, 400, "fiel"},
		"empty room":         {call{"POST", "/recordings/start", `{"room":"","participant":"p"}`, bearer}, 400, "room"},
		"null participant":   {call{"POST", "/recordings/start", `{"room":"r","participant":null}`, bearer}, 400, "participant"},
		"over-long name":     {call{"POST", "/recordings/start", `{"room":"r","participant":"` + long + `"}`, bearer}, 400, "participant"},
		"control character":  {call{"POST", "/recordings/start", `{"room":"a\u0000b","participant":"p"}`, bearer}, 400, "room"},
		"invalid UTF-8":      {call{"POST", "/recordings/start", "{\"room\":\"\xff\",\"participant\":\"p\"}", bearer}, 400, ""},
		"unknown media":      {call{"POST", "/recordings/start", `{"room":"r","participant":"p","media":"x"}`, bearer}, 400, "media"},
		"unknown track":      {call{"POST", "/recordings/start", `{"room":"r","participant":"p","track":"x"}`, bearer}, 400, "track"},
		"escaping file":      {call{"POST", "/recordings/start", `{"room":"r","participant":"p","file":"../x"}`, bearer}, 400, "file"},
		"too large":          {call{"POST", "/recordings/start", strings.Repeat(" ", maxBody+1), bearer}, 413, ""},
		"deep nesting":       {call{"POST", "/recordings/start", strings.Repeat(`{"room":`, 30000), bearer}, 400, ""},
		"stop of nothing":    {call{"POST", "/recordings/stop", `{}`, bearer}, 400, "room"},
		"stop of both":       {call{"POST", "/recordings/stop", `{"id":"RC_1","room":"r","participant":"p"}`, bearer}, 400, "id"},
		"stop of an odd id":  {call{"POST", "/recordings/stop", `{"id":"../x"}`, bearer}, 400, "id"},
		"stop of unknown id": {call{"POST", "/recordings/stop", `{"id":"RC_1"}`, bearer}, 404, "id"},
		"unknown id":         {call{"GET", "/recordings/RC_1", "", bearer}, 404, "id"},
		"list without room":  {call{"GET", "/recordings", "", bearer}, 400, "room"},
		"unknown route":      {call{"GET", "/nothing", "", bearer}, 404, ""},
		"wrong method":       {call{"GET", "/recordings/start", "", bearer}, 405, ""},
		"wrong method, list": {call{"POST", "/recordings", "", bearer}, 405, ""},
		"no token":           {call{"POST", "/recordings/start", `{}`, ""}, 401, ""},
		"no bearer":          {call{"POST", "/recordings/start", `{}`, token(t, nil)}, 401, ""},
		"garbage token":      {call{"POST", "/recordings/start", `{}`, "Bearer x.y.z"}, 401, ""},
		"expired token":      {call{"POST", "/recordings/start", `{}`, "Bearer " + expired(t, map[string]any{"video": map[string]any{"roomRecord": true}})}, 401, ""},
		"other key": {call{"POST", "/recordings/start", `{}`, "Bearer " + func() string {
			jwt, err := auth.NewAccessToken("other", secret).SetVideoGrant(&auth.VideoGrant{RoomRecord: true}).ToJWT()
			require.NoError(t, err)
			return jwt
		}()}, 401, ""},
		"other secret": {call{"POST", "/recordings/start", `{}`, "Bearer " + func() string {
			jwt, err := auth.NewAccessToken(key, secret+"x").SetVideoGrant(&auth.VideoGrant{RoomRecord: true}).ToJWT()
			require.NoError(t, err)
			return jwt
		}()}, 401, ""},
		"unsigned token": {call{"POST", "/recordings/start", `{}`, "Bearer " + unsigned(token(t, nil))}, 401, ""},
		"no grant":       {call{"POST", "/recordings/start", `{}`, "Bearer " + token(t, func(a *auth.AccessToken) { a.SetVideoGrant(&auth.VideoGrant{RoomJoin: true}) })}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := a.call(t, c.call)
			require.Equal(t, c.status, status, answer)
			fault, ok := answer["error"].(map[string]any)
			require.True(t, ok)
			require.NotEmpty(t, fault["code"])
			require.NotEmpty(t, fault["message"])
			field, _ := fault["field"].(string)
			require.Equal(t, c.field, field)
		})
	}
	require.Nil(t, sent(t, a.starts))
	require.Nil(t, sent(t, a.controls))
}

// unsigned makes a token claim to need no signature.
func unsigned(jwt string) string {
	parts := strings.Split(jwt, ".")
	parts[0] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	parts[2] = ""
	return strings.Join(parts, ".")
}

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

// expired makes a token that was good until an hour ago.
func expired(t *testing.T, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(t, err)
	claims["iss"], claims["exp"] = key, time.Now().Add(-time.Hour).Unix()
	jwt, err := jwt.Signed(signer).Claims(claims).CompactSerialize()
	require.NoError(t, err)
	return jwt
}

const joinedBody = `{"event":"participant_joined","createdAt":"1700000000","room":{"name":"r"},
	"participant":{"sid":"PA_1","identity":"p","joinedAtMs":"1700000000123","brandNew":{"x":1}},"id":"EV_1"}`

func TestWebhooksStartAndStop(t *testing.T) {
	a, _ := newTestAPI(t)
	status, answer := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, signed(t, joinedBody, secret)})
	require.Equal(t, 200, status, answer)
	c := sent(t, a.starts)
	require.Equal(t, "PA_1", c.Session)
	require.Equal(t, int64(1700000000123), c.RequestedAt.UnixMilli())
	body := strings.Replace(joinedBody, "joined\"", "left\"", 1)
	status, _ = a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
	require.Equal(t, 200, status)
	require.Equal(t, "PA_1", sent(t, a.controls).Session)
}

// Who leaves is gone; whose connection breaks may come back.
func TestDeparturesAreToldFromLostConnections(t *testing.T) {
	a, _ := newTestAPI(t)
	for reason, lost := range map[string]bool{
		"CLIENT_INITIATED": false, "PARTICIPANT_REMOVED": false, "ROOM_DELETED": false,
		"SIGNAL_CLOSE": true, "DUPLICATE_IDENTITY": true, "SERVER_SHUTDOWN": true, "STATE_MISMATCH": true, "SOMETHING_NEW": true, "": true,
	} {
		body := strings.Replace(joinedBody, "joined\"", "left\"", 1)
		if reason != "" {
			body = strings.Replace(body, `"identity":"p"`, `"identity":"p","disconnectReason":"`+reason+`"`, 1)
		}
		status, _ := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
		require.Equal(t, 200, status, reason)
		require.Equal(t, lost, sent(t, a.controls).Lost, reason)
	}
}

func TestBase64BodiesAreDecodedBeforeTheyAreHashed(t *testing.T) {
	a, _ := newTestAPI(t)
	event := events.APIGatewayV2HTTPRequest{
		RawPath: "/recordings/webhooks", Body: base64.StdEncoding.EncodeToString([]byte(joinedBody)), IsBase64Encoded: true,
		Headers: map[string]string{"authorization": signed(t, joinedBody, secret)},
	}
	event.RequestContext.HTTP.Method = http.MethodPost
	response, err := a.handle(context.Background(), event)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, response.Body)
}

func TestForgedWebhooksAreRefused(t *testing.T) {
	a, _ := newTestAPI(t)
	for name, authorization := range map[string]string{
		"unsigned": "", "another body's": signed(t, joinedBody+" ", secret), "another secret's": signed(t, joinedBody, secret+"x"),
		"expired (replayed later)": expired(t, map[string]any{"sha256": hash(joinedBody)}), "algorithm none": unsigned(signed(t, joinedBody, secret)),
		"a REST token": token(t, nil), "garbage": "x",
	} {
		t.Run(name, func(t *testing.T) {
			status, _ := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, authorization})
			require.Equal(t, 401, status)
		})
	}
	status, _ := a.call(t, call{"POST", "/recordings/webhooks", "nonsense", signed(t, "nonsense", secret)})
	require.Equal(t, 400, status)
	require.Nil(t, sent(t, a.starts))
}

func TestRecordersAgentsAndExcludedPeopleAreNotRecorded(t *testing.T) {
	a, _ := newTestAPI(t)
	var err error
	a.rules, err = parseRules("r*/*,!*/bot-?")
	require.NoError(t, err)
	for name, change := range map[string]*strings.Replacer{
		"egress":       strings.NewReplacer(`"identity":"p"`, `"identity":"p","kind":"EGRESS"`),
		"agent":        strings.NewReplacer(`"identity":"p"`, `"identity":"p","kind":"AGENT"`),
		"our own bot":  strings.NewReplacer(`"identity":"p"`, `"identity":"participant-recorder-RR_1"`),
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
	require.Nil(t, sent(t, a.starts))
}

func TestUnreachableQueueIsAnErrorThatLiveKitRetries(t *testing.T) {
	a, stopQueues := newTestAPI(t)
	stopQueues()
	status, _ := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, signed(t, joinedBody, secret)})
	require.Equal(t, 503, status)
	status, _ = a.call(t, call{"POST", "/recordings/start", `{"room":"r","participant":"p"}`, "Bearer " + token(t, nil)})
	require.Equal(t, 503, status)
}

func TestRules(t *testing.T) {
	for _, bad := range []string{"", "room", "/x", "x/", "a/b,c"} {
		_, err := parseRules(bad)
		require.Error(t, err, bad)
	}
	for text, want := range map[string]bool{"all": true, "off": false, "r.om/*": false, "room/al?ce": true, "!x/*": true, "!room/*": false} {
		r, err := parseRules(text)
		require.NoError(t, err)
		require.Equal(t, want, r.record("room", "alice"), text)
	}
}

func FuzzWebhookBodies(f *testing.F) {
	f.Add(joinedBody)
	f.Add(`{"event":"participant_left","participant":{"identity":7}}`)
	f.Fuzz(func(t *testing.T, body string) {
		a := &api{keys: auth.NewSimpleKeyProvider(key, secret), log: logrus.New(), rules: rules{}}
		a.log.(*logrus.Logger).SetOutput(io.Discard)
		if strings.Contains(body, "left") {
			return // would be sent
		}
		status, _ := a.call(t, call{"POST", "/recordings/webhooks", body, signed(t, body, secret)})
		require.Contains(t, []int{200, 400, 413}, status)
	})
}
