package protection

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

const (
	on      = `{"ExpiresInMinutes":10,"ProtectionEnabled":true}`
	off     = `{"ProtectionEnabled":false}`
	accepts = `{"protection":{"ProtectionEnabled":true}}`
	blocks  = `{"failure":{"Arn":"x","Reason":"DEPLOYMENT_BLOCKED"}}`
)

// agent is the container agent, which answers in virtual time.
type agent struct {
	answer string
	bodies []string
}

// RoundTrip implements [http.RoundTripper].
func (a *agent) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut || r.URL.String() != "http://agent/api/task-protection/v1/state" {
		return nil, errors.New("unexpected request: " + r.Method + " " + r.URL.String())
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a.bodies = append(a.bodies, string(body))
	return &http.Response{
		StatusCode: http.StatusOK,
		Body:       io.NopCloser(strings.NewReader(a.answer)),
	}, nil
}

// scene is a task, with what happens to it.
type scene struct {
	*Task
	agent   *agent
	running int
	version func() (bool, error)
	asked   int
	ends    int
}

func newScene() *scene {
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := &scene{agent: &agent{answer: accepts}, version: func() (bool, error) { return false, nil }}
	s.Task = &Task{
		Agent:   "http://agent/api",
		Running: func() int { return s.running },
		Superseded: func(context.Context) (bool, error) {
			s.asked++
			return s.version()
		},
		End:    func() { s.ends++ },
		Client: &http.Client{Transport: s.agent},
		Log:    log,
	}
	return s
}

// during runs the task while do does something, in virtual time.
func (s *scene) during(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	do()
	cancel()
	<-ended
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTaskIsProtectedWhileRecordingsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.during(t, func() {
			wait(time.Hour)
			require.Empty(t, s.agent.bodies, "an idle task is not protected")
			s.running, s.agent.answer = 2, `{"error":{"Code":"ServerException"}}`
			wait(interval)
			require.Equal(t, []string{on}, s.agent.bodies, "at once: ECS may choose it until then")
			s.agent.answer = accepts
			wait(again)
			require.Equal(t, []string{on, on}, s.agent.bodies, "once more after a failure")
			wait(renewal - spread - interval)
			require.Len(t, s.agent.bodies, 2, "and then not again")
			wait(time.Hour)
			require.InDelta(t, time.Hour/(renewal-spread/2), len(s.agent.bodies)-2, 4, "until it must be renewed")
			s.running = 0
			wait(interval)
			require.Equal(t, off, s.agent.bodies[len(s.agent.bodies)-1])
		})
		last := len(s.agent.bodies)
		require.Equal(t, off, s.agent.bodies[last-1])
		require.Equal(t, on, s.agent.bodies[last-2], "it has none to be taken away at the end")
		require.Zero(t, s.ends)
	})
}

// Two renewals can fail before ECS forgets the protection.
func TestProtectionOutlivesTwoFailures(t *testing.T) {
	require.Less(t, 3*renewal, expiry)
}

func TestSupersededRecorderEnds(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string               // of the agent, when the protection is renewed
		version func() (bool, error) // whether another version runs
		ends    bool
	}{
		"a deployment waits for it":               {blocks, runs(true), true},
		"nobody says that one waits":              {accepts, runs(true), true},
		"a deployment waits for others":           {blocks, runs(false), false},
		"it is not known whose deployment waits":  {blocks, unknown, false},
		"there is no deployment, and none to ask": {accepts, unknown, false},
		"the other version crashes every minute":  {blocks, crashing, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene()
				s.running = 30
				s.during(t, func() {
					wait(interval)
					s.agent.answer, s.version = c.answer, c.version
					wait(renewal + settled + askAgain)
					require.Equal(t, c.ends, s.ends == 1)
					wait(expiry)
					require.Equal(t, c.ends, s.ends == 1, "it is told once")
				})
				require.Equal(t, off, s.agent.bodies[len(s.agent.bodies)-1], "an ended recorder has no protection")
			})
		})
	}
}

func runs(another bool) func() (bool, error) { return func() (bool, error) { return another, nil } }

func unknown() (bool, error) { return false, errors.New("access denied") }

// crashing are recorders that run for half a minute, and take as long to be started again.
func crashing() (bool, error) { return time.Now().Second() < 30, nil }

// A recorder of the new version is refused, too, while the deployment waits for others. It must not ask ECS all the
// time.
func TestRefusedProtectionIsTriedAgainAndSeldomAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.running, s.agent.answer = 1, blocks
		s.during(t, func() {
			wait(time.Minute)
			require.InDelta(t, time.Minute/again, len(s.agent.bodies), 2)
			require.InDelta(t, time.Minute/askAgain, s.asked, 1)
			s.agent.answer = accepts
			wait(again)
			require.True(t, s.protected)
		})
		require.Zero(t, s.ends)
	})
}

func TestAgentThatIsNotThereChangesNothing(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s := newScene()
	s.Agent, s.Client, s.running = server.URL, nil, 1
	s.look(t.Context())
	require.False(t, s.protected)
	require.Zero(t, s.asked)
}
