package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// healthTimeout bounds the asking of queues and bucket for a sign of life.
	healthTimeout = 3 * time.Second
	// healthInterval is how long the answer is good: everybody may ask, and each asking is a request to AWS.
	healthInterval = 5 * time.Second
)

// health says whether what the service cannot do without can be reached: its queues, and the bucket if there is one.
func (a *api) health(ctx context.Context, _ request) (int, any, error) {
	away := a.vitals.known(func() []string { return unreachable(ctx, a.organs(), a.logFor(ctx)) })
	if len(away) > 0 {
		return 0, nil, unavailable("cannot be reached: "+strings.Join(away, ", "), nil)
	}
	return http.StatusOK, map[string]string{"status": "ok"}, nil
}

// vitals remember what was found when everything was last asked for a sign of life.
type vitals struct {
	mu   sync.Mutex // guards these, and has one ask for all who want to know:
	at   time.Time
	away []string // what could not be reached
}

// known is what could not be reached, at most an interval ago.
func (v *vitals) known(ask func() []string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at.IsZero() || time.Since(v.at) > healthInterval {
		v.away = ask()
		v.at = time.Now()
	}
	return v.away
}

// organ is something that the service cannot do without.
type organ struct {
	name  string
	reach func(context.Context) error
}

func (a *api) organs() []organ {
	all := []organ{{"start queue", a.Starts.Reach}, {"control queue", a.Controls.Reach}}
	if a.Documents != nil {
		all = append(all, organ{"bucket", a.Documents.Reach})
	}
	return all
}

// unreachable names what does not answer in time. Whoever asked may have gone meanwhile, but others want to know it,
// too.
func unreachable(ctx context.Context, organs []organ, log logrus.FieldLogger) (away []string) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()

	faults := make([]error, len(organs))
	var asking sync.WaitGroup
	for n, o := range organs {
		asking.Go(func() { faults[n] = o.reach(bounded) })
	}
	asking.Wait()

	for n, o := range organs {
		if faults[n] != nil {
			log.WithError(faults[n]).Error(o.name + " cannot be reached")
			away = append(away, o.name)
		}
	}
	return away
}
