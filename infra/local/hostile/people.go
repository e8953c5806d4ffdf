package hostile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
)

// oddNames end the names of people who come and go.
var oddNames = []string{
	"../../etc/passwd", "a b\tc", "%2e%2e%2f", "名前 🦜", "x.part2", "x.e2", "x.json", "'; rm -rf / #", "\"quoted\\\"",
	"line\nbreak", "{room}/{id}", "\u202edesrever", ".", "..", "CON", "\u00e9", "e\u0301",
}

// passersBy has 50 people come, say something for a second and go, over and over.
func passersBy(ctx context.Context, c *cast) error {
	const people, stay = 50, time.Second
	var here sync.WaitGroup
	defer here.Wait()

	each := time.NewTicker(400 * time.Millisecond)
	defer each.Stop()
	for n := range people {
		here.Go(func() {
			name := fmt.Sprint(n, " ", oddNames[n%len(oddNames)])
			p, err := c.enter(name, participant.Options{})
			if err != nil {
				return // the server may have had enough
			}
			defer p.Leave()
			if _, err := p.Microphone(); err == nil {
				_ = stack.Pass(ctx, stay) // or less, if the time is over
			}
		})

		select {
		case <-ctx.Done():
			return nil
		case <-each.C:
		}
	}
	return nil
}
