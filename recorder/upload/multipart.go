package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"livekit-recorder/recorder/metrics"
)

// S3 limits a multipart upload to 10,000 parts of 5 MiB to 5 GiB (user guide, "Amazon S3 multipart upload limits").
const (
	smallestPart = 5 << 20
	maximumPart  = 10_000
	// firstPart is the size of the first parts of a file that grows: a request each, and as many bytes of the disk as are
	// not released yet.
	firstPart = 16 << 20
	// growEvery parts the part size doubles, up to 4 GiB, so that 10,000 parts hold the 5 TiB of S3's largest object: no
	// file is so large that what is left for the last part is more than S3 takes as one.
	growEvery = 1200
)

// least is the size of the smallest parts in bytes.
func (s *S3) least() int64 { return cmp.Or(s.LeastPart, smallestPart) }

// block is how many bytes of journals are in memory at once, while a file is made of them.
func (s *S3) block() int64 { return 2 * s.least() }

// partSize is the size of part n (from 1) of a file that grows, in bytes.
func (s *S3) partSize(n int32) int64 { return cmp.Or(s.PartSize, firstPart) << ((n - 1) / growEvery) }

// object is what a file becomes in the bucket.
type object struct {
	key         string
	contentType string
	metadata    map[string]string
}

func (s *S3) object(name, container string) object {
	return object{key: s.Key(name), contentType: contentTypes[container]}
}

// condition is what has to be true of a key for an object to be written there: that the object with this tag is there,
// or, if the tag is empty, that there is none.
type condition struct{ tag string }

func (c condition) match() *string {
	if c.tag == "" {
		return nil
	}
	return &c.tag
}

func (c condition) noneMatch() *string {
	if c.tag == "" {
		return aws.String("*")
	}
	return nil
}

func (s *S3) put(ctx context.Context, o object, c condition, body io.ReadSeeker, length int64) error {
	_, err := s.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:        &s.Bucket,
		Key:           &o.key,
		ContentType:   &o.contentType,
		Metadata:      o.metadata,
		Body:          body,
		ContentLength: &length,
		IfMatch:       c.match(),
		IfNoneMatch:   c.noneMatch(),
	})
	counted(length, err)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// counted counts what was uploaded, or was to be.
func counted(length int64, err error) {
	if err != nil {
		metrics.UploadFailures.Inc()
		return
	}
	metrics.UploadParts.Inc()
	metrics.UploadBytes.Add(length)
}

// multipart is a multipart upload, as far as it has come. It has begun when it has an id.
type multipart struct {
	object
	s3    *S3
	id    string
	parts []types.CompletedPart
	sizes []int64 // of the parts, in bytes
	bytes int64   // of all parts
	// written is when the newest part came, of those that were found in the bucket.
	written time.Time
	// strays says that there may be others of the same key that nobody knows of: the answer to an attempt got lost.
	strays bool
}

func (m *multipart) create(ctx context.Context) error {
	out, err := m.s3.Client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket:      &m.s3.Bucket,
		Key:         &m.key,
		ContentType: &m.contentType,
		Metadata:    m.metadata,
	})
	if err != nil {
		m.strays = true
		return fmt.Errorf("create multipart upload: %w", err)
	}

	m.id = aws.ToString(out.UploadId)
	attempts, _ := retry.GetAttemptResults(out.ResultMetadata)
	m.strays = m.strays || len(attempts.Results) > 1
	return nil
}

// send uploads a part, without adding it to the list.
func (m *multipart) send(ctx context.Context, n int32, body io.ReadSeeker, length int64) (tag *string, err error) {
	out, err := m.s3.Client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:        &m.s3.Bucket,
		Key:           &m.key,
		UploadId:      &m.id,
		PartNumber:    &n,
		Body:          body,
		ContentLength: &length,
	})
	counted(length, err)
	if err != nil {
		return nil, fmt.Errorf("upload part %d: %w", n, err)
	}
	return out.ETag, nil
}

// copy makes a part of a range of an object that is there, and must have that tag.
func (m *multipart) copy(ctx context.Context, n int32, from source, offset, length int64) (tag *string, err error) {
	out, err := m.s3.Client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
		Bucket:            &m.s3.Bucket,
		Key:               &m.key,
		UploadId:          &m.id,
		PartNumber:        &n,
		CopySource:        aws.String(copySource(m.s3.Bucket, from.key)),
		CopySourceRange:   aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)),
		CopySourceIfMatch: &from.tag,
	})
	if err != nil {
		return nil, fmt.Errorf("copy part %d: %w", n, err)
	}
	return out.CopyPartResult.ETag, nil
}

// copySource is written like a form's value, but for its slashes and spaces: S3 reads a plus as a space.
func copySource(bucket, key string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(bucket + "/" + key))
}

func (m *multipart) add(n int32, tag *string, length int64) {
	m.parts = append(m.parts, types.CompletedPart{PartNumber: &n, ETag: tag})
	m.sizes = append(m.sizes, length)
	m.bytes += length
}

// trim drops a last part that is too small for others to follow: it was the end of a file, and is uploaded again.
func (m *multipart) trim() {
	last := len(m.parts) - 1
	if last < 0 || m.sizes[last] >= m.s3.least() {
		return
	}

	m.bytes -= m.sizes[last]
	m.parts, m.sizes = m.parts[:last], m.sizes[:last]
}

func (m *multipart) complete(ctx context.Context, c condition) error {
	_, err := m.s3.Client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:          &m.s3.Bucket,
		Key:             &m.key,
		UploadId:        &m.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: m.parts},
		IfMatch:         c.match(),
		IfNoneMatch:     c.noneMatch(),
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return nil
}

// arrive reads from the bucket which parts it has that follow each other from the first on.
func (m *multipart) arrive(ctx context.Context) error {
	m.parts, m.sizes, m.bytes = nil, nil, 0

	pages := s3.NewListPartsPaginator(m.s3.Client, &s3.ListPartsInput{
		Bucket: &m.s3.Bucket, Key: &m.key, UploadId: &m.id,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list parts: %w", err)
		}
		for _, p := range page.Parts {
			if n := aws.ToInt32(p.PartNumber); n == int32(len(m.parts))+1 {
				m.add(n, p.ETag, aws.ToInt64(p.Size))
				m.written = later(m.written, aws.ToTime(p.LastModified))
			}
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// same says whether two lists name the same parts with the same content.
func same(a, b []types.CompletedPart) bool {
	return slices.EqualFunc(a, b, func(x, y types.CompletedPart) bool {
		return aws.ToInt32(x.PartNumber) == aws.ToInt32(y.PartNumber) && aws.ToString(x.ETag) == aws.ToString(y.ETag)
	})
}

// gone says whether the upload had begun and is no longer there: it has been completed or aborted. Services that refuse
// a part of such an upload may just hang up, so they are asked.
func (m *multipart) gone(ctx context.Context) (bool, error) {
	if m.id == "" {
		return false, nil
	}

	_, err := m.s3.Client.ListParts(ctx, &s3.ListPartsInput{
		Bucket:   &m.s3.Bucket,
		Key:      &m.key,
		UploadId: &m.id,
		MaxParts: aws.Int32(1),
	})
	switch {
	case isCode(err, "NoSuchUpload"):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("list parts: %w", err)
	}
	return false, nil
}

func isCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}
