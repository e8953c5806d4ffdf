// Package metrics counts what a recorder does. Each number that operators see is described and counted here, whoever
// shows it to them: package health, to Prometheus and CloudWatch. Numbers are those of the whole process, and cost an
// atomic addition where something happens; what is known elsewhere already is read when somebody looks.
package metrics

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Kind says how a metric behaves.
type Kind int

// The kinds.
const (
	Counts  Kind = iota // it only grows
	Level               // it goes up and down
	Spreads             // how values are spread: a histogram
)

// Units as CloudWatch names them.
const (
	Count   = "Count"
	Bytes   = "Bytes"
	Percent = "Percent"
	Seconds = "Seconds"
)

// Metric is one metric as operators see it.
type Metric struct {
	Name   string // for Prometheus, behind its prefix
	Help   string
	Kind   Kind
	Labels []string
	Views  []View

	samples func() []Sample
	spread  *Histogram
}

// View is a metric as CloudWatch gets it, once a minute: of what counts, by how much it has grown since.
type View struct {
	Name, Unit string
	// Scale is what values are multiplied by; 0 is the same as 1.
	Scale float64
	// Of says which samples count, by the values of their labels; nil: all of them. Their sum is what CloudWatch gets.
	Of func(labels []string) bool
}

// Sample is one value of a metric, with the values of its labels.
type Sample struct {
	Labels []string
	Value  float64
}

// Samples are a metric's values at the moment; those of a histogram are in [Metric.Spread].
func (m *Metric) Samples() []Sample {
	if m.samples == nil {
		return nil
	}
	return m.samples()
}

// Spread is how values are spread; nil if the metric is no histogram.
func (m *Metric) Spread() *Histogram { return m.spread }

// all has every metric, in the order in which they are described.
var all []*Metric

// All returns every metric.
func All() []*Metric { return slices.Clone(all) }

// view is how CloudWatch gets a metric.
func view(name, unit string) View { return View{Name: name, Unit: unit} }

// Counter counts something.
type Counter struct{ n atomic.Int64 }

// Add counts so many more.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Inc counts one more.
func (c *Counter) Inc() { c.n.Add(1) }

// Load is how many there were so far.
func (c *Counter) Load() int64 { return c.n.Load() }

func counter(name, help string, views ...View) *Counter {
	c := &Counter{}
	all = append(all, &Metric{Name: name, Help: help, Kind: Counts, Views: views, samples: func() []Sample {
		return []Sample{{Value: float64(c.Load())}}
	}})
	return c
}

// Family is a counter for each of the few values that its labels have.
type Family struct {
	rows  []row
	known map[string]*Counter
	other *Counter // what has values that nobody has thought of; the last row
}

type row struct {
	values []string
	count  *Counter
}

// With is the counter of some values of the labels.
func (f *Family) With(values ...string) *Counter {
	if c, ok := f.known[strings.Join(values, " ")]; ok {
		return c
	}
	return f.other
}

// family makes a counter for each row of values. A fault in what names them must not make any more: the last row counts
// what is in none.
func family(name, help string, labels []string, rows [][]string, views ...View) *Family {
	f := &Family{known: map[string]*Counter{}}
	for _, values := range rows {
		f.other = &Counter{}
		f.known[strings.Join(values, " ")] = f.other
		f.rows = append(f.rows, row{values, f.other})
	}
	m := &Metric{Name: name, Help: help, Kind: Counts, Labels: labels, Views: views, samples: f.samples}
	all = append(all, m)
	return f
}

// each makes rows of one label's values.
func each(values ...string) (rows [][]string) {
	for _, value := range values {
		rows = append(rows, []string{value})
	}
	return rows
}

func (f *Family) samples() (samples []Sample) {
	for _, r := range f.rows {
		samples = append(samples, Sample{r.values, float64(r.count.Load())})
	}
	return samples
}

// Reading is a number that is known elsewhere, and read when somebody looks.
type Reading struct {
	read atomic.Pointer[func() float64]
}

// From says where it is known. It must answer at once. Until then there is no such metric.
func (r *Reading) From(read func() float64) { r.read.Store(&read) }

func (r *Reading) samples() []Sample {
	if read := r.read.Load(); read != nil {
		return []Sample{{Value: (*read)()}}
	}
	return nil
}

func reading(kind Kind, name, help string, views ...View) *Reading {
	r := &Reading{}
	all = append(all, &Metric{Name: name, Help: help, Kind: kind, Views: views, samples: r.samples})
	return r
}
