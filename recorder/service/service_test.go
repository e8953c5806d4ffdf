package service

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// noMedia cannot make any file.
type noMedia struct{}

var errNoMedia = errors.New("there is no ffmpeg")

func (noMedia) Open(string, []mux.Stream) (parts.File, error) { return nil, errNoMedia }

func (noMedia) Repair(context.Context, io.Reader, string, string) (mux.Repaired, error) {
	return mux.Repaired{}, errNoMedia
}

func (noMedia) Demux(context.Context, mux.Media, func([]mux.Stream) error, func(mux.Packet) error) error {
	return errNoMedia
}

func (noMedia) OpenIdle(string, []mux.Stream) (parts.File, error) { return nil, errNoMedia }

// nobody wants to be told.
type nobody struct{}

func (nobody) Receivers(document.Recording) []string { return nil }

func (nobody) ReceiversOfBeginnings(document.Recording) []string { return nil }

func (nobody) Begins(string) bool { return false }

func (nobody) ReceiversOfParts(document.Recording) []string { return nil }

func (nobody) Deliver(context.Context, string, document.Recording) error { return nil }

// noBucket is storage that cannot be reached, in which there is nothing to be recovered.
type noBucket struct{ Storage }

func (noBucket) Sweep(context.Context) error { return errors.New("no route") }

// unreachable is a queue to which there is no connection.
func unreachable() *queue.Queue {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	client := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) { tr.DialContext = dial })
	return &queue.Queue{URL: "http://queues.invalid/1/starts", Client: sqs.New(sqs.Options{
		Region:       "somewhere",
		BaseEndpoint: aws.String("http://queues.invalid"),
		Credentials:  credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:   client,
	})}
}

func newRecorder(t *testing.T, root string) (*Recorder, error) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	return New(Settings{
		Names:         recording.Names{Recorder: "one", Bucket: "bucket"},
		Scratch:       root,
		MaxRecordings: 4,
		Hold:          time.Hour,
		StopTimeout:   time.Minute,
	}, World{
		Starts:   unreachable(),
		Controls: unreachable(),
		Store:    &ledger.DirStore{Root: t.TempDir()},
		Storage:  noBucket{},
		Media:    noMedia{},
		Disk:     scratch.OS{},
		Notices:  nobody{},
		Ready:    func() bool { return true },
		Now:      time.Now,
		Log:      log,
	})
}

// Whatever is away: a recorder that has nothing to store ends at once, and leaves nothing.
func TestARecorderEndsCleanly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		r, err := newRecorder(t, root)
		require.NoError(t, err)
		require.True(t, r.Ready())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		require.DirExists(t, filepath.Join(root, "one"))
		require.Zero(t, r.Recordings.Running())
		r.Look("a recording that is somewhere else")

		cancelled := time.Now()
		cancel()
		require.NoError(t, <-ended)
		require.Less(t, time.Since(cancelled), 10*time.Second)
		left, err := os.ReadDir(root)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// What could not be stored is said to be there: the exit code tells whoever started the recorder.
func TestARecorderThatLeavesFilesSaysWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		r, err := newRecorder(t, root)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(root, "one", "R1.1"), 0o700))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorContains(t, r.Run(ctx), filepath.Join(root, "one"))
	})
}

func TestTwoRecordersOfOneNameAreRefused(t *testing.T) {
	root := t.TempDir()
	_, err := newRecorder(t, root)
	require.NoError(t, err)
	_, err = newRecorder(t, root)
	require.Error(t, err)
}
