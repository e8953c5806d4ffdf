package protection

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

func TestTaskIsProtectedWhileRecordingsRun(t *testing.T) {
	var bodies []string
	answer := `{"failure":{"Arn":"x","Reason":"DEPLOYMENT_BLOCKED"}}`
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "PUT /task-protection/v1/state", r.Method+" "+r.URL.Path)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		bodies = append(bodies, string(body))
		_, _ = io.WriteString(w, answer)
	}))
	defer agent.Close()
	log := logrus.New()
	log.SetOutput(io.Discard)
	running := 0
	task := &Task{Agent: agent.URL, Running: func() int { return running }, Log: log}
	task.look(t.Context())
	require.Empty(t, bodies, "an idle task is not protected to begin with")
	running = 2
	task.look(t.Context())
	answer = `{"protection":{"ProtectionEnabled":true}}`
	task.look(t.Context())
	task.look(t.Context())
	on := `{"ExpiresInMinutes":60,"ProtectionEnabled":true}`
	require.Equal(t, []string{on, on}, bodies, "once more after a failure, and then not again")
	task.asked = time.Now().Add(-renewal)
	task.look(t.Context())
	require.Len(t, bodies, 3, "before it expires")
	running = 0
	task.look(t.Context())
	require.Equal(t, `{"ProtectionEnabled":false}`, bodies[3])
}

func TestAgentThatIsNotThereChangesNothing(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	task := &Task{Agent: "http://127.0.0.1:1", Running: func() int { return 1 }, Log: log}
	task.look(t.Context())
	require.False(t, task.protected)
}
