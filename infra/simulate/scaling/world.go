package scaling

import (
	"math/rand/v2"
	"time"

	"livekit-recorder/recorder/worker"
)

const (
	// tick is the resolution of time, in seconds: so long SQS takes to hand out a message, and whoever asks meanwhile
	// may get it.
	tick = 0.05
	// batch is how many messages one receive gets.
	batch = 10
	// census is how often a recorder counts what others have, protection how long it takes to be protected, in seconds.
	census     = 60
	protection = 1.5
	// reconcile is how often ECS compares how many tasks there are with how many are wanted, in seconds.
	reconcile = 5
)

// timing is how long AWS takes, in seconds: nobody promises any of it.
type timing struct {
	metricPhase float64 // when in its minute SQS counts
	metricSkew  float64 // by how much later it counts what is in flight
	metricDelay float64 // until CloudWatch shows that
	alarmPhase  float64 // when in its minute CloudWatch evaluates alarms
	reaction    float64 // of Application Auto Scaling
	taskStart   float64 // from a wanted task to a recorder that asks for starts, at least
	taskVaries  float64 // and how much more at most
	silent      float64 // until then the queue has no metrics: nobody has used it for six hours
	wakes       bool    // the function starts the first recorder (MinRecorders: 0)
}

// visit is somebody who is to be recorded.
type visit struct {
	arrives, leaves float64
	taken           float64 // 0: not yet
	receives        int
}

// recorder is one running task.
type recorder struct {
	pace      worker.Pace
	recording []*visit
	elsewhere int
	counted   float64
	looks     float64 // when it looks next, if it does not wait at the queue
	waited    float64 // how long it will have waited then; 0: it waits at the queue
	busySince float64
	idleSince float64
}

func (r *recorder) protected(now float64) bool {
	if len(r.recording) > 0 {
		return now-r.busySince > protection
	}
	return now-r.idleSince < protection
}

// report is what came of a run.
type report struct {
	waits           []float64 // of each start, in seconds
	mostRecorders   int
	occupiedStopped int
	inWhileFull     int     // decreases when there was no room
	latestWithRoom  float64 // how late the latest start was while somebody had room, in seconds
	started         int     // tasks
	recorders       []int   // how many ran, every minute
	recordings      []int
}

// world is the whole of it.
type world struct {
	cloud     *cloud
	timing    timing
	random    *rand.Rand
	places    int // of one recorder
	desired   int
	starting  []float64 // when those tasks will be there
	recorders []*recorder
	queue     []*visit // visible, oldest first
	roomSince float64  // somebody has had room since then; negative: nobody has
	report    report
}

func newWorld(t *Template, parameters Parameters, timing timing, seed uint64) *world {
	w := &world{
		timing: timing,
		random: rand.New(rand.NewPCG(seed, 1)),
		places: parameters["RecordingsPerRecorder"],
		cloud: &cloud{
			template:   t,
			parameters: parameters,
			timing:     timing,
			history:    map[string][]datum{},
			scaled:     map[string]float64{},
		},
		desired:   parameters["MinRecorders"],
		roomSince: -1,
	}
	for range w.desired {
		w.recorders = append(w.recorders, w.newRecorder(0))
	}
	return w
}

func (w *world) newRecorder(now float64) *recorder {
	return &recorder{
		pace:      worker.Pace{Most: w.places},
		counted:   -census,
		idleSince: now - protection,
	}
}

// play lets visits, in order of their arrival, go by until the end.
func (w *world) play(visits []*visit, end float64) (report, error) {
	next := 0
	for n := range int(end / tick) {
		now := float64(n) * tick
		for next < len(visits) && visits[next].arrives <= now {
			w.queue = append(w.queue, visits[next])
			next++
			if w.timing.wakes {
				w.desired = max(w.desired, 1)
			}
		}
		w.leave(now)
		w.share(now)

		w.measure(n, now)
		if every(n, 60, w.timing.alarmPhase) {
			if err := w.scale(now); err != nil {
				return w.report, err
			}
		}
		if every(n, reconcile, 0) {
			w.reconcile(now)
		}
		if every(n, 60, 0) {
			w.report.recorders = append(w.report.recorders, len(w.recorders))
			w.report.recordings = append(w.report.recordings, w.held()+len(w.queue))
		}
	}
	return w.report, nil
}

// measure gives CloudWatch what it sees.
func (w *world) measure(n int, now float64) {
	if every(n, 60, w.timing.metricPhase) {
		running := missing
		if len(w.recorders) > 0 {
			running = float64(len(w.recorders))
		}
		w.cloud.put(now, "AWS/ECS CPUUtilization", running)
		w.cloud.put(now, "AWS/SQS ApproximateNumberOfMessagesVisible", w.metric(now, len(w.queue)))
	}
	if every(n, 60, w.timing.metricPhase+w.timing.metricSkew) {
		w.cloud.put(now, "AWS/SQS ApproximateNumberOfMessagesNotVisible", w.metric(now, w.held()))
	}
}

func (w *world) metric(now float64, value int) float64 {
	if now < w.timing.silent {
		return missing
	}
	return float64(value)
}

// every says whether a tick is one of those that come every so many seconds, from phase on.
func every(n int, seconds, phase float64) bool {
	return (n-int(phase/tick))%int(seconds/tick) == 0 && n >= int(phase/tick)
}

func (w *world) held() (n int) {
	for _, r := range w.recorders {
		n += len(r.recording)
	}
	return n
}

// leave ends the recordings of those who go.
func (w *world) leave(now float64) {
	for _, r := range w.recorders {
		before := len(r.recording)
		kept := r.recording[:0]
		for _, v := range r.recording {
			if v.leaves > now {
				kept = append(kept, v)
			}
		}
		r.recording = kept
		if before > 0 && len(kept) == 0 {
			r.idleSince = now
		}
	}
}

// share hands out what is on the queue, in any order of those who ask at this moment.
func (w *world) share(now float64) {
	w.watchRoom(now)
	for _, n := range w.random.Perm(len(w.recorders)) {
		r := w.recorders[n]
		free := w.places - len(r.recording)
		if now-r.counted >= census {
			r.counted, r.elsewhere = now, w.held()-len(r.recording)
		}
		if free == 0 {
			r.looks, r.waited = 0, 0
			continue
		}

		switch {
		case r.waited > 0 && now < r.looks:
			continue
		case r.waited == 0:
			if wait := r.pace.Wait(moment(now), free, r.elsewhere).Seconds(); wait > 0 {
				r.looks, r.waited = now+wait, wait
				continue
			}
		}
		w.take(now, r, min(free, batch, len(w.queue)))
		r.waited = 0
	}
}

// take has a recorder receive messages, and ask again.
func (w *world) take(now float64, r *recorder, n int) {
	var back []*visit // others may get it at once
	for _, v := range w.queue[:n] {
		v.receives++
		if r.pace.PutsBack(seconds(now-v.arrives), seconds(r.waited), v.receives) {
			back = append(back, v)
			continue
		}
		v.taken = now
		w.report.waits = append(w.report.waits, now-v.arrives)
		if w.roomSince >= 0 {
			w.report.latestWithRoom = max(w.report.latestWithRoom, now-max(v.arrives, w.roomSince))
		}
		if len(r.recording) == 0 {
			r.busySince = now
		}
		r.recording = append(r.recording, v)
		r.pace.Found(moment(now), seconds(now-v.arrives), seconds(r.waited))
	}
	w.queue = append(back, w.queue[n:]...)
}

// watchRoom notes since when somebody has room for all who wait.
func (w *world) watchRoom(now float64) {
	switch free := len(w.recorders)*w.places - w.held(); {
	case free < max(1, len(w.queue)):
		w.roomSince = -1
	case w.roomSince < 0:
		w.roomSince = now
	}
}

// scale has CloudWatch look.
func (w *world) scale(now float64) error {
	desired, err := w.cloud.look(now, w.desired)
	if err != nil {
		return err
	}
	if desired < w.desired && (len(w.queue) > 0 || w.held() >= len(w.recorders)*w.places && len(w.recorders) > 0) {
		w.report.inWhileFull++
	}
	w.desired = desired
	return nil
}

// reconcile has ECS start and stop tasks.
func (w *world) reconcile(now float64) {
	waiting := w.starting[:0]
	for _, at := range w.starting {
		if at > now {
			waiting = append(waiting, at)
			continue
		}
		w.recorders = append(w.recorders, w.newRecorder(now))
	}
	w.starting = waiting

	for len(w.recorders)+len(w.starting) < w.desired {
		start := w.timing.reaction + w.timing.taskStart + w.random.Float64()*w.timing.taskVaries
		w.starting = append(w.starting, now+start)
		w.report.started++
	}
	for len(w.recorders)+len(w.starting) > w.desired && w.stop(now) {
		continue
	}
	w.report.mostRecorders = max(w.report.mostRecorders, len(w.recorders)+len(w.starting))
}

// stop stops one task that is not protected; it says no if there is none.
func (w *world) stop(now float64) bool {
	if last := len(w.starting) - 1; last >= 0 {
		w.starting = w.starting[:last]
		return true
	}
	for _, n := range w.random.Perm(len(w.recorders)) {
		r := w.recorders[n]
		if r.protected(now) {
			continue
		}
		if len(r.recording) > 0 {
			w.report.occupiedStopped++
			w.queue = append(w.queue, r.recording...) // offered to others
		}
		w.recorders = append(w.recorders[:n], w.recorders[n+1:]...)
		return true
	}
	return false
}

var midnight = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func moment(now float64) time.Time { return midnight.Add(seconds(now)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
