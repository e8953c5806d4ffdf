package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/track"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
)

const (
	repairedSize = 120 << 20
	repairedName = "a/b.webm"
)

// cues is the id of a WebM file's index (RFC 9559, section 5.1.5).
var cues = []byte{0x1c, 0x53, 0xbb, 0x6b}

// gauge notes the most that the files of a directory have ever taken of the disk.
type gauge struct {
	io.Reader
	directory string
	most      *int64
}

func (g gauge) Read(p []byte) (int, error) {
	now, err := scratch.OS{}.Measure(g.directory)
	if err != nil {
		return 0, err
	}
	*g.most = max(*g.most, now.Used)
	return g.Reader.Read(p)
}

// unindexed records so many bytes, and takes the index away again. It returns how many packets there are.
func unindexed(t *testing.T, ffmpeg mux.FFmpeg, path string, size int) (packets int) {
	t.Helper()
	vp8, _ := track.CodecOf("video/vp8")
	opus, _ := track.CodecOf("audio/opus")
	head := append([]byte("OpusHead\x01\x01\x00\x00"), 0x80, 0xbb, 0, 0, 0, 0, 0)
	part, err := mux.Open(ffmpeg, path, []mux.Stream{
		{Codec: vp8, Config: track.Config{Width: 320, Height: 240}},
		{Codec: opus, Config: track.Config{Channels: 1, Private: head}},
	})
	require.NoError(t, err)

	// The header of a VP8 key frame of 320×240 (RFC 6386, section 9.1), and anything behind it.
	picture := append([]byte{0x10, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0}, bytes.Repeat([]byte("picture "), 1<<14)...)
	sound := bytes.Repeat([]byte{31 << 3}, 100)
	for written := 0; written < size; written += len(picture) + len(sound) {
		at := time.Duration(packets/2) * 20 * time.Millisecond
		require.NoError(t, part.Write(0, at, true, picture))
		require.NoError(t, part.Write(1, at, true, sound))
		packets += 2
	}
	require.NoError(t, part.Close(t.Context()))

	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	end := info.Size() / 2 // it is behind everything
	body, err := io.ReadAll(io.NewSectionReader(file, end, info.Size()-end))
	require.NoError(t, err)
	index := bytes.LastIndex(body, cues)
	require.Positive(t, index)
	require.NoError(t, file.Truncate(end+int64(index)))
	return packets
}

// vanish uploads a growing file as far as that goes, and leaves it there: parts, and the journal.
func vanish(t *testing.T, s *upload.S3, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	u := s.Begin(path, repairedName, "webm")
	defer u.Leave()

	journaled := func() bool {
		objects, err := s.Client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: &s.Bucket})
		require.NoError(t, err)
		return len(objects.Contents) == 2 // an entry and its mark
	}
	const part = 16 << 20
	require.Eventually(t, func() bool {
		uploads, err := s.Client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &s.Bucket})
		require.NoError(t, err)
		if len(uploads.Uploads) == 0 {
			return false
		}
		parts, err := s.Client.ListParts(t.Context(), &awss3.ListPartsInput{
			Bucket:   &s.Bucket,
			Key:      uploads.Uploads[0].Key,
			UploadId: uploads.Uploads[0].UploadId,
		})
		require.NoError(t, err)
		return int64(len(parts.Parts)) == info.Size()/part && journaled()
	}, 2*time.Minute, 100*time.Millisecond)
}

// A killed recorder's file of whatever size is streamed from the bucket, through ffmpeg, into the bucket: that takes no
// more of the disk than some parts of an upload. Another recorder, which is cut off at it, does no harm.
func TestARepairOfAnySizeTakesLittleOfTheDisk(t *testing.T) {
	tools, err := stack.Tools()
	require.NoError(t, err)
	system, err := stack.StartStorage(t.Context(), stack.Options{
		Tools:      tools,
		Work:       t.TempDir(),
		BucketRoot: t.TempDir(),
	})
	t.Cleanup(system.Stop)
	require.NoError(t, err)
	ffmpeg, err := mux.Probe(t.Context(), filepath.Join(tools, "ffmpeg"))
	require.NoError(t, err)

	log := logrus.New()
	log.SetOutput(io.Discard)
	storage := &upload.S3{
		Client:   system.S3Client(),
		Bucket:   stack.Bucket,
		Disk:     scratch.OS{},
		Recorder: "RR_a",
		Log:      log,
	}
	path := filepath.Join(t.TempDir(), "part1.webm")
	packets := unindexed(t, ffmpeg, path, repairedSize)
	vanish(t, storage, path)

	recorder := func(repair func(context.Context, io.Reader, string, string) (mux.Repaired, error)) *recovery.Recovery {
		return (&recovery.Recovery{
			Storage: bucket{storage},
			Disk:    scratch.OS{},
			Work:    t.TempDir(),
			Repair:  repair,
			Log:     log,
		}).Init()
	}
	part := document.Part{Key: repairedName, Container: "webm", State: document.Active}
	recording := document.Recording{ID: "R", File: "a/b", Parts: []document.Part{part}}

	// One comes half of the way.
	ending, end := context.WithCancel(t.Context())
	cut := recorder(func(ctx context.Context, from io.Reader, repaired, container string) (mux.Repaired, error) {
		first := io.LimitReader(from, repairedSize/2)
		_, err := media{ffmpeg}.Repair(ctx, first, repaired, container)
		end()
		return mux.Repaired{}, errors.Join(err, ctx.Err())
	})
	same, err := cut.Part(ending, recording, part)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, part, same)

	var most int64
	whole := recorder(nil)
	whole.Repair = func(ctx context.Context, from io.Reader, repaired, container string) (mux.Repaired, error) {
		return media{ffmpeg}.Repair(ctx, gauge{from, whole.Work, &most}, repaired, container)
	}
	part, err = whole.Part(t.Context(), recording, part)
	require.NoError(t, err)
	require.Less(t, most, int64(30<<20), "four parts of the upload and what comes meanwhile")
	require.Greater(t, most, int64(5<<20))
	left, err := os.ReadDir(whole.Work)
	require.NoError(t, err)
	require.Empty(t, left)

	body, err := os.ReadFile(system.Path(repairedName))
	require.NoError(t, err)
	require.EqualValues(t, len(body), part.Size)
	require.True(t, bytes.Contains(body[len(body)/2:], cues), "it has an index again")
	file, err := analyse.Probe(t.Context(), system.Path(repairedName))
	require.NoError(t, err)
	require.Equal(t, packets, file.Streams[0].Packets()+file.Streams[1].Packets())
	require.InDelta(t, (time.Duration(packets/2) * 20 * time.Millisecond).Seconds(), part.Duration, 0.1)
	uploads, err := storage.Client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{
		Bucket: &storage.Bucket,
	})
	require.NoError(t, err)
	require.Empty(t, uploads.Uploads)
}
