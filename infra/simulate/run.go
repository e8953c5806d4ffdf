package simulate

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// calmAfter is how long the mended fleet records on, so that there is something to compare.
	calmAfter = 6 * time.Minute
	// quietWithin is how long everything may take to come to its end when everybody has gone.
	quietWithin = 3 * time.Hour
	// lookEvery is the time between two looks whether all is quiet.
	lookEvery = 20 * time.Second
)

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant string `json:"invariant"`
	Message   string `json:"message"`
}

// Result is what came of a run.
type Result struct {
	Violations []Violation `json:"violations,omitempty"`
	// Hours is how long recorders were there, together, in virtual hours.
	Hours float64 `json:"hours"`
	// Frames is how many frames were sent; Kept how many of them are in completed files; Checked how many had to be.
	Frames  int `json:"frames"`
	Kept    int `json:"kept"`
	Checked int `json:"checked"`
	// Log is the merged log, kept if something was violated.
	Log []string `json:"log,omitempty"`
}

// Invariants are the names of what was violated, each once.
func (r Result) Invariants() (names []string) {
	seen := map[string]bool{}
	for _, v := range r.Violations {
		if !seen[v.Invariant] {
			seen[v.Invariant] = true
			names = append(names, v.Invariant)
		}
	}
	return names
}

// Run plays a plan in a bubble of virtual time. Done gets the result while the bubble still lives: goroutines of
// killed processes are there until the end of the run, and a process of its own simply exits.
func Run(t *testing.T, plan Plan, done func(Result)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, err := newFleet(plan)
		if err != nil {
			t.Fatal(err)
		}
		result := f.course()
		done(result)
		close(f.over)
		f.quit()
	})
}

// quit ends what is left, so that the bubble can end.
func (f *fleet) quit() {
	for _, h := range f.hosts {
		for _, r := range h.processes {
			r.stop()
			r.kill()
		}
	}
}

func (f *fleet) violate(invariant, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	f.journal.note("VIOLATION", "%s: %s", invariant, message)
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	f.violations = append(f.violations, Violation{invariant, message})
}

// course is the whole run.
func (f *fleet) course() Result {
	ending := make(chan struct{})
	go f.pulse(ending)
	for _, h := range f.hosts {
		f.boot(h, false)
	}

	began := time.Now()
	for _, m := range f.plan.Moves {
		time.Sleep(time.Until(began.Add(seconds(m.At))))
		f.play(m)
	}
	time.Sleep(time.Until(began.Add(seconds(f.plan.Length))))
	f.mend()
	time.Sleep(calmAfter)
	f.everybodyLeaves()
	f.awaitQuiet()
	f.checkLeftovers()

	for _, h := range f.hosts {
		f.terminate(h)
	}
	time.Sleep(stopTimeout + 10*time.Second)
	close(ending)
	result := f.check()
	result.Hours = time.Since(began).Hours() * float64(len(f.hosts))
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	result.Violations = f.violations
	if len(f.violations) > 0 {
		result.Log = f.journal.all()
	}
	return result
}

// pulse makes everybody's frames.
func (f *fleet) pulse(ending chan struct{}) {
	ticker := time.NewTicker(frameInterval)
	defer ticker.Stop()

	for {
		select {
		case <-ending:
			return
		case <-ticker.C:
			pulses.Add(1)
			f.server.tick()
			f.watchRecorders()
		}
	}
}

// mend ends every fault, and has a recorder on every machine. A disturbance that would last on ends here.
func (f *fleet) mend() {
	f.journal.note("PLAN", "everything is mended")
	f.network.mend()
	f.records.mu.Lock()
	for n := range f.disturbances {
		if d := &f.disturbances[n]; d.until.After(time.Now()) {
			d.until = time.Now()
		}
	}

	f.records.mu.Unlock()
	for _, h := range f.hosts {
		h.disk.setFull(false)
		f.boot(h, false)
	}
}

func (f *fleet) everybodyLeaves() {
	f.journal.note("PLAN", "everybody leaves")
	for _, name := range f.server.names {
		f.leave(f.server.all[name], Move{})
	}
}

// awaitQuiet waits until nothing is going on any more: no messages, no uploads, every document final.
func (f *fleet) awaitQuiet() {
	began := time.Now()
	for calm := 0; calm < 2; {
		time.Sleep(lookEvery)
		left := f.unfinished()
		if len(left) == 0 {
			calm++
			continue
		}
		calm = 0
		if time.Since(began) > quietWithin {
			f.violate("comes-to-an-end", "%s after everybody has left: %s", quietWithin, strings.Join(left, ", "))
			return
		}
	}
}
