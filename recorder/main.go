// The recorder: takes commands off two SQS queues, joins LiveKit rooms as a hidden bot, and records participants into a
// bucket without transcoding.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

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
	"livekit-recorder/recorder/upload"
	"livekit-recorder/recorder/worker"
	"livekit-recorder/shared/ledger"
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
	ffmpeg, err := mux.Probe(ctx, s.ffmpeg)
	if err != nil {
		return fmt.Errorf("probe ffmpeg: %w", err)
	}
	entry.WithFields(logrus.Fields{"ffmpeg": ffmpeg.Version, "hybridMP4": ffmpeg.Hybrid}).Info("ffmpeg found")
	if !ffmpeg.Hybrid {
		entry.Warn("this ffmpeg is older than 7.1: an MP4 file that is not finished, as after a crash, is lost")
	}
	aws, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.region), config.WithHTTPClient(httpClient(answerTimeout, silenceTimeout)))
	if err != nil {
		return fmt.Errorf("configure AWS SDK: %w", err)
	}
	queues := sqs.NewFromConfig(aws)
	store, storage := openStorage(s, s3.NewFromConfig(aws, pathStyle), entry)
	notifier := &notify.Notifier{URLs: s.webhooks, APIKey: s.apiKey, APISecret: s.apiSecret, Log: entry}
	studio := &recording.Studio{
		Rooms:  &room.Pool{URL: s.liveKitURL, APIKey: s.apiKey, APISecret: s.apiSecret, Name: name, Log: entry},
		FFmpeg: ffmpeg, Storage: storage, Bucket: s.bucket, Scratch: filepath.Join(s.scratchDir, name), ScratchLimit: s.scratchLimit,
		Documents: ledger.Documents{Store: store}, Ledger: &ledger.Ledger{Store: store, Owner: name},
		StartTimeout: s.startTimeout, RejoinWindow: s.rejoinWindow, MaxDuration: s.maxDuration, HandOver: s.handOver,
		FileTemplate: s.fileTemplate, Notify: notifier.Ended, Log: entry,
	}
	if err := studio.OpenScratch(); err != nil {
		return err
	}
	defer studio.CloseScratch()
	studio.RecoverScratch(ctx)
	studio.Rooms.OnStop = func(id string) { studio.Check(id) }
	cpus, err := processors(ctx, cgroupLimit, s.ecsMetadata)
	if err != nil {
		entry.WithError(err).Warn("limit of processors could not be read")
	}
	if s.maxRecordings == 0 {
		s.maxRecordings = max(1, int(recordingsPerCPU*cpus))
	}
	cpu := &cpuMeter{processors: cpus}
	w := &worker.Worker{
		Starts:   &queue.Queue{Client: queues, URL: s.startQueue},
		Controls: &queue.Queue{Client: queues, URL: s.controlQueue},
		Start:    studio.Record, GiveUp: studio.GiveUp, Stop: studio.Stop, Doubt: func(id string) { studio.Check(id) },
		MaxRecordings: s.maxRecordings, Hold: s.hold, HasRoom: func() bool { return studio.HasSpace() && !cpu.Busy() }, Log: entry,
	}
	entry.WithFields(logrus.Fields{"maxRecordings": s.maxRecordings, "processors": cpus}).Info("recorder ready")
	go cpu.Run(ctx)
	go reportMetrics(ctx, studio, s.maxRecordings, cpu, entry)
	return serve(ctx, s, w, studio, notifier, entry)
}

// serve works until ctx is done, then closes every file within the stop timeout.
func serve(ctx context.Context, s settings, w *worker.Worker, studio *recording.Studio, n *notify.Notifier, log logrus.FieldLogger) error {
	finished := make(chan struct{})
	go func() {
		w.Run(ctx)
		studio.Rooms.Wait()
		close(finished)
	}()
	go studio.WatchScratch(context.WithoutCancel(ctx)) // ends with the process: what runs must be kept within bounds
	if s.ecsAgent != "" {
		task := &protection.Task{Agent: s.ecsAgent, Running: studio.Running, Log: log}
		go task.Run(ctx)
	}
	<-ctx.Done()
	log.WithField("recordings", studio.Running()).Info("shutting down: closing and storing every file")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.stopTimeout)
	defer cancel()
	select {
	case <-finished:
	case <-bounded.Done():
		return fmt.Errorf("%d recordings were not stored within %s, their files are in %s",
			studio.Running(), s.stopTimeout, studio.Scratch)
	}
	n.Wait(bounded)
	log.Info("recorder ended")
	return nil
}

// pathStyle addresses buckets by path at services that are not AWS's own, which rarely have a host name for each bucket.
func pathStyle(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }

// openStorage decides where everything is kept: in the bucket, or in a local directory if there is none.
func openStorage(s settings, client *s3.Client, log logrus.FieldLogger) (ledger.Store, recording.Storage) {
	if s.bucket == "" {
		log.WithField("directory", s.recordingsDir).Info("S3_BUCKET is not set: finished files stay here")
		return &ledger.DirStore{Root: s.recordingsDir}, directory{&upload.Directory{Root: s.recordingsDir}}
	}
	return ledger.NewS3Store(client, s.bucket, s.directory),
		bucket{&upload.S3{Client: client, Bucket: s.bucket, Directory: s.directory, Log: log}}
}

// bucket and directory are the two kinds of storage, as recordings see them.
type bucket struct{ *upload.S3 }

func (b bucket) Begin(path, name, container string) recording.Tail {
	return b.S3.Begin(path, name, container)
}

// Resume returns what a recording wants of an upload.
func (b bucket) Resume(ctx context.Context, path, name, container string) (recording.Tail, error) {
	return b.S3.Resume(ctx, path, name, container)
}

type directory struct{ *upload.Directory }

// Resume moves the file as if nothing had happened.
func (d directory) Resume(_ context.Context, path, name, container string) (recording.Tail, error) {
	return d.Directory.Begin(path, name, container), nil
}

// Recover finds nothing: a file is not here before it is finished.
func (d directory) Recover(context.Context, string, string) (int64, bool, error) {
	return 0, false, ledger.ErrNotFound
}

// Fetch is never called, for nothing is ever recovered.
func (d directory) Fetch(context.Context, string, string) error { return ledger.ErrNotFound }

func (d directory) Begin(path, name, container string) recording.Tail {
	return d.Directory.Begin(path, name, container)
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
