package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"livekit-recorder/functions/api"
	"livekit-recorder/shared/keys"
)

const key, secret = "devkey", "a secret that is long enough for anybody"

// seen is what a handler saw of a request.
type seen struct {
	*http.Request
	body string
}

// show gives an event to a handler that only looks at it.
func show(t *testing.T, event events.APIGatewayV2HTTPRequest) seen {
	t.Helper()
	var s seen
	look := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		s = seen{r, string(body)}
	})

	response, err := front{look}.handle(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return s
}

func TestWhatTheCallerSentArrives(t *testing.T) {
	event := events.APIGatewayV2HTTPRequest{
		RawPath:        "/recordings",
		RawQueryString: "room=a%2Fb+c%26d&participant=%C3%B6&room=second",
		Cookies:        []string{"a=1", "b=2"},
		Headers: map[string]string{
			"authorization": "Bearer x",
			"accept":        "text/html,application/json",
			"host":          "api.example.com",
		},
		Body: `{"room":"ö"}`,
	}
	event.RequestContext.HTTP.Method = http.MethodPut

	s := show(t, event)
	require.Equal(t, http.MethodPut, s.Method)
	require.Equal(t, "/recordings", s.URL.Path)
	require.Equal(t, "a/b c&d", s.URL.Query().Get("room"))
	require.Equal(t, "ö", s.URL.Query().Get("participant"))
	require.Equal(t, []string{"a/b c&d", "second"}, s.URL.Query()["room"])
	require.Equal(t, "Bearer x", s.Header.Get("Authorization"))
	require.Equal(t, "text/html,application/json", s.Header.Get("Accept"))
	require.Equal(t, "api.example.com", s.Host)
	require.Len(t, s.Cookies(), 2)
	require.Equal(t, `{"room":"ö"}`, s.body)
}

// HTTP APIs decode the path before the function gets it, function URLs do not.
func TestPathsMayComeEncodedOrDecoded(t *testing.T) {
	for raw, want := range map[string]struct{ path, escaped string }{
		"/recordings/a%2Fb":    {"/recordings/a/b", "/recordings/a%2Fb"}, // one segment still
		"/recordings/a b/ö":    {"/recordings/a b/ö", "/recordings/a%20b/%C3%B6"},
		"/recordings/100%":     {"/recordings/100%", "/recordings/100%25"},
		"/recordings/?room=x#": {"/recordings/?room=x#", "/recordings/%3Froom=x%23"}, // no query
		"//example.com/x":      {"//example.com/x", "//example.com/x"},               // no host
		"":                     {"", ""},
	} {
		t.Run(raw, func(t *testing.T) {
			s := show(t, events.APIGatewayV2HTTPRequest{RawPath: raw})
			require.Equal(t, want.path, s.URL.Path)
			require.Equal(t, want.escaped, s.URL.EscapedPath())
			require.Empty(t, s.URL.RawQuery)
			require.Empty(t, s.URL.Host)
		})
	}
}

// newFront is the front of our handler, without queues and bucket, and its log.
func newFront() (front, *test.Hook) {
	log, hook := test.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return front{api.New(api.Config{Keys: keys.Fixed(keys.Key{ID: key, Secret: secret}, keys.Key{}), Log: log})}, hook
}

// ignoredBody is a webhook that needs no queue.
const ignoredBody = `{"event":"track_published","room":{"name":"röm"},"participant":{"identity":"p"},"id":"EV_1"}`

// posted is a webhook as an event, signed.
func posted(t *testing.T, body string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	jwt, err := auth.NewAccessToken(key, secret).SetValidFor(time.Minute).SetSha256(hash).ToJWT()
	require.NoError(t, err)

	event := events.APIGatewayV2HTTPRequest{
		RawPath: "/recordings/webhooks",
		Headers: map[string]string{"authorization": jwt},
		Body:    body,
	}
	event.RequestContext.HTTP.Method = http.MethodPost
	event.RequestContext.RequestID = "request-1"
	return event
}

func encoded(event events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPRequest {
	event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(event.Body)), true
	return event
}

func TestBase64BodiesAreDecodedBeforeTheyAreHashed(t *testing.T) {
	f, _ := newFront()
	for name, event := range map[string]events.APIGatewayV2HTTPRequest{
		"plain":  posted(t, ignoredBody),
		"base64": encoded(posted(t, ignoredBody)),
	} {
		t.Run(name, func(t *testing.T) {
			response, err := f.handle(t.Context(), event)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode, response.Body)
			require.Equal(t, "application/json", response.Headers["content-type"])
			require.Equal(t, "no-store", response.Headers["cache-control"])
			require.False(t, response.IsBase64Encoded)
			require.Contains(t, response.Body, "ignored")
		})
	}
}

func TestFaultsOfBodiesAreAnsweredAsAllOthers(t *testing.T) {
	f, _ := newFront()
	large := strings.Repeat(" ", 256<<10)
	broken := posted(t, "{")
	broken.Body, broken.IsBase64Encoded = "e30!", true

	for name, c := range map[string]struct {
		event  events.APIGatewayV2HTTPRequest
		status int
		code   string
	}{
		"no base64":             {broken, 400, "invalid"},
		"as large as it may be": {posted(t, large), 400, "invalid"},
		"the same in base64":    {encoded(posted(t, large)), 400, "invalid"},
		"too large":             {posted(t, large+" "), 413, "too_large"},
		"too large, in base64":  {encoded(posted(t, large+" ")), 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := f.handle(t.Context(), c.event)
			require.NoError(t, err)
			require.Equal(t, c.status, response.StatusCode, response.Body)

			var answer struct{ Error struct{ Code string } }
			require.NoError(t, json.Unmarshal([]byte(response.Body), &answer))
			require.Equal(t, c.code, answer.Error.Code)
		})
	}
}

func TestTheLogNamesTheRequest(t *testing.T) {
	f, hook := newFront()
	event := posted(t, ignoredBody)
	event.RawPath = "/nothing/ö"
	response, err := f.handle(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, response.StatusCode)

	line := hook.LastEntry()
	require.Equal(t, "there is no such route", line.Message)
	require.Equal(t, "request-1", line.Data["request"])
	require.Equal(t, "POST", line.Data["method"])
	require.Equal(t, "/nothing/ö", line.Data["path"])
	require.Equal(t, 404, line.Data["status"])
}

func TestOtherMethodsAreToldTheRightOne(t *testing.T) {
	f, _ := newFront()
	event := posted(t, "")
	event.RequestContext.HTTP.Method = http.MethodDelete
	response, err := f.handle(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
	require.Equal(t, "POST", response.Headers["allow"])
}
