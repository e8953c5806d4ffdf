package upload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Metadata of an object that [S3.Replace] has put in place of another one.
const (
	metaSource      = "source"       // the other one's tag
	metaSourceBytes = "source-bytes" // how many bytes of the recorder's file that one was
)

// source is an object that is there, to copy from.
type source struct{ key, tag string }

// found is an object as it is in the bucket, or that there is none.
type found struct {
	source
	there bool
	size  int64
	// written is when it came into the bucket.
	written time.Time
	// repaired is the tag of the object in whose place this one was put: its bytes are not those of the recorder's
	// file.
	repaired string
	// holds is how many bytes of the recorder's file are in it, in whatever form.
	holds int64
}

// look asks for the object at a key.
func (s *S3) look(ctx context.Context, key string) (found, error) {
	head, err := s.Client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &key})
	var missing *types.NotFound
	switch {
	case errors.As(err, &missing):
		return found{source: source{key: key}}, nil
	case err != nil:
		return found{}, fmt.Errorf("look for %s: %w", key, err)
	}

	o := found{
		source:   source{key: key, tag: aws.ToString(head.ETag)},
		there:    true,
		size:     aws.ToInt64(head.ContentLength),
		written:  aws.ToTime(head.LastModified),
		holds:    aws.ToInt64(head.ContentLength),
		repaired: head.Metadata[metaSource],
	}
	if bytes, err := strconv.ParseInt(head.Metadata[metaSourceBytes], 10, 64); err == nil && o.repaired != "" {
		o.holds = bytes
	}
	return o, nil
}
