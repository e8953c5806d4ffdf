package main

import (
	"bytes"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A peer that takes connections and nothing else is given up: when its answer does not come, and when it does not
// even take the request.
func TestSilentPeersAreGivenUp(t *testing.T) {
	const bound, never = time.Second, time.Hour
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for name, c := range map[string]struct {
		answer, silence time.Duration
		body            int
	}{
		"no answer": {bound, never, 1}, "nothing is taken": {never, bound, 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			client := httpClient(c.answer, c.silence)
			failed := make(chan error, 1)
			go func() {
				request, err := http.NewRequest(http.MethodPut, "http://"+listener.Addr().String(),
					bytes.NewReader(make([]byte, c.body)))
				if err == nil {
					_, err = client.Do(request)
				}
				failed <- err
			}()
			select {
			case err := <-failed:
				require.Error(t, err) // a time-out, or a broken pipe for whoever writes behind it
			case <-time.After(30 * time.Second):
				t.Fatal("still waiting")
			}
		})
	}
}
