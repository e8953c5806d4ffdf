package upload

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// abort throws the upload away. It may be gone already.
func (s *S3) abort(ctx context.Context, key, id string) error {
	_, err := s.Client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.Bucket, Key: &key, UploadId: &id,
	})
	if err != nil && !isCode(err, "NoSuchUpload") {
		return fmt.Errorf("abort multipart upload: %w", err)
	}
	return nil
}

// unfinished finds the multipart uploads of a key. A recorder begins one; another one is left if an answer got lost.
func (s *S3) unfinished(ctx context.Context, key string) (ids []string, err error) {
	pages := s3.NewListMultipartUploadsPaginator(s.Client, &s3.ListMultipartUploadsInput{
		Bucket: &s.Bucket, Prefix: &key,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list multipart uploads: %w", err)
		}
		for _, u := range page.Uploads {
			if aws.ToString(u.Key) == key {
				ids = append(ids, aws.ToString(u.UploadId))
			}
		}
	}
	return ids, nil
}

// abortAll throws away whatever uploads a key has.
func (s *S3) abortAll(ctx context.Context, key string) error {
	ids, err := s.unfinished(ctx, key)
	if err != nil {
		return err
	}

	for _, id := range ids {
		if err := s.abort(ctx, key, id); err != nil {
			return err
		}
	}
	return nil
}

// abortOriginals throws away the uploads of a recorder's file that a key has, but not those of repairs, which may be
// under way.
func (s *S3) abortOriginals(ctx context.Context, key string) error {
	ids, err := s.unfinished(ctx, key)
	if err != nil {
		return err
	}

	for _, id := range ids {
		parts, err := s.Client.ListParts(ctx, &s3.ListPartsInput{
			Bucket:   &s.Bucket,
			Key:      &key,
			UploadId: &id,
			MaxParts: aws.Int32(1),
		})
		switch {
		case isCode(err, "NoSuchUpload"):
			continue // ended meanwhile
		case err != nil:
			return fmt.Errorf("list parts: %w", err)
		case len(parts.Parts) > 0 && aws.ToInt32(parts.Parts[0].PartNumber) > 1:
			continue
		}
		if err := s.abort(ctx, key, id); err != nil {
			return err
		}
	}
	return nil
}

// Tidy throws away whatever has been left beside a file that is stored.
func (s *S3) Tidy(ctx context.Context, name string) error { return s.abortAll(ctx, s.Key(name)) }
