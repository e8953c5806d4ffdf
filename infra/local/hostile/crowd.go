package hostile

import (
	"sync"

	"livekit-recorder/infra/local/participant"
)

// crowd are those who attack at the moment.
type crowd struct {
	mu     sync.Mutex
	people []*participant.Participant
}

func (c *crowd) add(p *participant.Participant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people = append(c.people, p)
}

// leave lets all of them leave.
func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()

	var leaving sync.WaitGroup
	for _, p := range c.people {
		leaving.Go(p.Leave)
	}
	leaving.Wait()
	c.people = nil
}
