// The recorder: takes commands off two SQS queues, joins LiveKit rooms as a hidden bot, and records participants into
// a bucket without transcoding.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/bombsimon/logrusr/v4"
	"github.com/livekit/protocol/logger"
	"github.com/livekit/protocol/utils/guid"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/recorder/protection"
	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/service"
	"livekit-recorder/shared/queue"
)

func main() {
	if len(os.Args) > 1 {
		if err := subcommand(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "recorder:", err)
			os.Exit(2)
		}
		return
	}

	log := logrus.New()
	log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	if err := run(ctx, log); err != nil {
		log.WithError(err).Error("recorder failed")
		os.Exit(1)
	}
}

// subcommand does what is no service.
func subcommand(args []string) error {
	if args[0] != "compose" {
		return fmt.Errorf("unknown argument %q: without arguments this is the service, see also recorder compose -h", args[0])
	}
	return printComposition(args[1:], os.Stdout)
}

func run(ctx context.Context, log *logrus.Logger) error {
	s, err := readSettings()
	if err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	log.SetLevel(s.logLevel)
	name := guid.New("RR_")
	entry := log.WithField("recorder", name)
	lksdk.SetLogger(logger.LogRLogger(logrusr.New(sdkLog(log))))

	ffmpeg, err := probe(ctx, s.ffmpeg, entry)
	if err != nil {
		return err
	}
	aws, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion(s.storage.region),
		config.WithHTTPClient(httpClient(answerTimeout, silenceTimeout)))
	if err != nil {
		return fmt.Errorf("configure AWS SDK: %w", err)
	}

	var recorder *service.Recorder // is there before any room is joined
	pool := &room.Pool{
		URL:       s.liveKit.url,
		APIKey:    s.liveKit.key,
		APISecret: s.liveKit.secret,
		Name:      name,
		Log:       entry,
		OnStop:    func(recording string) { recorder.Look(recording) },
	}
	limits := readLimits(ctx, &s, entry)
	cpu := &cpuMeter{processors: limits.processors}
	recorder, err = newRecorder(s, name, pool, ffmpeg, cpu, aws, entry)
	if err != nil {
		return err
	}
	entry.WithFields(logrus.Fields{
		"maxRecordings": s.limits.maxRecordings,
		"processors":    cpu.processors,
	}).Info("recorder ready")
	return serve(ctx, s, recorder, pool, cpu, entry)
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

func newRecorder(s settings, name string, pool *room.Pool, ffmpeg mux.FFmpeg, cpu *cpuMeter, aws aws.Config,
	log logrus.FieldLogger) (*service.Recorder, error) {
	queues := sqs.NewFromConfig(aws)
	store, storage := openStorage(s, name, s3.NewFromConfig(aws, pathStyle, s.storage.ofBucket), log)
	notifier, err := notify.New(s.webhooks, s.liveKit.key, s.liveKit.secret, log)
	if err != nil {
		return nil, err
	}
	return service.New(service.Settings{
		Names:         recording.Names{Recorder: name, Bucket: s.storage.bucket, FileTemplate: s.storage.fileTemplate},
		Policy:        s.policy,
		Scratch:       s.scratchDir,
		ScratchLimit:  s.limits.scratchLimit,
		MaxRecordings: s.limits.maxRecordings,
		Hold:          s.limits.hold,
		StopTimeout:   s.limits.stopTimeout,
	}, service.World{
		Rooms:    rooms{pool},
		Starts:   &queue.Queue{Client: queues, URL: s.startQueue},
		Controls: &queue.Queue{Client: queues, URL: s.controlQueue},
		Store:    store,
		Storage:  storage,
		Media:    media{ffmpeg},
		Disk:     scratch.OS{},
		Notices:  notifier,
		Ready:    func() bool { return pool.Reachable() && !cpu.Busy() },
		Now:      time.Now,
		Log:      log,
	})
}

// serve works until ctx is done and everything is handed over or stored. What only watches goes on until then.
func serve(ctx context.Context, s settings, recorder *service.Recorder, pool *room.Pool, cpu *cpuMeter,
	log logrus.FieldLogger) error {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	watchers.Go(func() { cpu.Run(watching) })
	if !s.runtime.threads {
		watchers.Go(func() { newThreads(cpu.processors).Run(watching) })
	}
	watchers.Go(func() { pool.Probe(watching) })
	watchers.Go(func() { reportMetrics(watching, recorder, s.limits.maxRecordings, cpu, log) })
	if s.ecs.agent != "" {
		task := &protection.Task{Agent: s.ecs.agent, Running: recorder.Recordings.Running, Log: log}
		watchers.Go(func() { task.Run(watching) })
	}

	err := recorder.Run(ctx)
	pool.Wait()
	stopWatching()
	watchers.Wait()
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
