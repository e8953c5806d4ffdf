package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"livekit-recorder/recorder/protection"
)

const (
	// reconcile is the time between two looks of the simulated ECS at what runs.
	reconcile = 5 * time.Second
	// taskStart is how long a task takes to run.
	taskStart = 45 * time.Second
	// crashAfter is how long a recorder runs that cannot do its work.
	crashAfter = 25 * time.Second
)

// rollout is an ECS service whose tasks are the fleet's recorders, and which can be moved to another version: new tasks
// run before old ones are stopped (100 to 200 percent), and none that is protected is stopped. While only protected ones
// are left it refuses protection to all tasks, old and new: that is the worst that the documentation can mean.
type rollout struct {
	fleet   *fleet
	desired int

	mu      sync.Mutex
	version int
	crashes int // the version whose recorders do not do their work
	tasks   []*task
	free    []*host
	least   int // how many did their work at the same time, at least, since the first deployment
}

// task is one of its tasks.
type task struct {
	version   int
	host      *host
	starts    time.Time // when it runs; its recorder is there from then on
	process   *running  // nil: not yet, or it only crashes
	protected time.Time // until then
}

// newRollout is a service with so many running tasks of version 1.
func newRollout(f *fleet, tasks int) *rollout {
	r := &rollout{
		fleet:   f,
		desired: tasks,
		version: 1,
		free:    f.hosts,
		least:   tasks,
	}
	for range tasks {
		r.launch(time.Now())
	}
	return r
}

// run is the scheduler, until ending is closed.
func (r *rollout) run(ending <-chan struct{}) {
	ticker := time.NewTicker(reconcile)
	defer ticker.Stop()
	for {
		r.look()
		select {
		case <-ending:
			return
		case <-ticker.C:
		}
	}
}

// deploy moves the service to its next version.
func (r *rollout) deploy(crashes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.version++
	if crashes {
		r.crashes = r.version
	}
}

// takeBack moves it to its first version again.
func (r *rollout) takeBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.version = 1
}

// protected is how many tasks of the first version are.
func (r *rollout) protected() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.running(1) {
		if t.protected.After(time.Now()) {
			n++
		}
	}
	return n
}

// count is how many tasks of a version run.
func (r *rollout) count(version int) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running(version))
}

// running are the tasks of a version that run. The lock is held.
func (r *rollout) running(version int) (all []*task) {
	for _, t := range r.tasks {
		if t.version == version && !t.starts.After(time.Now()) {
			all = append(all, t)
		}
	}
	return all
}

// look starts and stops what has to be.
func (r *rollout) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bury()

	newest := 0
	for _, t := range r.tasks {
		if t.version == r.version {
			newest++
		}
		if t.process == nil && t.version != r.crashes && !t.starts.After(time.Now()) {
			r.boot(t)
		}
	}
	for ; newest < r.desired; newest++ {
		r.launch(time.Now().Add(taskStart))
	}

	surplus := len(r.running(r.version)) + len(r.old()) - r.desired
	for _, t := range r.old() {
		if surplus > 0 && t.process != nil && !t.protected.After(time.Now()) {
			r.fleet.terminate(t.host)
			surplus--
		}
	}
	r.least = min(r.least, r.working())
}

// old are the running tasks of other versions. The lock is held.
func (r *rollout) old() (all []*task) {
	for version := 1; version < r.version; version++ {
		all = append(all, r.running(version)...)
	}
	return all
}

// working is how many recorders take starts. The lock is held.
func (r *rollout) working() (n int) {
	for _, t := range r.tasks {
		if t.process != nil && !t.process.terminated.Load() {
			n++
		}
	}
	return n
}

// bury forgets the tasks that have ended. The lock is held.
func (r *rollout) bury() {
	kept := r.tasks[:0]
	for _, t := range r.tasks {
		crashed := t.version == r.crashes && time.Since(t.starts) > crashAfter
		if crashed || t.process != nil && t.process.gone() {
			r.free = append(r.free, t.host)
			continue
		}
		kept = append(kept, t)
	}
	r.tasks = kept
}

// launch begins a task. The lock is held, or nothing runs yet.
func (r *rollout) launch(at time.Time) {
	t := &task{version: r.version, host: r.free[0], starts: at}
	r.free = r.free[1:]
	r.tasks = append(r.tasks, t)
}

// boot starts a task's recorder, with what asks ECS for its protection beside it. The lock is held.
func (r *rollout) boot(t *task) {
	r.fleet.boot(t.host, true)
	t.process = t.host.alive()[0]
	recorder, ok := t.process.recorder.(hostRecorder)
	if !ok {
		r.fleet.violate("plan", "this is no recorder that ECS could protect")
		return
	}

	ctx, end := context.WithCancel(context.Background())
	context.AfterFunc(t.process.dead, end)
	protected := &protection.Task{
		Agent:      "http://agent.simulated",
		Running:    recorder.Recordings.Running,
		Superseded: func(context.Context) (bool, error) { return r.superseded(t), nil },
		End:        func() { r.fleet.terminate(t.host) },
		Client:     &http.Client{Transport: agent{r, t}},
		Log:        r.fleet.journal.logger(t.process.process),
	}
	go protected.Run(ctx)
}

// superseded is what ECS says to a task that asks.
func (r *rollout) superseded(t *task) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return t.version != r.version && len(r.running(r.version)) >= r.desired
}

// blocked says whether a deployment waits for protected tasks. The lock is held.
func (r *rollout) blocked() bool {
	return len(r.running(r.version)) >= r.desired && len(r.old()) > 0
}

// agent is the container agent of a task.
type agent struct {
	rollout *rollout
	task    *task
}

// RoundTrip answers a request for protection.
func (a agent) RoundTrip(request *http.Request) (*http.Response, error) {
	var wish struct {
		ProtectionEnabled bool
		ExpiresInMinutes  int
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&wish); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	if request.Method != http.MethodPut || request.URL.Path != "/task-protection/v1/state" {
		return nil, errors.New("the agent has no such endpoint")
	}

	a.rollout.mu.Lock()
	defer a.rollout.mu.Unlock()
	answer := `{"protection":{"ProtectionEnabled":true}}`
	switch {
	case wish.ProtectionEnabled && a.rollout.blocked():
		answer = `{"failure":{"Reason":"DEPLOYMENT_BLOCKED"}}`
	case wish.ProtectionEnabled:
		a.task.protected = time.Now().Add(time.Duration(wish.ExpiresInMinutes) * time.Minute)
	default:
		a.task.protected = time.Time{}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer))}, nil
}
