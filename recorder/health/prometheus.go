// Package health shows operators how a recorder is: its metrics to Prometheus and CloudWatch, and whether it lives and
// takes starts to whoever supervises it.
package health

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"livekit-recorder/recorder/metrics"
)

// Prefix begins the names of all our metrics for Prometheus.
const Prefix = "livekit_recorder_"

// collector shows to Prometheus what package metrics counts. Nothing is counted twice: it is read when it is asked for.
type collector struct {
	described map[*metrics.Metric]*prometheus.Desc
}

func newCollector() *collector {
	c := &collector{described: map[*metrics.Metric]*prometheus.Desc{}}
	for _, m := range metrics.All() {
		c.described[m] = prometheus.NewDesc(Prefix+m.Name, m.Help, m.Labels, nil)
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.described {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for m, d := range c.described {
		if m.Spread() != nil {
			now := m.Spread().Now()
			to <- prometheus.MustNewConstHistogram(d, now.Count, now.Sum, now.Buckets)
			continue
		}

		kind := prometheus.GaugeValue
		if m.Kind == metrics.Counts {
			kind = prometheus.CounterValue
		}
		for _, s := range m.Samples() {
			to <- prometheus.MustNewConstMetric(d, kind, s.Value, s.Labels...)
		}
	}
}

// exposition answers with all metrics: ours, and those of Go's runtime and of the process.
func exposition(build map[string]string) http.Handler {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        Prefix + "build_info",
		Help:        "1, with what the program is built of and which recorder this is.",
		ConstLabels: build,
	})
	info.Set(1)

	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(), info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
