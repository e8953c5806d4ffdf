package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThreadsFollowTheLoad(t *testing.T) {
	seconds := int(calmFor / time.Second)
	for name, c := range map[string]struct {
		processors float64
		used       []float64 // each second
		expected   int
	}{
		"nothing to do":                    {8, []float64{0, 0, 0}, 1},
		"40 people on one thread":          {2, []float64{0.4, 0.5, 0.5}, 1},
		"all that one thread can do":       {2, []float64{1}, 2},
		"several are needed at once":       {8, []float64{0.2, 1, 2, 4}, 7},
		"no more than there are":           {2, []float64{1, 2, 2}, 2},
		"a part of a processor":            {0.25, []float64{0.25, 0.25}, 1},
		"a burst is over, for a moment":    {2, append([]float64{1}, make([]float64, seconds-1)...), 2},
		"a burst is over for good":         {2, append([]float64{1}, make([]float64, seconds)...), 1},
		"as much as before comes again":    {2, append(append([]float64{1}, make([]float64, seconds)...), 1), 2},
		"too much for one thread lasts on": {2, append([]float64{1}, repeated(0.5, 10*seconds)...), 2},
	} {
		t.Run(name, func(t *testing.T) {
			threads := newThreads(c.processors)
			got := threads.now
			for _, used := range c.used {
				got = threads.next(used)
			}
			require.Equal(t, c.expected, got)
		})
	}
}

func repeated(value float64, times int) (values []float64) {
	for range times {
		values = append(values, value)
	}
	return values
}
