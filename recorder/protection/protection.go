// Package protection keeps ECS from choosing a task for scale-in or a deployment while its recordings run, and ends the
// recorder in good time when a deployment waits for it.
package protection

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// interval is the time between two looks whether recordings run: ECS may choose this task until it is protected.
	interval = time.Second
	// expiry is how long ECS keeps the protection of a recorder that says nothing more (1 to 2,880 minutes are
	// allowed). A deployment waits for as long if a recorder hangs.
	expiry = 10 * time.Minute
	// renewal is the time between two requests while recordings run, at most: two may fail. It is also how late a
	// recorder learns that it has been superseded.
	renewal = 3 * time.Minute
	// spread is by how much less that may be, so that not all recorders hand over at the same moment.
	spread = time.Minute
	// again is the time between two requests when the first has failed.
	again = 5 * time.Second
	// askAgain is the time between two questions whether this recorder is superseded, while it may be. It is only if that
	// has been so for settled: recorders that run and cannot do their work end within half a minute, and are replaced.
	askAgain = 20 * time.Second
	settled  = time.Minute
	// callTimeout bounds a request to the agent, which is on the same host, and to ECS.
	callTimeout = 10 * time.Second
	// leaveTimeout bounds the last request, for which the process waits with its end.
	leaveTimeout = 2 * time.Second
)

// blocked is ECS's reason when a deployment waits for protected tasks.
const blocked = "DEPLOYMENT_BLOCKED"

// errBlocked says that there is no protection because of a deployment. That alone does not say whether this task is
// one of the old version or of the new one.
var errBlocked = errors.New("a deployment waits for protected tasks")

// Task is the ECS task that this recorder runs in.
type Task struct {
	// Agent is the address of the container agent, as ECS gives it in ECS_AGENT_URI.
	Agent string
	// Running is how many recordings there are at the moment.
	Running func() int
	// Superseded asks ECS whether recorders of another version run that are to have this one's recordings; nil if that
	// cannot be asked. End is called once when they do so steadily: it must have the recorder hand over, and end.
	Superseded func(context.Context) (bool, error)
	End        func()
	// Client asks the agent; nil: http.DefaultClient.
	Client *http.Client
	Log    logrus.FieldLogger

	protected bool
	retry     time.Time // not before: the last request has failed
	renew     time.Time // the protection, then
	ask       time.Time // not before: it has been asked whether this recorder is superseded
	since     time.Time // it is; zero if not
	ended     bool
}

// Run protects the task while recordings run, until ctx is done; then all of them are stored, and it takes the
// protection away. A request that fails is repeated: the task is stopped without protection only if ECS wants fewer,
// or has waited with a deployment for as long as the protection lasts, and then its recordings are handed over.
func (t *Task) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		t.look(ctx)
		select {
		case <-ctx.Done():
			t.leave(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
	}
}

func (t *Task) look(ctx context.Context) {
	if !t.since.IsZero() {
		t.checkVersion(ctx)
	}

	now, busy := time.Now(), t.Running() > 0
	renewing := busy && t.protected
	if now.Before(t.retry) || !busy && !t.protected || renewing && now.Before(t.renew) {
		return
	}

	err := t.put(ctx, busy)
	switch {
	case err != nil:
		t.retry = now.Add(again)
		log := t.Log.WithError(err).WithField("protect", busy)
		log.Warn("scale-in protection could not be set, will be tried again")
	case busy != t.protected:
		t.Log.WithField("protected", busy).Info("scale-in protection set")
	}
	if err == nil {
		t.protected, t.renew = busy, now.Add(renewal-rand.N(spread))
	}

	if renewing || errors.Is(err, errBlocked) {
		t.checkVersion(ctx)
	}
}

// checkVersion ends the recorder if another version's are there for its recordings. While ECS cannot be asked it goes
// on: a new recorder that took itself for an old one would end, be replaced, and end again. The deployment then waits
// until the protection, which is not renewed any more, has expired.
func (t *Task) checkVersion(ctx context.Context) {
	now := time.Now()
	if t.ended || t.Superseded == nil || now.Before(t.ask) {
		return
	}

	t.ask = now.Add(askAgain)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	superseded, err := t.Superseded(ctx)
	switch {
	case err != nil:
		t.Log.WithError(err).Warn("it is not known whether another version runs, will be asked again")
		t.since = time.Time{}
	case !superseded:
		t.since = time.Time{}
	case t.since.IsZero():
		t.since = now
	case now.Sub(t.since) >= settled:
		t.Log.Info("recorders of another version run: this one hands over and ends")
		t.ended = true
		t.End()
	}
}

// leave takes the protection away from a recorder that has ended. Should that fail, it expires.
func (t *Task) leave(ctx context.Context) {
	if !t.protected {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := t.put(ctx, false); err != nil {
		t.Log.WithError(err).Warn("scale-in protection could not be taken away, it expires")
	}
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
	response, err := cmp.Or(t.Client, http.DefaultClient).Do(request)
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
		Failure    struct{ Reason string }           `json:"failure"`
	}
	err = json.Unmarshal(answer, &result)
	switch {
	case err == nil && result.Failure.Reason == blocked:
		return fmt.Errorf("set task protection: %w", errBlocked)
	case err != nil || response.StatusCode != http.StatusOK || result.Protection == nil:
		return fmt.Errorf("set task protection: %s: %s", response.Status, answer)
	}
	return nil
}
