package upload

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Read fills p with an object's bytes from an offset on, if its tag is that one. [ErrChanged] says that it has another
// one by now, [ErrNotFound] that there is none.
func (s *S3) Read(ctx context.Context, name, tag string, p []byte, offset int64) error {
	key := s.Key(name)
	out, err := s.Client.GetObject(ctx, &s3.GetObjectInput{
		Bucket:  &s.Bucket,
		Key:     &key,
		Range:   aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+int64(len(p))-1)),
		IfMatch: &tag,
	})
	switch {
	case isCode(err, "NoSuchKey"):
		return fmt.Errorf("get %s: %w", key, ErrNotFound)
	case isCode(err, "PreconditionFailed"):
		return fmt.Errorf("get %s: %w", key, ErrChanged)
	case err != nil:
		return fmt.Errorf("get object: %w", err)
	}
	defer out.Body.Close()

	if _, err := io.ReadFull(out.Body, p); err != nil {
		return fmt.Errorf("read object: %w", err)
	}
	return nil
}
