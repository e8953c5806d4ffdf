// Package upload puts a growing file into S3 while it grows.
//
// What it relies on (measured for ffmpeg's WebM, Ogg and hybrid MP4 muxers): such a file only ever grows, but for its
// first few hundred bytes, which are patched when it is closed. So each part of the file is uploaded as soon as it is
// written, and part 1 once more at the end: S3 replaces a part that is uploaded again under its number.
package upload

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"livekit-recorder/shared/ledger"
)

// S3 limits a multipart upload to 10,000 parts of 5 MiB or more (user guide, "Amazon S3 multipart upload limits").
const (
	minimumPart = 5 << 20
	maximumPart = 10_000
	// growEvery parts the part size doubles, so that 10,000 parts hold 183 GiB: 12 hours at 36 Mbit/s.
	growEvery = 2_500
)

// pollInterval is how often the file's size is looked at.
const pollInterval = 500 * time.Millisecond

// partSize is the size of part n (from 1) in bytes.
func partSize(n int32) int64 { return minimumPart << ((n - 1) / growEvery) }

// S3 uploads into a directory of a bucket.
type S3 struct {
	Client    *s3.Client
	Bucket    string
	Directory string
	Log       logrus.FieldLogger
}

// Upload is one file on its way into the bucket.
type Upload struct {
	s3              *S3
	name, key, path string
	contentType     string
	cancel          context.CancelFunc
	done            chan struct{}
	log             logrus.FieldLogger

	mu sync.Mutex // held by whoever moves the upload on: the tail, then Finish

	file     *os.File
	id       string // of the multipart upload, once the file has filled a part
	etags    []types.CompletedPart
	uploaded int64
	first    uint64  // checksum of part 1 as it was uploaded
	chunks   []chunk // tail objects that are in the bucket
	unsure   []chunk // those that may be: storing them has failed
	stored   bool    // the file is in the bucket; what remains is to tidy up
}

// ContentTypes by extension.
var contentTypes = map[string]string{"webm": "video/webm", "mp4": "video/mp4", "ogg": "audio/ogg"}

// Key is where a file with that name goes in the bucket.
func (s *S3) Key(name string) string { return ledger.Join(s.Directory, name) }

// Begin starts to upload the file at path as name, while it grows. It returns at once; [Upload.Finish] must follow.
func (s *S3) Begin(path, name, container string) *Upload {
	u := s.newUpload(path, name, container)
	var ctx context.Context
	ctx, u.cancel = context.WithCancel(context.Background())
	go u.tail(ctx)
	return u
}

func (s *S3) newUpload(path, name, container string) *Upload {
	return &Upload{
		s3: s, name: name, key: s.Key(name), path: path, contentType: contentTypes[container],
		cancel: func() {}, done: make(chan struct{}), log: s.Log.WithField("key", s.Key(name)),
	}
}

func (u *Upload) tail(ctx context.Context) {
	defer close(u.done)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	tails := time.NewTicker(tailInterval)
	defer tails.Stop()
	for {
		move := u.advance
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-tails.C:
			move = u.putTail
		}
		// The SDK has retried by now; the file waits on disk, and the next round tries again.
		if err := move(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrNotExist) {
			u.log.WithError(err).Warn("upload is behind, will be tried again")
		}
	}
}

// advance uploads every part that is whole.
func (u *Upload) advance(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stored {
		return nil
	}
	size, err := u.size()
	if err != nil {
		return err
	}
	for n := u.next(); size-u.uploaded >= partSize(n) && n < maximumPart; n = u.next() {
		if err := u.uploadNext(ctx, partSize(n)); err != nil {
			return err
		}
		if err := u.dropTails(ctx, u.uploaded); err != nil {
			return err
		}
	}
	return nil
}

func (u *Upload) next() int32 { return int32(len(u.etags)) + 1 }

func (u *Upload) size() (int64, error) {
	if u.file == nil {
		file, err := os.OpenFile(u.path, os.O_RDWR, 0)
		if err != nil {
			return 0, fmt.Errorf("open file to upload: %w", err)
		}
		u.file = file
	}
	info, err := u.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at file to upload: %w", err)
	}
	return info.Size(), nil
}

func (u *Upload) uploadNext(ctx context.Context, length int64) error {
	if u.id == "" {
		out, err := u.s3.Client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: &u.s3.Bucket, Key: &u.key, ContentType: &u.contentType,
		})
		if err != nil {
			return fmt.Errorf("create multipart upload: %w", err)
		}
		u.id = aws.ToString(out.UploadId)
	}
	n, offset := u.next(), u.uploaded
	if n == 1 {
		sum, err := u.checksum(length)
		if err != nil {
			return err
		}
		u.first = sum
	}
	etag, err := u.put(ctx, n, offset, length)
	if err != nil {
		return err
	}
	u.etags = append(u.etags, types.CompletedPart{PartNumber: aws.Int32(n), ETag: etag})
	u.uploaded += length
	if n > 1 {
		// Part 1 is needed again; the disk space of the others is not. A file system that cannot do this keeps them.
		_ = unix.Fallocate(int(u.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	}
	return nil
}

func (u *Upload) put(ctx context.Context, n int32, offset, length int64) (*string, error) {
	out, err := u.s3.Client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.s3.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: &n,
		Body: io.NewSectionReader(u.file, offset, length), ContentLength: &length,
	})
	if err != nil {
		return nil, fmt.Errorf("upload part %d: %w", n, err)
	}
	return out.ETag, nil
}

func (u *Upload) checksum(length int64) (uint64, error) {
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	if _, err := io.Copy(sum, io.NewSectionReader(u.file, 0, length)); err != nil {
		return 0, fmt.Errorf("read file to upload: %w", err)
	}
	return sum.Sum64(), nil
}

// Finish uploads what is left of the file, which nobody writes to any more, and makes it appear in the bucket.
// It returns the file's size in bytes. Until it succeeds it may be called again; after that the local file is gone.
// [ledger.ErrSuperseded] says that another recorder has made a file of what had been uploaded.
func (u *Upload) Finish(ctx context.Context) (int64, error) {
	u.cancel()
	<-u.done
	if err := u.advance(ctx); err != nil {
		return 0, u.superseded(ctx, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	size, err := u.size()
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, errors.New("nothing was written")
	}
	switch {
	case u.stored:
	case u.id == "":
		err = u.putWhole(ctx, size)
	default:
		err = u.complete(ctx, size)
	}
	if err != nil && !u.completed(ctx, size) {
		err = u.superseded(ctx, err)
		// It may have been our own completion, which was still under way.
		if !errors.Is(err, ledger.ErrSuperseded) || !u.completed(ctx, size) {
			return 0, err
		}
	}
	u.stored = true
	if err := u.dropTails(ctx, size); err != nil {
		return 0, err
	}
	_ = u.file.Close() // only read from
	if err := os.Remove(u.path); err != nil {
		u.log.WithError(err).Warn("uploaded file stays on disk")
	}
	return size, nil
}

func (u *Upload) putWhole(ctx context.Context, size int64) error {
	_, err := u.s3.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.s3.Bucket, Key: &u.key, ContentType: &u.contentType,
		Body: io.NewSectionReader(u.file, 0, size), ContentLength: &size,
	})
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

func (u *Upload) complete(ctx context.Context, size int64) error {
	if size > u.uploaded {
		if err := u.uploadNext(ctx, size-u.uploaded); err != nil {
			return err
		}
	}
	sum, err := u.checksum(partSize(1))
	if err != nil {
		return err
	}
	if sum != u.first {
		etag, err := u.put(ctx, 1, 0, partSize(1))
		if err != nil {
			return err
		}
		u.etags[0].ETag, u.first = etag, sum
	}
	_, err = u.s3.Client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.s3.Bucket, Key: &u.key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.etags},
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return nil
}

// completed says whether the file is in the bucket, whole, although its completion has failed: the answer can get lost.
func (u *Upload) completed(ctx context.Context, size int64) bool {
	stored, there, err := u.s3.exists(ctx, u.key)
	return err == nil && there && stored == size
}

// superseded says so if an error is due to another recorder, which took this one for dead and has completed the upload.
// Services that refuse a part of such an upload may just hang up, so they are asked.
func (u *Upload) superseded(ctx context.Context, err error) error {
	if u.id == "" {
		return err
	}
	_, listing := u.s3.Client.ListParts(ctx, &s3.ListPartsInput{Bucket: &u.s3.Bucket, Key: &u.key, UploadId: &u.id, MaxParts: aws.Int32(1)})
	var api smithy.APIError
	if errors.As(listing, &api) && api.ErrorCode() == "NoSuchUpload" {
		return errors.Join(ledger.ErrSuperseded, err)
	}
	return err
}
