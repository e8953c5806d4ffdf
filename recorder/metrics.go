package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/service"

	"github.com/sirupsen/logrus"
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
	for {
		logMetrics(log, time.Now(), load(recorder, capacity, cpu))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func load(recorder *service.Recorder, capacity int, cpu *cpuMeter) []metric {
	running, full := recorder.Recordings.Running(), 0.0
	if running >= capacity || !recorder.Ready() {
		full = 1
	}
	return []metric{
		{"Recordings", "Count", float64(running)}, {"Capacity", "Count", float64(capacity)}, {"Full", "Count", full},
		{"ScratchBytes", "Bytes", float64(recorder.Space.Used())}, {"DroppedDatagrams", "Count", droppedDatagrams()},
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

// droppedDatagrams is how many UDP datagrams the kernel has dropped since it started, because nobody took them off a
// socket in time: RcvbufErrors of Udp in /proc/net/snmp. 0 where there is no such file.
func droppedDatagrams() float64 {
	table, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0
	}

	var names []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}

		for n, name := range names {
			if name == "RcvbufErrors" && n < len(fields) {
				value, _ := strconv.ParseFloat(fields[n], 64) // the kernel writes numbers
				return value
			}
		}
	}

	return 0
}
