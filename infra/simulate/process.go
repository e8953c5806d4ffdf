package simulate

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errDead is what a call of a dead process returns when the run is over. Until then it does not return at all.
var errDead = errors.New("the process is dead")

// process is one running recorder (or the function), as far as its outside is concerned: every call that it makes of
// network, disk, LiveKit or ffmpeg asks [process.alive] first. A killed process is not told so, it just gets no
// further: that is what distinguishes a kill from any orderly end.
type process struct {
	name string // "RR_0.1": host 0, its first process
	host string // "host0"

	dead context.Context // done when it is killed
	kill context.CancelFunc
	over <-chan struct{} // closed at the end of the run

	mu   sync.Mutex
	skew time.Duration // by how much its machine's clock is ahead
}

func newProcess(name, host string, over <-chan struct{}) *process {
	p := &process{name: name, host: host, over: over}
	p.dead, p.kill = context.WithCancel(context.Background())
	return p
}

// alive returns at once while the process lives. Otherwise it blocks until the run is over.
func (p *process) alive() error {
	if p.dead.Err() == nil {
		return nil
	}
	<-p.over
	return errDead
}

// killed says whether it has been killed, without blocking.
func (p *process) killed() bool { return p.dead.Err() != nil }

// now is what its machine's clock shows.
func (p *process) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.skew)
}

// setClock sets by how much the machine's clock is ahead.
func (p *process) setClock(skew time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skew = skew
}

// offset is by how much the machine's clock is ahead.
func (p *process) offset() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.skew
}

// pause lets a little time pass, unless ctx is done before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}

	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
