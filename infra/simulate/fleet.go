package simulate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"livekit-recorder/shared/document"
)

// fleet is one run: the machines with their recorders, and the world around them.
type fleet struct {
	plan    Plan
	dice    *dice
	journal *journal
	network *network
	bucket  *bucket
	queues  *queues
	server  *server
	front   *front
	hosts   []*host
	over    chan struct{}

	records
}

// records is what the checks need to know of the course of a run.
type records struct {
	mu           sync.Mutex
	violations   []Violation
	disturbances []disturbance
	notices      []notice
	nextEvent    int
	dying        map[string]bool // processes that have got a deadly frame
	killed       map[string]int  // recorders, by the person that killed them
	deaths       []death
}

// disturbance is a time in which frames may get lost: a fault, from its beginning to its end.
type disturbance struct {
	what        string
	from, until time.Time
}

// notice is a completion notice that has been delivered.
type notice struct {
	recording document.Recording
	at        time.Time
}

// host is one machine.
type host struct {
	name string
	disk *disk

	mu        sync.Mutex
	processes []*running
	skew      time.Duration
}

// running is one recorder process on it.
type running struct {
	*process
	disk     *disk
	muxer    *Muxer
	recorder Recorder
	stop     context.CancelFunc // SIGTERM
	ended    chan struct{}      // closed when Run has returned

	terminated atomic.Bool // it got SIGTERM
}

func newFleet(plan Plan) (*fleet, error) {
	queues, err := newQueues()
	if err != nil {
		return nil, err
	}

	f := &fleet{
		plan:    plan,
		dice:    newDice(plan.Seed ^ 0xf1ee7),
		journal: newJournal(),
		queues:  queues,
		bucket:  newBucket(bucketName, minimumPart),
		over:    make(chan struct{}),
	}

	f.network = &network{dice: f.dice}
	f.server = &server{
		people:  newPeople(plan.People),
		network: f.network,
		journal: f.journal,
		dice:    f.dice,
		bots:    map[botKey]*bot{},
		stopped: map[string]func(string){},
		broken:  func(format string, args ...any) { f.violate("events-taken", format, args...) },
	}

	f.server.deadly = f.poisoned
	p := newProcess("function", "function", f.over)
	f.front = &front{handler: product.Function(f.cloud(p)), journal: f.journal}
	for n := range plan.Hosts {
		f.hosts = append(f.hosts, &host{name: fmt.Sprintf("host%d", n), disk: newDisk()})
	}

	return f, nil
}

// cloud is AWS as a process reaches it.
func (f *fleet) cloud(p *process) Cloud {
	way := func(service string, timeout time.Duration) *client {
		c := &client{
			network: f.network,
			process: p,
			service: service,
			handler: f.bucket,
			timeout: timeout,
		}
		if service == SQS {
			c.handler = f.queues
		}
		return c
	}

	return Cloud{
		SQS:         sqsClient(way(SQS, pollTimeout)),
		S3:          s3Client(way(S3, attemptTimeout)),
		Small:       s3Client(way(S3, smallTimeout)),
		Starts:      queueURL(startQueue),
		Controls:    queueURL(controlQueue),
		Bucket:      bucketName,
		Directory:   directory,
		MinimumPart: minimumPart,
		APIKey:      apiKey,
		APISecret:   apiSecret,
		Now:         p.now,
		Log:         f.journal.logger(p),
	}
}

// alive returns the processes of a machine that run, those that are about to end included.
func (h *host) alive() []*running {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.processes), func(r *running) bool { return r.killed() || r.gone() })
}

// gone says whether it has ended by itself.
func (r *running) gone() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// working says whether a machine has a recorder that is to go on.
func (h *host) working() bool {
	return slices.ContainsFunc(h.alive(), func(r *running) bool { return !r.terminated.Load() })
}

// boot starts a recorder on a machine, unless one works there.
func (f *fleet) boot(h *host, fresh bool) {
	if h.working() {
		return
	}
	if fresh {
		h.disk = newDisk()
	}

	p := newProcess(fmt.Sprintf("RR_%s.%d", h.name[len("host"):], len(h.processes)+1), h.name, f.over)
	p.setClock(h.skew)
	ctx, stop := context.WithCancel(context.Background())
	m := mount{h.disk, p}
	r := &running{
		process: p,
		disk:    h.disk,
		stop:    stop,
		ended:   make(chan struct{}),
		muxer:   &Muxer{disk: m},
	}
	f.journal.note(p.name, "starts (new disk: %t)", fresh)

	var err error
	r.recorder, err = product.Recorder(Machine{
		Name:       p.name,
		Disk:       m,
		Rooms:      &Rooms{server: f.server, process: p},
		Muxer:      r.muxer,
		Cloud:      f.cloud(p),
		Tell:       func(ctx context.Context, doc document.Recording) error { return f.tell(ctx, p, doc) },
		Beginnings: product.Beginnings,
		Now:        p.now,
		Hold:       hold(f.plan),
	})
	if err != nil { // its disk is full
		f.journal.note(p.name, "has ended: %v", err)
		f.disturbed("a recorder could not start", 0)
		return
	}
	f.server.mu.Lock()
	f.server.stopped[p.name] = r.recorder.Stopped
	f.server.mu.Unlock()
	h.mu.Lock()
	h.processes = append(h.processes, r)
	h.mu.Unlock()
	go f.run(ctx, r)
}

func hold(p Plan) time.Duration {
	if p.Hold > 0 {
		return seconds(p.Hold)
	}
	return 11*time.Hour + 50*time.Minute
}

// run is a process's life.
func (f *fleet) run(ctx context.Context, r *running) {
	err := r.recorder.Run(ctx)
	if r.killed() {
		return
	}

	f.journal.note(r.name, "has ended: %v", err)
	if ctx.Err() == nil {
		f.violate("no-early-end", "%s ended by itself: %v", r.name, err)
	}
	r.disk.release(r.process)
	close(r.ended)
	r.kill() // whatever it left running ends with it
	f.server.forget(r.process)
}

// kill ends a machine's processes without a word. Of says whose frames have done that, if somebody's have.
func (f *fleet) kill(h *host, of string) {
	for _, r := range h.alive() {
		f.journal.note(r.name, "is killed")
		f.records.mu.Lock()
		f.deaths = append(f.deaths, death{time.Now(), of})
		f.records.mu.Unlock()
		r.kill()
		r.stop() // nobody hears it, but timers end
		f.server.forget(r.process)
	}
}

// terminate sends SIGTERM, and SIGKILL to whoever takes too long.
func (f *fleet) terminate(h *host) {
	for _, r := range h.alive() {
		if r.terminated.Swap(true) {
			continue
		}

		f.journal.note(r.name, "gets SIGTERM")
		r.stop()
		go func() {
			select {
			case <-r.ended:
			case <-r.dead.Done():
			case <-time.After(stopTimeout + 8*time.Second):
				f.violate("sigterm-in-time", "%s still ran %s after SIGTERM", r.name, stopTimeout+8*time.Second)
				r.kill()
				f.server.forget(r.process)
			}
		}()
	}
}

// tell is how completion notices are delivered.
func (f *fleet) tell(ctx context.Context, p *process, doc document.Recording) error {
	if err := f.network.ask(ctx, p, Receiver); err != nil {
		return err
	}

	objects, _ := f.bucket.snapshot()
	for _, part := range doc.Parts {
		if part.State == document.Completed && objects[part.Key] == nil {
			f.violate("notice-after-file", "the notice of %s names %s, which is not stored", doc.ID, part.Key)
		}
	}
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	f.notices = append(f.notices, notice{doc, time.Now()})
	return nil
}

// watchRecorders notes the times in which no machine has a working recorder as a disturbance.
func (f *fleet) watchRecorders() {
	const what = "no recorder works"
	if slices.ContainsFunc(f.hosts, (*host).working) {
		return
	}

	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	now := time.Now()
	for n := range f.disturbances {
		if d := &f.disturbances[n]; d.what == what && now.Sub(d.until) <= frameInterval {
			d.until = now
			return
		}
	}
	f.disturbances = append(f.disturbances, disturbance{what, now, now})
}
