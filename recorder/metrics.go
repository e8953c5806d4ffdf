package main

import (
	"context"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/service"
	"livekit-recorder/recorder/sockets"
)

// metricsInterval is how often the recorder says how loaded it is.
const metricsInterval = time.Minute

// metric is one number, with its unit as CloudWatch names units.
type metric struct {
	name, unit string
	value      float64
}

// reportMetrics logs how loaded the recorder is, until ctx is done: as ordinary fields, and in CloudWatch's embedded
// metric format (CloudWatch user guide, "Embedded metric format specification"), so that nothing else is needed to
// graph them.
func reportMetrics(ctx context.Context, recorder *service.Recorder, capacity int, cpu *cpuMeter,
	log logrus.FieldLogger) {
	ticker := time.NewTicker(metricsInterval)
	defer ticker.Stop()
	var drops sockets.Drops
	for {
		dropped, err := drops.Since()
		if err != nil {
			log.WithError(err).Warn("dropped datagrams are not counted")
		}
		logMetrics(log, time.Now(), load(recorder, capacity, cpu, dropped))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func load(recorder *service.Recorder, capacity int, cpu *cpuMeter, dropped int64) []metric {
	running, full := recorder.Recordings.Running(), 0.0
	if running >= capacity || !recorder.Ready() {
		full = 1
	}
	return []metric{
		{"Recordings", "Count", float64(running)}, {"Capacity", "Count", float64(capacity)}, {"Full", "Count", full},
		{"ScratchBytes", "Bytes", float64(recorder.Space.Used())}, {"DroppedDatagrams", "Count", float64(dropped)},
		{"CPU", "Percent", 100 * cpu.Share()},
		{"Goroutines", "Count", float64(runtime.NumGoroutine())},
		{"Faults", "Count", float64(guard.Caught())},
	}
}

func logMetrics(log logrus.FieldLogger, now time.Time, metrics []metric) {
	fields := logrus.Fields{}
	var definitions []map[string]string
	for _, m := range metrics {
		fields[m.name] = m.value
		definitions = append(definitions, map[string]string{"Name": m.name, "Unit": m.unit})
	}

	fields["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []map[string]any{
			{"Namespace": "ParticipantRecorder", "Dimensions": [][]string{{}}, "Metrics": definitions},
		},
	}

	log.WithFields(fields).Info("load")
}
