package simulate

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/functions/api"
	"livekit-recorder/recorder/joining"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/service"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// real is the product itself, on simulated machines. Everything below is in the words of its own interfaces what
// recorder/world.go and recorder/main.go are for the real world.
var real = Product{Recorder: newRecorder, Function: newFunction, Beginnings: true}

// policy is what the real one's defaults are (recorder/settings.go).
var policy = recording.Policy{
	HeadStart:    time.Second,
	Connect:      15 * time.Second,
	StartTimeout: 5 * time.Minute,
	RejoinWindow: 30 * time.Second,
	HandOver:     time.Minute,
}

// maxRecordings is how many recordings one simulated recorder takes: two machines of three can be lost.
const maxRecordings = 40

func newRecorder(m Machine) (Recorder, error) {
	c := m.Cloud
	storage := &upload.S3{
		Client:    c.S3,
		Bucket:    c.Bucket,
		Directory: c.Directory,
		Disk:      m.Disk,
		Recorder:  m.Name,
		PartSize:  c.MinimumPart,
		LeastPart: c.MinimumPart,
		Log:       c.Log,
	}

	r, err := service.New(service.Settings{
		Names:         recording.Names{Recorder: m.Name, Bucket: c.Bucket, FileTemplate: document.DefaultFile},
		Policy:        policy,
		Scratch:       scratchDirectory,
		MaxRecordings: maxRecordings,
		JoinParts:     os.Getenv("JOIN_PARTS") == "on", // as by default: off
		Hold:          m.Hold,
		StopTimeout:   stopTimeout,
	}, service.World{
		Rooms:    hostRooms{m.Rooms},
		Starts:   &queue.Queue{Client: c.SQS, URL: c.Starts},
		Controls: &queue.Queue{Client: c.SQS, URL: c.Controls},
		Store:    ledger.NewS3Store(c.Small, c.Bucket, c.Directory),
		Storage:  hostStorage{storage},
		Media:    hostMedia{m.Muxer},
		Disk:     m.Disk,
		Notices:  hostNotices{m.Tell, m.Beginnings},
		Ready:    m.Rooms.Reachable,
		Now:      m.Now,
		Log:      c.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("make recorder: %w", err)
	}

	return hostRecorder{r}, nil
}

type hostRecorder struct{ *service.Recorder }

// Stopped implements [Recorder].
func (r hostRecorder) Stopped(recording string) { r.Look(recording) }

// hostNotices are for one receiver of ends, and perhaps one of beginnings.
type hostNotices struct {
	tell       func(context.Context, document.Recording) error
	beginnings bool
}

const ofBeginnings = "receiver of beginnings"

// Receivers implements [service.Notices].
func (hostNotices) Receivers(document.Recording) []string { return []string{"receiver"} }

// ReceiversOfBeginnings implements [service.Notices].
func (n hostNotices) ReceiversOfBeginnings(document.Recording) []string {
	if !n.beginnings {
		return nil
	}
	return []string{ofBeginnings}
}

// Begins implements [service.Notices].
func (hostNotices) Begins(receiver string) bool { return receiver == ofBeginnings }

// ReceiversOfParts implements [service.Notices].
func (hostNotices) ReceiversOfParts(document.Recording) []string { return nil }

// Deliver implements [service.Notices].
func (n hostNotices) Deliver(ctx context.Context, _ string, r document.Recording) error {
	return n.tell(ctx, r)
}

type hostRooms struct{ *Rooms }

// Follow implements [recording.Rooms].
func (r hostRooms) Follow(name string, interest room.Interest, log logrus.FieldLogger) recording.Following {
	return r.Rooms.Follow(name, interest, log)
}

type hostMedia struct{ *Muxer }

// Open implements [service.Media].
func (m hostMedia) Open(path string, streams []mux.Stream) (parts.File, error) {
	return m.Muxer.Open(path, streams)
}

// OpenIdle implements [service.Media].
func (m hostMedia) OpenIdle(path string, streams []mux.Stream) (parts.File, error) {
	return m.Muxer.Open(path, streams)
}

type hostStorage struct{ *upload.S3 }

// Begin implements [recovery.Storage].
func (s hostStorage) Begin(log logrus.FieldLogger, path, name, container string) parts.Upload {
	return s.S3.BeginFor(log, path, name, container)
}

// Resume implements [recovery.Storage].
func (s hostStorage) Resume(ctx context.Context, log logrus.FieldLogger, path, name, container string) (
	parts.Upload, error) {
	return s.S3.ResumeFor(ctx, log, path, name, container)
}

// Replace implements [recovery.Storage].
func (s hostStorage) Replace(ctx context.Context, path, name, container, tag string) (recovery.Replacement, error) {
	return s.S3.Replace(ctx, path, name, container, tag)
}

// Create implements [joining.Storage].
func (s hostStorage) Create(path, name, container string, size int64) joining.Upload {
	return s.S3.Create(path, name, container, size)
}

func newFunction(c Cloud) http.Handler {
	everybody, err := api.ParseRules("all")
	if err != nil {
		panic(err) // it is the default
	}

	return api.New(api.Config{
		Keys:       keys.Fixed(keys.Key{ID: c.APIKey, Secret: c.APISecret}, keys.Key{}),
		Starts:     &queue.Queue{Client: c.SQS, URL: c.Starts},
		Controls:   &queue.Queue{Client: c.SQS, URL: c.Controls},
		Documents:  &ledger.Documents{Store: ledger.NewS3Store(c.Small, c.Bucket, c.Directory)},
		AutoRecord: everybody,
		Now:        c.Now,
		Log:        c.Log,
	})
}
