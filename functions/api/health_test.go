package api

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/ledger"
)

// goneBucket cannot be reached.
type goneBucket struct{ ledger.Store }

func (goneBucket) List(context.Context, string, string, int) ([]string, error) {
	return nil, errors.New("no route")
}

func TestHealthNamesWhatIsAway(t *testing.T) {
	a, stopQueues := newService(t)
	health := func(c Config) (status int, message any) {
		status, answer := serve(c).call(t, call{method: http.MethodGet, path: "/health"})
		if problem, ok := answer["error"].(map[string]any); ok {
			message = problem["message"]
		}
		return status, message
	}
	status, _ := health(a.Config)
	require.Equal(t, http.StatusOK, status)

	c := a.Config
	c.Documents = &ledger.Documents{Store: goneBucket{}}
	status, message := health(c)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "cannot be reached: bucket", message)

	stopQueues()
	_, message = health(c)
	require.Equal(t, "cannot be reached: start queue, control queue, bucket", message)
	c.Documents = nil
	_, message = health(c)
	require.Equal(t, "cannot be reached: start queue, control queue", message, "there is no bucket")
}

// Everybody may ask, and AWS wants money for each request.
func TestNothingIsAskedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v vitals
		asked, away := 0, []string(nil)
		ask := func() []string {
			asked++
			return away
		}
		for range 10 {
			require.Empty(t, v.known(ask))
		}
		away = []string{"bucket"}
		require.Empty(t, v.known(ask), "it is remembered")
		time.Sleep(healthInterval + time.Second)
		for range 10 {
			require.Equal(t, away, v.known(ask))
		}
		require.Equal(t, 2, asked)
	})
}

// A queue that does not answer must not keep the caller: API Gateway would say something else.
func TestWhatHangsIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		answers := func(context.Context) error { return nil }
		began := time.Now()
		gone, cancel := context.WithCancel(t.Context())
		cancel() // whoever asked
		away := unreachable(gone, []organ{{"a", hangs}, {"b", answers}, {"c", hangs}}, silent())
		require.Equal(t, []string{"a", "c"}, away)
		require.Equal(t, healthTimeout, time.Since(began))
	})
}
