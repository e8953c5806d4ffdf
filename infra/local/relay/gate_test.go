package relay

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// startGate starts one that notes requests, in front of a server.
func startGate(t *testing.T, server net.Addr) (address string, seen func() []string) {
	t.Helper()
	var mu sync.Mutex
	var requests []string
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	address = listener.Addr().String()
	require.NoError(t, listener.Close())
	g, err := StartGate(address, server.String(), func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r.Method+" "+r.URL.Path)
	})
	require.NoError(t, err)
	t.Cleanup(g.Close)
	return address, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return requests
	}
}

func TestAGateTellsOfRequestsAndChangesNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body) // an echo
	}))
	defer server.Close()
	address, seen := startGate(t, server.Listener.Addr())

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/one", "/two"} { // over one connection
		for _, known := range []bool{true, false} { // with the body's length, and in chunks
			text := strings.Repeat(path, 100_000)
			var body io.Reader = strings.NewReader(text)
			if !known {
				body = io.MultiReader(body)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+address+path, body)
			require.NoError(t, err)
			request.Header.Set("Expect", "100-continue")
			response, err := client.Do(request)
			require.NoError(t, err)
			echo, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, text, string(echo))
		}
	}
	require.Equal(t, []string{"PUT /one", "PUT /one", "PUT /two", "PUT /two"}, seen())
}

func TestAGateLetsPassWhatIsNoHTTP(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	address, seen := startGate(t, server.Addr())

	client, err := net.Dial("tcp4", address)
	require.NoError(t, err)
	defer client.Close()
	passed := make(chan string, 1)
	go func() {
		c, err := server.Accept()
		if err != nil {
			return
		}
		text, _ := io.ReadAll(c) // until the client has written everything
		passed <- string(text)
		_ = c.Close()
	}()
	const text = "no request at all\r\n\r\n"
	_, err = io.WriteString(client, strings.Repeat(text, 1000))
	require.NoError(t, err)
	require.NoError(t, client.(*net.TCPConn).CloseWrite())
	require.Equal(t, strings.Repeat(text, 1000), <-passed)
	require.Empty(t, seen())
}
