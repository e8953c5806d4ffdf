package main

import (
	"context"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/health"
	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/service"
	"livekit-recorder/recorder/sockets"
	"livekit-recorder/recorder/upload"
)

const (
	// metricsInterval is how often CloudWatch is told how the recorder is.
	metricsInterval = time.Minute
	// overviewInterval is how often all recordings are looked at, for a sign of life.
	overviewInterval = 5 * time.Second
)

// gauges are what operators see that is known already.
type gauges struct {
	recorder *service.Recorder
	pool     *room.Pool
	cpu      *cpuMeter
	capacity int
	drops    sockets.Count
	log      logrus.FieldLogger
}

// connect has the metrics read from where they are known.
func (g *gauges) connect() {
	metrics.Recordings.From(func() float64 { return float64(g.recorder.Recordings.Running()) })
	metrics.Capacity.From(func() float64 { return float64(g.capacity) })
	metrics.Full.From(func() float64 { return indicator(len(g.unready()) > 0) })
	metrics.LiveKit.From(func() float64 { return indicator(g.pool.Reachable()) })
	metrics.CPU.From(g.cpu.Share)
	metrics.Goroutines.From(func() float64 { return float64(runtime.NumGoroutine()) })
	metrics.ScratchBytes.From(func() float64 { return float64(g.recorder.Space.Used()) })
	metrics.ScratchUsed.From(g.recorder.Space.Share)
	metrics.Faults.From(func() float64 { return float64(guard.Caught()) })
	metrics.DroppedDatagrams.From(func() float64 {
		dropped, err := g.drops.Total()
		if err != nil {
			g.log.WithError(err).Warn("dropped datagrams are not counted")
		}
		return float64(dropped)
	})
}

// connectUploads does the same with what is on its way into the bucket, or waits for it to say a name.
func (g *gauges) connectUploads(s *upload.S3) {
	metrics.Uploads.From(func() float64 { return float64(s.Underway().Files) })
	metrics.Pending.From(func() float64 { return float64(s.Underway().Pending) })
	metrics.Lag.From(func() float64 { return max(s.Underway().Lag, g.recorder.Recordings.Unnamed()).Seconds() })
	metrics.JournalBytes.From(func() float64 { return float64(s.Underway().Journal) })
	metrics.JournalAge.From(func() float64 { return s.Underway().JournalAge.Seconds() })
}

func indicator(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

// unready says why no starts are taken; nothing if they are.
func (g *gauges) unready() (reasons []string) {
	for _, c := range []struct {
		holds  bool
		reason string
	}{
		{!g.pool.Reachable(), "LiveKit cannot be reached"},
		{g.cpu.Busy(), "the processors have nothing to spare"},
		{g.recorder.Space.Full(), "the scratch space is used up"},
		{g.recorder.Free() == 0, "it has as many recordings as it takes, or one that may kill it"},
		{g.recorder.Ending(), "it shuts down"},
	} {
		if c.holds {
			reasons = append(reasons, c.reason)
		}
	}
	return reasons
}

// report tells CloudWatch how the recorder is, until ctx is done.
func (g *gauges) report(ctx context.Context, stack string) {
	reporter := &health.Reporter{Stack: stack, Log: g.log}
	ticker := time.NewTicker(metricsInterval)
	defer ticker.Stop()
	for {
		reporter.Report(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// overlook looks at all recordings now and then, until ctx is done: if that hangs, the recorder does.
func (g *gauges) overlook(ctx context.Context) {
	defer metrics.Overview.End()
	ticker := time.NewTicker(overviewInterval)
	defer ticker.Stop()
	for {
		g.recorder.Recordings.Running()
		metrics.Overview.Turn()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
