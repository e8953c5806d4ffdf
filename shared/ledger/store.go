package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"livekit-recorder/shared/document"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

var (
	// ErrNotFound says that there is no such object.
	ErrNotFound = errors.New("object not found")
	// ErrConflict says that somebody else wrote the object first: read it again and decide anew.
	ErrConflict = errors.New("object was written by somebody else")
)

// Store keeps small JSON objects. Its conditional Put is what makes the ledger safe with any number of recorders.
type Store interface {
	// Get returns an object and the tag of this version of it, or [ErrNotFound].
	Get(ctx context.Context, key string) (body []byte, tag string, err error)
	// Put writes an object if its tag is still the given one; an empty tag means: if there is none yet.
	// It returns the new tag, or [ErrConflict].
	Put(ctx context.Context, key string, body []byte, tag string) (newTag string, err error)
	// List returns the keys that begin with prefix and come behind after (empty: all), in the order of their bytes, at
	// most limit.
	List(ctx context.Context, prefix, after string, limit int) ([]string, error)
}

const (
	// callTimeout bounds one call, the SDK's retries included.
	callTimeout = 10 * time.Second
	// attemptTimeout bounds one attempt of it: the objects are a few kilobytes, and an answer that does not come, as
	// on a connection whose other end has gone, must not keep a recording from hearing that it has been stopped.
	attemptTimeout = 3 * time.Second
)

// S3Store keeps the objects in an S3 bucket below a directory.
type S3Store struct {
	client    *s3.Client
	bucket    string
	directory string
}

// NewS3Store makes a store that calls S3 as client does, but gives attempts up after 3 seconds, and calls after 10.
func NewS3Store(client *s3.Client, bucket, directory string) *S3Store {
	return &S3Store{bucket: bucket, directory: directory, client: s3.New(client.Options(), func(o *s3.Options) {
		if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok { // the SDK's own
			o.HTTPClient = c.WithTimeout(attemptTimeout)
		}
	})}
}

// Key returns the bucket key of an object of this store.
func (s *S3Store) Key(key string) string { return document.Join(s.directory, key) }

// Get implements [Store].
func (s *S3Store) Get(ctx context.Context, key string) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.Key(key))})
	if err != nil {
		var missing *types.NoSuchKey
		if errors.As(err, &missing) {
			return nil, "", fmt.Errorf("get %s: %w", key, ErrNotFound)
		}
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	defer out.Body.Close()

	body, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	return body, aws.ToString(out.ETag), nil
}

// Put implements [Store] with If-Match and If-None-Match (S3 user guide, "Conditional writes"). The ETag is that of
// the content, so two different writers of the same bytes cannot tell each other apart: entries carry an epoch for
// that.
func (s *S3Store) Put(ctx context.Context, key string, body []byte, tag string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	in := &s3.PutObjectInput{
		Bucket:      &s.bucket,
		Key:         aws.String(s.Key(key)),
		Body:        bytes.NewReader(body),
		ContentType: aws.String("application/json"),
	}
	if tag == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &tag
	}

	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		if isConflict(err) {
			return "", fmt.Errorf("put %s: %w", key, ErrConflict)
		}
		return "", fmt.Errorf("put %s: %w", key, err)
	}
	return aws.ToString(out.ETag), nil
}

// isConflict knows the answers of a conditional write that lost: 412 PreconditionFailed, 409
// ConditionalRequestConflict (another write was under way), and 404 for an If-Match on an object that is gone.
func isConflict(err error) bool {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusPreconditionFailed {
		return true
	}

	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}

	switch api.ErrorCode() {
	case "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey":
		return true
	}
	return false
}

// List implements [Store]. Up to 1000 keys take one call.
func (s *S3Store) List(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	in := &s3.ListObjectsV2Input{
		Bucket:  &s.bucket,
		Prefix:  aws.String(s.Key(prefix)),
		MaxKeys: aws.Int32(int32(min(limit, 1000))),
	}
	if after != "" {
		in.StartAfter = aws.String(s.Key(after))
	}

	var keys []string
	pages := s3.NewListObjectsV2Paginator(s.client, in)
	for pages.HasMorePages() && len(keys) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, object := range page.Contents {
			keys = append(keys, aws.ToString(object.Key)[len(s.Key(prefix))-len(prefix):])
		}
	}

	return keys[:min(limit, len(keys))], nil
}
