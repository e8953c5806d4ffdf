package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
)

const startBody = `{"room":"r","participant":"p"}`

// asStart makes a start, as it was called by the caller.
func (s service) asStart(t *testing.T, ctx context.Context, id string) (answered string, recording map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/recordings/start", strings.NewReader(startBody))
	r.Header.Set("Authorization", "Bearer "+token(t, nil))
	if id != "" {
		r.Header.Set("X-Request-Id", id)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	return w.Header().Get("X-Request-Id"), decoded(t, w)
}

// Whoever has the id of a request finds all that came of it: in the answer, in the document, in the recorder's log.
func TestOneIDLeadsFromTheRequestToTheRecording(t *testing.T) {
	a, _ := newService(t)
	log, logged := test.NewNullLogger()
	a.Log = log
	a = serve(a.Config)

	answered, recording := a.asStart(t, t.Context(), "the-callers=1")
	require.Equal(t, "the-callers=1", answered)
	require.Equal(t, "the-callers=1", recording["requestId"])
	c := sent(t, a.Starts)
	require.Equal(t, "the-callers=1", c.ID)
	require.Equal(t, "the-callers=1", c.Trace()["request"])
	require.Equal(t, c.Recording, logged.LastEntry().Data["recording"])
	require.Equal(t, "the-callers=1", logged.LastEntry().Data["request"])

	// API Gateway has named it already.
	answered, _ = a.asStart(t, WithRequestID(t.Context(), "JKJaXmPLvHcESHA="), "the-callers=2")
	require.Equal(t, "JKJaXmPLvHcESHA=", answered)
	require.Equal(t, answered, sent(t, a.Starts).ID)
}

func TestACallersIDIsTakenOverOnlyIfItIsHarmless(t *testing.T) {
	a, _ := newService(t)
	for _, id := range []string{"", "two words", "line\nbreak", `"quoted"`, `back\slash`, "ö", strings.Repeat("x", 129)} {
		answered, recording := a.asStart(t, t.Context(), id)
		require.NotEqual(t, id, answered)
		require.True(t, strings.HasPrefix(answered, "RQ_"), answered)
		require.Equal(t, answered, recording["requestId"])
		require.NotNil(t, sent(t, a.Starts))
	}
}

func TestFaultsHaveAnIDToo(t *testing.T) {
	a, _ := newService(t)
	for _, path := range []string{"/recordings", "/nowhere", "//", "/recordings/start"} {
		response, _ := a.request(t, call{method: http.MethodGet, path: path})
		require.NotEmpty(t, response.Header.Get("X-Request-Id"), path)
		require.GreaterOrEqual(t, response.StatusCode, 400)
	}
}

func decoded(t *testing.T, w *httptest.ResponseRecorder) (answer map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}
