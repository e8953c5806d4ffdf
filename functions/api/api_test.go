package api

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/contract"
	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

const key, secret = "devkey", "a secret that is long enough for anybody"

// noon is when every request of the tests is received.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)

// promised is what answers may be.
var promised = func() *contract.Contract {
	c, err := contract.New(OpenAPI, document.Schema)
	if err != nil {
		panic(err)
	}
	return c
}()

// service is the handler, and what it was made of.
type service struct {
	Config
	http.Handler
}

// newService is the handler with real queues behind it; its documents are in a directory.
func newService(t *testing.T) (s service, stopQueues func()) {
	t.Helper()
	client, urls, stop, err := sqs.Local(t.Context(), "starts", "controls")
	require.NoError(t, err)
	t.Cleanup(stop)
	all, err := ParseRules("all")
	require.NoError(t, err)

	return serve(Config{
		Keys:       keys.Fixed(keys.Key{ID: key, Secret: secret}, keys.Key{}),
		Starts:     &queue.Queue{Client: client, URL: urls[0]},
		Controls:   &queue.Queue{Client: client, URL: urls[1]},
		Documents:  &ledger.Documents{Store: &ledger.DirStore{Root: filepath.Join(t.TempDir(), "bucket")}},
		AutoRecord: all,
		Now:        func() time.Time { return noon },
		Log:        silent(),
	}), stop
}

func serve(c Config) service { return service{c, New(c)} }

func silent() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func token(t *testing.T, change func(*auth.AccessToken)) string {
	t.Helper()
	return tokenBy(t, key, secret, change)
}

func tokenBy(t *testing.T, key, secret string, change func(*auth.AccessToken)) string {
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

// request answers with the raw response as well.
func (s service) request(t *testing.T, c call) (*http.Response, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
	r.Header.Set("Authorization", c.authorization)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)

	var answer map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.NoError(t, promised.Answer(r.Method, r.URL.EscapedPath(), w.Code, w.Header(), w.Body.Bytes()))
	return w.Result(), answer
}

func (s service) call(t *testing.T, c call) (status int, answer map[string]any) {
	t.Helper()
	response, answer := s.request(t, c)
	return response.StatusCode, answer
}

// sent takes the only command off a queue; none if there is none.
func sent(t *testing.T, q *queue.Queue) *command.Command {
	t.Helper()
	out, err := q.Client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{
		QueueUrl:            &q.URL,
		MaxNumberOfMessages: 10,
	})
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

// unsigned makes a token claim to need no signature.
func unsigned(jwt string) string {
	parts := strings.Split(jwt, ".")
	parts[0] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	parts[2] = ""
	return strings.Join(parts, ".")
}

// expired makes a token that was good until an hour ago.
func expired(t *testing.T, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, options)
	require.NoError(t, err)
	claims["iss"], claims["exp"] = key, time.Now().Add(-time.Hour).Unix()
	jwt, err := jwt.Signed(signer).Claims(claims).CompactSerialize()
	require.NoError(t, err)
	return jwt
}

// ServeMux's own answers would be plain text, redirects, and HEAD for GET.
func TestEveryRouteAnswersInJSONWithoutRedirects(t *testing.T) {
	a, _ := newService(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/health", 200, ""},
		{"GET", "/health/", 200, ""},
		{"HEAD", "/health", 405, "GET"},
		{"OPTIONS", "/health", 405, "GET"},
		{"POST", "/recordings/start/", 401, ""},
		{"GET", "/recordings/", 401, ""},
		{"GET", "/recordings/RC_1/", 401, ""},
		{"DELETE", "/recordings/RC_1", 405, "GET"},
		{"GET", "/recordings/webhooks", 405, "POST"},
		{"GET", "/", 404, ""},
		{"GET", "//health", 404, ""},
		{"GET", "/health//", 404, ""},
		{"GET", "/x/../health", 404, ""},
		{"GET", "/./health", 404, ""},
		{"GET", "/recordings/RC_1/parts", 404, ""},
		{"GET", "/recordings/start%2F", 401, ""}, // an id, and not the route
		{"CONNECT", "/recordings", 405, "GET"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			response, answer := a.request(t, call{c.method, c.path, "", ""})
			require.Equal(t, c.status, response.StatusCode, answer)
			require.Equal(t, c.allow, response.Header.Get("Allow"))
		})
	}
}

// endless is a body without an end. It counts what is taken of it.
type endless struct{ taken int }

func (e *endless) Read(data []byte) (int, error) {
	e.taken += len(data)
	return len(data), nil
}

func TestNoMoreOfABodyIsReadThanIsAllowed(t *testing.T) {
	a, _ := newService(t)
	body := &endless{}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/recordings/webhooks", body))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.LessOrEqual(t, body.taken, 2*maxBody)
}

func TestABodyThatBreaksOffIsTheCallersFault(t *testing.T) {
	a, _ := newService(t)
	body := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF))
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/recordings/start", body))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), `"code":"invalid"`)
}

func TestWithoutAClockOfItsOwnCommandsBearTheTimeOfDay(t *testing.T) {
	a, _ := newService(t)
	a.Now = nil
	a = serve(a.Config)

	before := time.Now()
	wish := `{"room":"r","participant":"p"}`
	status, _ := a.call(t, call{"POST", "/recordings/start", wish, "Bearer " + token(t, nil)})
	require.Equal(t, 202, status)
	require.WithinRange(t, sent(t, a.Starts).RequestedAt, before, time.Now())
}

func TestUnreachableQueueIsAnErrorThatLiveKitRetries(t *testing.T) {
	a, stopQueues := newService(t)
	stopQueues()
	status, _ := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, signed(t, joinedBody, secret)})
	require.Equal(t, 503, status)
	status, _ = a.call(t, call{"POST", "/recordings/start", `{"room":"r","participant":"p"}`, "Bearer " + token(t, nil)})
	require.Equal(t, 503, status)
}

func TestTheDescriptionIsServed(t *testing.T) {
	a, _ := newService(t)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.yaml", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, string(OpenAPI), w.Body.String())
	require.NoError(t, promised.Answer(http.MethodGet, "/openapi.yaml", w.Code, w.Header(), w.Body.Bytes()))

	status, _ := a.call(t, call{"POST", "/openapi.yaml", "", ""})
	require.Equal(t, http.StatusMethodNotAllowed, status)
}
