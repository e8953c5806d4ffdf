package health

import (
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
)

// namespace is where CloudWatch has our metrics.
const namespace = "ParticipantRecorder"

// Reporter logs the metrics that CloudWatch gets: as ordinary fields, and in its embedded metric format (CloudWatch
// user guide, "Embedded metric format specification"), so that nothing else is needed to graph them. One goroutine owns
// it.
type Reporter struct {
	// Stack is the value of the dimension Stack, which tells the recorders of one stack from those of another; empty:
	// there is no dimension.
	Stack string
	Log   logrus.FieldLogger

	before map[string]float64 // what was counted, by the view's name
}

// Report logs one line.
func (r *Reporter) Report(now time.Time) {
	if r.before == nil {
		r.before = map[string]float64{}
	}

	fields := logrus.Fields{}
	var definitions []map[string]string
	for _, m := range metrics.All() {
		for _, v := range m.Views {
			value, ok := r.value(m, v)
			if !ok {
				continue
			}
			fields[v.Name] = value
			definitions = append(definitions, map[string]string{"Name": v.Name, "Unit": v.Unit})
		}
	}

	dimensions := []string{}
	if r.Stack != "" {
		dimensions, fields["Stack"] = []string{"Stack"}, r.Stack
	}
	fields["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []map[string]any{
			{"Namespace": namespace, "Dimensions": [][]string{dimensions}, "Metrics": definitions},
		},
	}
	r.Log.WithFields(fields).Info("load")
}

// value is what CloudWatch gets of a metric, if there is anything: of what counts, by how much it has grown; of a
// histogram, the values since the last time.
func (r *Reporter) value(m *metrics.Metric, v metrics.View) (value any, ok bool) {
	if m.Spread() != nil {
		recent := m.Spread().Recent()
		return recent, len(recent) > 0
	}

	sum, samples := 0.0, m.Samples()
	for _, s := range samples {
		if v.Of == nil || v.Of(s.Labels) {
			sum += s.Value
		}
	}
	if v.Scale != 0 {
		sum *= v.Scale
	}
	if m.Kind == metrics.Counts {
		before := r.before[v.Name]
		r.before[v.Name] = sum
		sum -= before
	}
	return sum, len(samples) > 0
}
