package check

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// patience is how long a recorder that starts tries again what is wrong: rights that have just been given take a while
	// until they are known everywhere, and other containers may be starting, too.
	patience = 15 * time.Second
	// bound is when the last attempt of a recorder that starts ends: what is left of the 30 seconds is for removing what a
	// check has written.
	bound = 26 * time.Second
	// pause is the time between two attempts, longPause the same of a recorder that has started without something.
	pause, longPause = 2 * time.Second, time.Minute
)

// ErrWrong says that something is wrong, and has been logged.
var ErrWrong = errors.New("a setting is wrong")

// Start does the checks until a recorder may start, and returns those that it has to do without for now. The error is
// [ErrWrong] if it must not start.
//
// What is wrong must be mended first. What only does not answer is no reason to stay away: recordings begin without the
// bucket, and the queues, LiveKit and its keys may be back at any moment. But what has never answered a recorder with
// these settings is most likely a wrong address.
func Start(ctx context.Context, checks []Check, log logrus.FieldLogger) (without []Check, err error) {
	began := time.Now()
	for deadline, left := began.Add(patience), checks; len(left) > 0; {
		done := look(ctx, left, began.Add(bound))
		if err := ctx.Err(); err != nil {
			return nil, err
		}

		for _, r := range done.passed {
			if r.found.Failed() {
				without = append(without, r.check)
				r.found.State = Away // for the recorder does without it
			}
			tell(log, r.found)
		}
		if len(done.failed) > 0 && (done.certain || !time.Now().Before(deadline)) {
			for _, r := range done.failed {
				r.found.State = Wrong // as far as anybody can tell
				tell(log, r.found)
			}
			return nil, ErrWrong
		}

		left = nil
		for _, r := range done.failed {
			left = append(left, r.check)
		}
		if len(left) > 0 && !wait(ctx, pause) {
			return nil, ctx.Err()
		}
	}
	return without, nil
}

// Later goes on with checks that a recorder has started without, until all is well or ctx is done.
func Later(ctx context.Context, left []Check, log logrus.FieldLogger) {
	told := map[string]bool{} // said once: a receiver of notices may be away for weeks
	for len(left) > 0 && wait(ctx, longPause) {
		var failed []Check
		for n, f := range Run(ctx, left) {
			switch {
			case ctx.Err() != nil:
				return
			case f.Failed():
				failed = append(failed, left[n])
				if said := f.Check + f.Detail; !told[said] {
					told[said] = true
					tell(log, f)
				}
			default:
				log.WithField("check", f.Check).Info("what was missing when the recorder started is there: " + f.Detail)
			}
		}
		left = failed
	}
}

// results are those after which a recorder may start, and the others.
type results struct {
	passed, failed []result
	certain        bool // one that has failed would fail again
}

func look(ctx context.Context, checks []Check, until time.Time) (all results) {
	for _, r := range runAll(ctx, checks, until) {
		if r.found.Failed() && !r.dispensable {
			all.failed = append(all.failed, r)
			all.certain = all.certain || r.check.Certain
			continue
		}
		all.passed = append(all.passed, r)
	}
	return all
}

// tell logs a finding in one line.
func tell(log logrus.FieldLogger, f Finding) {
	log = log.WithFields(logrus.Fields{"check": f.Check, "state": f.State, "setting": f.Setting})
	text := f.Detail
	if f.Setting != "" {
		text = f.Setting + ": " + text
	}
	if f.Remedy != "" {
		text += ". Remedy: " + f.Remedy
	}

	switch f.State {
	case OK:
		log.Debug(text)
	case Wrong:
		log.Error(text)
	default:
		log.Warn(text)
	}
}

// wait lets time pass; false if ctx is done.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
