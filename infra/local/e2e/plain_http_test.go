package e2e

import (
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/functions/api"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// Without Lambda and API Gateway: LiveKit's own webhooks, and REST, through the plain HTTP server.
func TestPlainHTTPServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t, func(o *stack.Options) { o.Plain, o.AutoRecord = true, "*/*" })
	recorder(t, s)

	p := join(t, s, "plain", "alice")
	publish(t, p, "vp8")
	r, err := s.REST().AwaitOf(bounded(t, patience), "plain", "alice", active)
	require.NoError(t, err)
	alone := start(t, s, map[string]string{"room": "plain", "participant": "alice", "media": "audio"})
	await(t, s, alone.ID, active)
	pause(t, p, length)
	stop(t, s, map[string]string{"id": alone.ID})
	awaitEnd(t, s, alone.ID, document.Completed)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	checkCovers(t, s, r, p.Sent("audio"))
	checkSignal(t, s, r.Parts[0])

	response, err := http.Get(s.API + "/openapi.yaml")
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, string(api.OpenAPI), string(body))

	require.NoError(t, s.PlainAPI.Signal(syscall.SIGTERM))
	require.NoError(t, s.PlainAPI.Wait(bounded(t, patience)), "it ends by itself, and is content")
}
