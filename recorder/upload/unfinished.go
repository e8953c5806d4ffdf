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
// under way. An upload of which there are only last parts was completed or thrown away just before those arrived.
func (s *S3) abortOriginals(ctx context.Context, key string) error {
	return s.abortThose(ctx, key, func(first int32) bool { return first <= 1 || first > behindFirstOfRepair })
}

// abortRepairs throws away the uploads of repairs that a key has, but not those of a recorder's file: it may have been
// taken for dead, and have the only copy of something there.
func (s *S3) abortRepairs(ctx context.Context, key string) error {
	return s.abortThose(ctx, key, func(first int32) bool { return first != 1 })
}

// abortThose throws away those uploads of a key, by the number of their first part, which is 0 if they have none.
func (s *S3) abortThose(ctx context.Context, key string, which func(first int32) bool) error {
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
		if isCode(err, "NoSuchUpload") {
			continue // ended meanwhile
		}
		if err != nil {
			return fmt.Errorf("list parts: %w", err)
		}
		first := int32(0)
		if len(parts.Parts) > 0 {
			first = aws.ToInt32(parts.Parts[0].PartNumber)
		}
		if !which(first) {
			continue
		}
		if err := s.abort(ctx, key, id); err != nil {
			return err
		}
	}
	return nil
}

// Tidy throws away what repairs have left beside a file that is stored; [S3.Recover] has seen to the rest.
func (s *S3) Tidy(ctx context.Context, name string) error { return s.abortRepairs(ctx, s.Key(name)) }
