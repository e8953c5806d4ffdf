// The recorder: takes commands off two SQS queues, joins LiveKit rooms as a hidden bot, and records participants into
// a bucket without transcoding.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/bombsimon/logrusr/v4"
	"github.com/livekit/protocol/logger"
	"github.com/livekit/protocol/utils/guid"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/check"
	"livekit-recorder/recorder/health"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/recorder/protection"
	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/service"
	"livekit-recorder/shared/keys"
	"livekit-recorder/shared/queue"
	"livekit-recorder/shared/version"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(subcommand(os.Args[1:], os.Stdout))
	}

	log := logrus.New()
	log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	switch err := run(ctx, log); {
	case errors.Is(err, check.ErrWrong): // which has been logged
		os.Exit(1)
	case err != nil:
		log.WithError(err).Error("recorder failed")
		os.Exit(1)
	}
}

func run(ctx context.Context, log *logrus.Logger) error {
	s, err := readSettings()
	if err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	log.SetLevel(s.operators.logLevel)
	name := guid.New("RR_")
	entry := log.WithField("recorder", name)
	entry.WithFields(logrus.Fields{"version": version.Version(), "commit": version.Commit()}).Info("recorder starts")
	lksdk.SetLogger(logger.LogRLogger(logrusr.New(sdkLog(log))))

	aws, err := loadAWS(ctx, s)
	if err != nil {
		return err
	}
	liveKitKeys := s.liveKit.keys.Open(aws, entry)
	all := checks(s, liveKitKeys, aws)
	without, err := check.Start(ctx, all, entry)
	if ctx.Err() != nil {
		return nil // it was ended before it had begun
	}
	if err != nil {
		return err
	}
	ffmpeg, err := probe(ctx, s.ffmpeg, entry)
	if err != nil {
		return err
	}

	var recorder *service.Recorder // is there before any room is joined
	pool := &room.Pool{
		URL:    s.liveKit.url,
		Keys:   liveKitKeys,
		Name:   name,
		Log:    entry,
		OnStop: func(recording string) { recorder.Look(recording) },
	}
	limits := readLimits(ctx, &s, entry)
	cpu := &cpuMeter{processors: limits.processors}
	seen := &gauges{pool: pool, cpu: cpu, capacity: s.limits.maxRecordings, log: entry}
	server, err := listen(ctx, s, seen)
	if err != nil {
		return err
	}
	recorder, err = newRecorder(s, seen, ffmpeg, aws)
	if err != nil {
		return err
	}
	entry.WithFields(logrus.Fields{
		"maxRecordings": s.limits.maxRecordings,
		"processors":    cpu.processors,
	}).Info("recorder ready")
	return serve(ctx, s, seen, server, looked{all, without}, aws)
}

func loadAWS(ctx context.Context, s settings) (aws.Config, error) {
	config, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion(s.storage.region),
		config.WithHTTPClient(httpClient(answerTimeout, silenceTimeout)))
	if err != nil {
		return config, fmt.Errorf("configure AWS SDK: %w", err)
	}
	return config, nil
}

func probe(ctx context.Context, path string, log logrus.FieldLogger) (mux.FFmpeg, error) {
	ffmpeg, err := mux.Probe(ctx, path)
	if err != nil {
		return ffmpeg, fmt.Errorf("probe ffmpeg: %w", err)
	}
	log.WithFields(logrus.Fields{"ffmpeg": ffmpeg.Version, "hybridMP4": ffmpeg.Hybrid}).Info("ffmpeg found")
	if !ffmpeg.Hybrid {
		log.Warn("this ffmpeg is older than 7.1: an MP4 file that is not finished, as after a crash, is lost")
	}
	return ffmpeg, nil
}

// readLimits finds out what this recorder may use, and how many recordings that is enough for.
func readLimits(ctx context.Context, s *settings, log logrus.FieldLogger) container {
	limits, err := readContainer(ctx, cgroup, s.ecs.metadata)
	if err != nil {
		log.WithError(err).Warn("limits of the container could not be read")
	}
	if !s.runtime.memory {
		debug.SetMemoryLimit(limits.heap())
	}
	if s.limits.maxRecordings == 0 {
		s.limits.maxRecordings = max(1, int(recordingsPerCPU*limits.processors))
	}
	return limits
}

// newRecorder makes a recorder, which is seen from then on.
func newRecorder(s settings, seen *gauges, ffmpeg mux.FFmpeg, aws aws.Config) (*service.Recorder, error) {
	pool, log, name := seen.pool, seen.log, seen.pool.Name
	store, storage := openStorage(s, name, s3.NewFromConfig(aws, pathStyle, s.storage.ofBucket), log)
	notices, err := newNotices(s, pool.Keys, aws, log)
	if err != nil {
		return nil, err
	}
	recorder, err := service.New(service.Settings{
		Names:         recording.Names{Recorder: name, Bucket: s.storage.bucket, FileTemplate: s.storage.fileTemplate},
		Policy:        s.policy,
		Scratch:       s.scratchDir,
		ScratchLimit:  s.limits.scratchLimit,
		MaxRecordings: s.limits.maxRecordings,
		JoinParts:     s.limits.joinParts,
		Hold:          s.limits.hold,
		StopTimeout:   s.limits.stopTimeout,
	}, service.World{
		Rooms:    rooms{pool},
		Starts:   queue.Open(aws, s.startQueue),
		Controls: queue.Open(aws, s.controlQueue),
		Store:    store,
		Storage:  storage,
		Media:    media{ffmpeg},
		Disk:     scratch.OS{},
		Notices:  notices,
		Ready:    func() bool { return pool.Reachable() && !seen.cpu.Busy() },
		Now:      time.Now,
		Log:      log,
	})
	if err != nil {
		return nil, err
	}

	seen.recorder = recorder
	seen.connect()
	if b, ok := storage.(bucket); ok {
		seen.connectUploads(b.S3)
	}
	return recorder, nil
}

// newNotices makes what tells others of recordings.
func newNotices(s settings, by *keys.Keys, aws aws.Config, log logrus.FieldLogger) (*notify.Everybody, error) {
	webhooks, err := notify.New(s.notices.webhooks, s.notices.private, by, log)
	if err != nil {
		return nil, err
	}
	webhooks.Started, webhooks.Stored = s.notices.started, s.notices.stored
	everybody := &notify.Everybody{Webhooks: webhooks}
	if s.notices.bus != "" {
		everybody.Bus = &notify.Bus{Client: eventbridge.NewFromConfig(aws), Name: s.notices.bus, Log: log}
	}
	return everybody, nil
}

// listen opens the address at which operators see how the recorder is; nil if there is none.
func listen(ctx context.Context, s settings, seen *gauges) (*health.Server, error) {
	if s.operators.address == "" {
		return nil, nil
	}
	server := &health.Server{
		Address: s.operators.address,
		Build: map[string]string{
			"recorder": seen.pool.Name,
			"version":  version.Version(),
			"commit":   version.Commit(),
			"go":       runtime.Version(),
		},
		Unready: seen.unready,
		Log:     seen.log,
	}
	return server, server.Listen(ctx)
}

// looked are the checks, and those that the recorder has started without.
type looked struct{ all, without []check.Check }

// serve works until ctx is done and everything is handed over or stored. What only watches goes on until then, and
// tells of it to the last.
func serve(ctx context.Context, s settings, seen *gauges, server *health.Server, looked looked,
	aws aws.Config) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	recorder, pool, cpu, log := seen.recorder, seen.pool, seen.cpu, seen.log
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	watchers.Go(func() { cpu.Run(watching) })
	if !s.runtime.threads {
		watchers.Go(func() { newThreads(cpu.processors).Run(watching) })
	}
	watchers.Go(func() { pool.Probe(watching) })
	watchers.Go(func() { check.Later(watching, looked.without, log) })
	watchers.Go(func() { check.Renew(watching, looked.all) })
	watchers.Go(func() { seen.report(watching, s.operators.stack) })
	watchers.Go(func() { seen.overlook(watching) })
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	var last sync.WaitGroup
	if server != nil {
		last.Go(func() { server.Run(serving) })
	}
	if s.ecs.agent != "" {
		task := &protection.Task{
			Agent:      s.ecs.agent,
			Running:    recorder.Recordings.Running,
			Superseded: deployment{s.ecs.metadata, aws}.superseded,
			End:        end,
			Log:        log,
		}
		watchers.Go(func() { task.Run(watching) })
	}

	err := recorder.Run(ctx)
	pool.Wait()
	stopWatching()
	watchers.Wait()
	stopServing()
	last.Wait()
	return err
}

// sdkLog lets through what the LiveKit SDK warns of. What it calls information is for debugging.
func sdkLog(log *logrus.Logger) logrus.FieldLogger {
	quiet := logrus.New()
	quiet.SetFormatter(log.Formatter)
	quiet.SetOutput(log.Out)
	quiet.SetLevel(logrus.WarnLevel)
	if log.IsLevelEnabled(logrus.DebugLevel) {
		quiet.SetLevel(logrus.DebugLevel)
	}
	return quiet.WithField("component", "livekit-sdk")
}
