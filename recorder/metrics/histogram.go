package metrics

import (
	"slices"
	"sync"
	"time"
)

// maxRecent is how many values CloudWatch takes of one metric in one line (user guide, "Embedded metric format
// specification": an array of at most 100 numbers).
const maxRecent = 100

// Histogram says how times are spread, in seconds. What is measured in it happens a few times for each recording.
type Histogram struct {
	bounds []float64 // upper ends of the buckets

	mu     sync.Mutex // guards:
	counts []uint64   // by bucket; the last one is for what is beyond all bounds
	sum    float64
	recent []float64 // since somebody took them
}

// Spread is a histogram as it is at the moment.
type Spread struct {
	Buckets map[float64]uint64 // how many were at most so much
	Count   uint64
	Sum     float64
}

func histogram(name, help string, bounds []float64, views ...View) *Histogram {
	h := &Histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
	all = append(all, &Metric{Name: name, Help: help, Kind: Spreads, Views: views, spread: h})
	return h
}

// Observe notes how long something has taken. Times that clocks which differ make negative are none.
func (h *Histogram) Observe(d time.Duration) {
	seconds := max(0, d.Seconds())
	n, _ := slices.BinarySearch(h.bounds, seconds)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[n]++
	h.sum += seconds
	if len(h.recent) < maxRecent {
		h.recent = append(h.recent, seconds)
	}
}

// Now is the histogram at the moment.
func (h *Histogram) Now() Spread {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Spread{Buckets: map[float64]uint64{}, Sum: h.sum}
	for n, count := range h.counts {
		s.Count += count
		if n < len(h.bounds) {
			s.Buckets[h.bounds[n]] = s.Count
		}
	}
	return s
}

// Recent returns the values since it was last called; of very many, the first ones.
func (h *Histogram) Recent() []float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	recent := h.recent
	h.recent = nil
	return recent
}
