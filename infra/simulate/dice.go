package simulate

import (
	"math/rand/v2"
	"sync"
	"time"
)

// dice are random numbers from one seed, for many goroutines. Which goroutine throws first is up to the scheduler, so
// two runs of one plan are alike, not equal.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{source: rand.New(rand.NewPCG(seed, seed^0x5eed))} }

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.IntN(n)
}

// oneIn says yes once in n times.
func (d *dice) oneIn(n int) bool { return d.below(n) == 0 }

// between returns a duration of whole milliseconds.
func (d *dice) between(least, most time.Duration) time.Duration {
	span := int((most-least)/time.Millisecond) + 1
	return least + time.Duration(d.below(span))*time.Millisecond
}

// seconds returns a whole number of seconds.
func (d *dice) seconds(least, most int) float64 { return float64(least + d.below(most-least+1)) }
