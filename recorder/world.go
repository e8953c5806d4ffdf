package main

import (
	"cmp"
	"context"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/joining"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/service"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/ledger"
)

// The real world, in the words of those who use it.

// rooms are LiveKit's.
type rooms struct{ *room.Pool }

// Follow implements [recording.Rooms].
func (r rooms) Follow(name string, interest room.Interest, log logrus.FieldLogger) recording.Following {
	return r.Pool.Follow(name, interest, log)
}

// media is made by ffmpeg.
type media struct{ ffmpeg mux.FFmpeg }

// Open implements [service.Media].
func (m media) Open(path string, streams []mux.Stream) (parts.File, error) {
	return mux.Open(m.ffmpeg, path, streams)
}

// Repair implements [service.Media].
func (m media) Repair(ctx context.Context, from io.Reader, repaired, container string) (mux.Repaired, error) {
	return mux.Repair(ctx, m.ffmpeg, from, repaired, container)
}

// Demux implements [service.Media].
func (m media) Demux(ctx context.Context, file mux.Media, began func([]mux.Stream) error,
	each func(mux.Packet) error) error {
	return mux.Demux(ctx, m.ffmpeg, file, began, each)
}

// OpenIdle implements [service.Media].
func (m media) OpenIdle(path string, streams []mux.Stream) (parts.File, error) {
	return mux.OpenIdle(m.ffmpeg, path, streams)
}

// pathStyle addresses buckets by path at services that are not AWS's own, which rarely have a host name for each
// bucket.
func pathStyle(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }

// ofBucket addresses the region of the bucket, which need not be that of everything else.
func (s storageSettings) ofBucket(o *s3.Options) { o.Region = cmp.Or(s.region, o.Region) }

// openStorage decides where everything is kept: in the bucket, or in a local directory if there is none.
func openStorage(s settings, recorder string, client *s3.Client, log logrus.FieldLogger) (
	ledger.Store, service.Storage) {
	if s.storage.bucket == "" {
		log.WithField("directory", s.storage.recordings).Info("S3_BUCKET is not set: finished files stay here")
		return &ledger.DirStore{Root: s.storage.recordings}, directory{&upload.Directory{Root: s.storage.recordings}}
	}

	return ledger.NewS3Store(client, s.storage.bucket, s.storage.directory), bucket{&upload.S3{
		Client:    client,
		Bucket:    s.storage.bucket,
		Directory: s.storage.directory,
		Disk:      scratch.OS{},
		Recorder:  recorder,
		PartSize:  partSize(s, scratch.OS{}),
		Log:       log,
	}}
}

const (
	// usualPart is the size of an upload's first parts in bytes: the larger, the fewer requests.
	usualPart, smallPart = 16 << 20, 5 << 20
	// partsOnDisk is how many of them a file has on the disk that grows: the first one, the last that is uploaded, the one
	// that is under way, and what has come since.
	partsOnDisk = 4
)

// partSize is the size of an upload's first parts: the usual one, unless the disk is too small for so many of them.
func partSize(s settings, disk scratch.Disk) int64 {
	space := s.limits.scratchLimit
	_ = os.MkdirAll(s.scratchDir, 0o755) // or the recorder will not start
	if usage, err := disk.Measure(s.scratchDir); err == nil && (space == 0 || usage.Free < space) {
		space = usage.Free // what cannot be measured is bounded by the limit alone
	}
	if space > 0 && space < int64(s.limits.maxRecordings)*partsOnDisk*usualPart {
		return smallPart
	}
	return usualPart
}

// bucket and directory are the two kinds of storage.
type bucket struct{ *upload.S3 }

func (b bucket) Begin(log logrus.FieldLogger, path, name, container string) parts.Upload {
	return b.S3.BeginFor(log, path, name, container)
}

func (b bucket) Resume(ctx context.Context, log logrus.FieldLogger, path, name, container string) (
	parts.Upload, error) {
	return b.S3.ResumeFor(ctx, log, path, name, container)
}

func (b bucket) Replace(ctx context.Context, path, name, container, tag string) (recovery.Replacement, error) {
	return b.S3.Replace(ctx, path, name, container, tag)
}

func (b bucket) Create(path, name, container string, size int64) joining.Upload {
	return b.S3.Create(path, name, container, size)
}

type directory struct{ *upload.Directory }

func (d directory) Begin(_ logrus.FieldLogger, path, name, container string) parts.Upload {
	return d.Directory.Begin(path, name, container)
}

// Resume moves the file as if nothing had happened.
func (d directory) Resume(_ context.Context, _ logrus.FieldLogger, path, name, container string) (
	parts.Upload, error) {
	return d.Directory.Begin(path, name, container), nil
}

// Recover finds nothing: a file is not here before it is finished.
func (d directory) Recover(context.Context, string, string) (upload.Recovered, error) {
	return upload.Recovered{}, upload.ErrNotFound
}

// Begun and Stored find nothing either.
func (d directory) Begun(context.Context, string) ([]string, error) { return nil, nil }

func (d directory) Stored(context.Context, string) (map[string]int64, error) { return nil, nil }

func (d directory) Create(path, name, container string, _ int64) joining.Upload {
	return d.Directory.Create(path, name, container)
}

// Replace and Tidy are never called, for nothing is ever recovered, and there is nothing to sweep.
func (d directory) Replace(context.Context, string, string, string, string) (recovery.Replacement, error) {
	return nil, upload.ErrNotFound
}

func (d directory) Tidy(context.Context, string) error { return nil }

// Tag does nothing: files have no tags. The labels are in the document beside them.
func (d directory) Tag(context.Context, string, map[string]string) error { return nil }

func (d directory) Sweep(context.Context) error { return nil }
