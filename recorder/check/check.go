// Package check finds out whether a recorder can do its work with the settings that it has: at every start, and when
// somebody asks with `recorder check`. What is wrong is said in one line, with the setting and what to do about it.
package check

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// attemptTimeout bounds one attempt at one check, or one step of it if it has many.
const attemptTimeout = 6 * time.Second

// State is what has come of a check.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, but not as well as it could
	// Away says that something does not answer. It may be wrong, or just be out of order.
	Away  State = "away"
	Wrong State = "wrong" // it will never work like that
	// Skipped says that it could not be found out, because another check has failed.
	Skipped State = "skipped"
)

// Finding is what has come of a check. Setting names the variable to change, or what else there is, and Remedy says
// how; both are empty if all is well.
type Finding struct {
	Check   string  `json:"check"`
	State   State   `json:"state"`
	Setting string  `json:"setting,omitempty"`
	Detail  string  `json:"detail"`
	Remedy  string  `json:"remedy,omitempty"`
	Seconds float64 `json:"seconds"`
}

// String is the finding in one line, for people.
func (f Finding) String() string {
	line := fmt.Sprintf("%-8s %-14s ", f.State, f.Check)
	if f.Setting != "" {
		line += f.Setting + ": "
	}
	line += f.Detail
	if f.Remedy != "" {
		line += ". Remedy: " + f.Remedy
	}
	return line
}

// Failed says whether something must be done.
func (f Finding) Failed() bool { return f.State == Away || f.State == Wrong }

func ok(format string, args ...any) Finding {
	return Finding{State: OK, Detail: fmt.Sprintf(format, args...)}
}

func wrong(setting, remedy, format string, args ...any) Finding {
	return Finding{State: Wrong, Setting: setting, Remedy: remedy, Detail: fmt.Sprintf(format, args...)}
}

func warning(setting, remedy, format string, args ...any) Finding {
	return Finding{State: Warning, Setting: setting, Remedy: remedy, Detail: fmt.Sprintf(format, args...)}
}

// Check is one thing to be found out.
type Check struct {
	Name string
	// Run does it within the context's time.
	Run func(ctx context.Context) Finding
	// Timeout bounds an attempt; 0 is attemptTimeout.
	Timeout time.Duration
	// Certain says that another attempt would find the same.
	Certain bool
	// Optional says that a recorder starts without it: it records all the same.
	Optional bool
	// Seen remembers, where the recordings are, that it was well once, under a name of the setting's value. What is away
	// then is out of order; what has never been there is taken for a wrong setting. Nil: nobody knows, it may be away.
	Seen *Seen
}

// Run does checks beside each other.
func Run(ctx context.Context, checks []Check) (findings []Finding) {
	for _, r := range runAll(ctx, checks, time.Time{}) {
		findings = append(findings, r.found)
	}
	return findings
}

// result is a check and what has come of it.
type result struct {
	check Check
	found Finding
	// dispensable says that a recorder may start although the check has failed.
	dispensable bool
}

// runAll does checks beside each other, all of which end at a time, if there is one.
func runAll(ctx context.Context, checks []Check, until time.Time) []result {
	results := make([]result, len(checks))
	var running sync.WaitGroup
	for n, c := range checks {
		running.Go(func() { results[n] = c.run(ctx, until) })
	}
	running.Wait()
	return results
}

func (c Check) run(ctx context.Context, until time.Time) result {
	began := time.Now()
	deadline := began.Add(cmp.Or(c.Timeout, attemptTimeout))
	if !until.IsZero() && until.Before(deadline) {
		deadline = until
	}
	bounded, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()

	found := c.Run(bounded)
	found.Check, found.Seconds = c.Name, time.Since(began).Seconds()
	r := result{check: c, found: found, dispensable: c.Optional}
	switch {
	case c.Seen == nil:
		r.dispensable = r.dispensable || found.State == Away
	case found.State == Away:
		r.dispensable = r.dispensable || c.Seen.before(ctx)
	case found.State == OK, found.State == Warning:
		c.Seen.remember(bounded)
	}
	return r
}
