package recording

import "time"

// timers are those of one course. Only its goroutine touches them.
type timers struct {
	running map[Timer]*armed
	count   int
	post    func(Event)
}

type armed struct {
	timer *time.Timer
	n     int
}

// arm starts a timer anew.
func (t *timers) arm(timer Timer, after time.Duration) {
	t.disarm(timer)
	t.count++
	n := t.count
	t.running[timer] = &armed{time.AfterFunc(after, func() { t.post(timerRan{timer, n}) }), n}
}

func (t *timers) disarm(timer Timer) {
	if a := t.running[timer]; a != nil {
		a.timer.Stop()
		delete(t.running, timer)
	}
}

// due says whether a timer that has run out is the one that runs.
func (t *timers) due(ran timerRan) bool {
	a := t.running[ran.timer]
	if a == nil || a.n != ran.armed {
		return false
	}
	delete(t.running, ran.timer)
	return true
}

func (t *timers) stop() {
	for timer := range t.running {
		t.disarm(timer)
	}
}
