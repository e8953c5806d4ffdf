// Package protection keeps ECS from choosing a task for scale-in or deployment while its recordings run.
package protection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// interval is the time between two looks whether recordings run.
	interval = 5 * time.Second
	// expiry is how long ECS keeps the protection of a recorder that says nothing more (1 to 2,880 minutes are
	// allowed).
	expiry = time.Hour
	// renewal is the time between two requests while recordings run.
	renewal = 20 * time.Minute
	// callTimeout bounds a request to the agent, which is on the same host.
	callTimeout = 10 * time.Second
)

// Task is the ECS task that this recorder runs in.
type Task struct {
	// Agent is the address of the container agent, as ECS gives it in ECS_AGENT_URI.
	Agent string
	// Running is how many recordings there are at the moment.
	Running func() int
	Log     logrus.FieldLogger

	protected bool
	asked     time.Time
}

// Run protects the task while recordings run, until ctx is done. A request that fails is repeated: the task is
// stopped without protection only if ECS wants fewer, and then its recordings are handed over.
func (t *Task) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		t.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (t *Task) look(ctx context.Context) {
	busy := t.Running() > 0
	if busy == t.protected && (!busy || time.Since(t.asked) < renewal) {
		return
	}
	if err := t.put(ctx, busy); err != nil {
		log := t.Log.WithError(err).WithField("protect", busy)
		log.Warn("scale-in protection could not be set, will be tried again")
		return
	}

	if busy != t.protected {
		t.Log.WithField("protected", busy).Info("scale-in protection set")
	}

	t.protected, t.asked = busy, time.Now()
}

// put sets the protection (ECS developer guide, "Task scale-in protection endpoint").
func (t *Task) put(ctx context.Context, protect bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	state := map[string]any{"ProtectionEnabled": protect}
	if protect {
		state["ExpiresInMinutes"] = int(expiry / time.Minute)
	}

	body, err := json.Marshal(state)
	if err != nil {
		return err
	}

	url := t.Agent + "/task-protection/v1/state"
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("set task protection: %w", err)
	}

	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("set task protection: %w", err)
	}
	defer response.Body.Close()

	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("set task protection: %w", err)
	}

	var result struct {
		Protection *struct{ ProtectionEnabled bool } `json:"protection"`
	}
	if json.Unmarshal(answer, &result) != nil || response.StatusCode != http.StatusOK || result.Protection == nil {
		return fmt.Errorf("set task protection: %s: %s", response.Status, answer)
	}
	return nil
}
