package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"livekit-recorder/shared/ledger"
)

// Recover makes a file that a recorder was uploading when it vanished appear in the bucket: from the parts of its
// multipart upload and the tail objects behind them. It returns the file's size in bytes, or [ledger.ErrNotFound] if
// nothing ever reached the bucket. Whole says that the file was there already. It may be called again if it fails.
func (s *S3) Recover(ctx context.Context, name, container string) (size int64, whole bool, err error) {
	key := s.Key(name)
	upload, err := s.unfinished(ctx, key)
	if err != nil {
		return 0, false, err
	}
	chunks, err := s.tails(ctx, name)
	if err != nil {
		return 0, false, err
	}
	size, whole, err = s.exists(ctx, key)
	switch {
	case err != nil:
	case whole && upload != "": // the one of a repair that was cut off
		err = s.abort(ctx, key, upload)
	case whole:
	case upload != "":
		err = s.finish(ctx, key, container, upload, chunks)
	case len(chunks) > 0:
		err = s.join(ctx, key, container, chunks)
	}
	if err == nil && !whole {
		var there bool
		if size, there, err = s.exists(ctx, key); err == nil && !there {
			err = fmt.Errorf("recover %s: %w", key, ledger.ErrNotFound)
		}
	}
	if err != nil {
		return 0, false, err
	}
	return size, whole, s.remove(ctx, chunks)
}

// exists says whether there is an object, and its size in bytes.
func (s *S3) exists(ctx context.Context, key string) (size int64, there bool, err error) {
	head, err := s.Client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &key})
	var missing *types.NotFound
	switch {
	case errors.As(err, &missing):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("look for %s: %w", key, err)
	}
	return aws.ToInt64(head.ContentLength), true, nil
}

// Resume goes on with a file that a recorder on this disk was uploading when it was killed: the parts that had arrived, and
// the rest from the file. [Upload.Finish] must follow. [ledger.ErrSuperseded] says that another recorder has recovered it.
func (s *S3) Resume(ctx context.Context, path, name, container string) (*Upload, error) {
	u := s.newUpload(path, name, container)
	close(u.done) // the file does not grow any more
	_, there, err := s.exists(ctx, u.key)
	if err != nil {
		return nil, err
	}
	if there {
		return nil, fmt.Errorf("resume %s: %w", u.key, ledger.ErrSuperseded)
	}
	if u.id, err = s.unfinished(ctx, u.key); err != nil {
		return nil, err
	}
	if u.chunks, err = s.tails(ctx, name); err != nil {
		return nil, err
	}
	if u.id != "" {
		u.etags, u.uploaded, err = s.arrived(ctx, u.key, u.id)
	}
	return u, err
}

// arrived lists the parts of an upload that follow each other from the first on, and how many bytes they are.
func (s *S3) arrived(ctx context.Context, key, upload string) (parts []types.CompletedPart, bytes int64, err error) {
	pages := s3.NewListPartsPaginator(s.Client, &s3.ListPartsInput{Bucket: &s.Bucket, Key: &key, UploadId: &upload})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, 0, fmt.Errorf("list parts: %w", err)
		}
		for _, p := range page.Parts {
			if aws.ToInt32(p.PartNumber) == int32(len(parts))+1 {
				parts = append(parts, types.CompletedPart{PartNumber: p.PartNumber, ETag: p.ETag})
				bytes += aws.ToInt64(p.Size)
			}
		}
	}
	return parts, bytes, nil
}

// unfinished finds the multipart upload of a key: there is one at most, for a recorder begins one only.
func (s *S3) unfinished(ctx context.Context, key string) (upload string, err error) {
	pages := s3.NewListMultipartUploadsPaginator(s.Client, &s3.ListMultipartUploadsInput{Bucket: &s.Bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list multipart uploads: %w", err)
		}
		for _, u := range page.Uploads {
			if aws.ToString(u.Key) == key {
				upload = aws.ToString(u.UploadId)
			}
		}
	}
	return upload, nil
}

// finish completes a multipart upload: the parts that follow each other from the first on, and what is behind them.
func (s *S3) finish(ctx context.Context, key, container, upload string, chunks []chunk) error {
	parts, uploaded, err := s.arrived(ctx, key, upload)
	if err != nil {
		return err
	}
	if len(parts) == 0 { // it was created, and nothing more
		if err := s.abort(ctx, key, upload); err != nil || len(chunks) == 0 {
			return err
		}
		return s.join(ctx, key, container, chunks)
	}
	var tail bytes.Buffer // less than a part
	if err := s.readChain(ctx, chunks, follow(chunks, uploaded), &tail); err != nil {
		return err
	}
	if tail.Len() > 0 {
		n := int32(len(parts)) + 1
		out, err := s.Client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &s.Bucket, Key: &key, UploadId: &upload, PartNumber: &n, Body: bytes.NewReader(tail.Bytes()),
		})
		if err != nil {
			return fmt.Errorf("upload part %d: %w", n, err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: &n, ETag: out.ETag})
	}
	_, err = s.Client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.Bucket, Key: &key, UploadId: &upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return nil
}

func (s *S3) abort(ctx context.Context, key, upload string) error {
	_, err := s.Client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.Bucket, Key: &key, UploadId: &upload})
	if err != nil {
		return fmt.Errorf("abort multipart upload: %w", err)
	}
	return nil
}

// join makes a file of tail objects alone: it had not filled a part yet.
func (s *S3) join(ctx context.Context, key, container string, chunks []chunk) error {
	var whole bytes.Buffer
	if err := s.readChain(ctx, chunks, follow(chunks, 0), &whole); err != nil {
		return err
	}
	if whole.Len() == 0 {
		return fmt.Errorf("recover %s: %w", key, ledger.ErrNotFound)
	}
	_, err := s.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.Bucket, Key: &key, Body: bytes.NewReader(whole.Bytes()), ContentType: aws.String(contentTypes[container]),
	})
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// Fetch copies a file from the bucket to path.
func (s *S3) Fetch(ctx context.Context, name, path string) error {
	key := s.Key(name)
	out, err := s.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("get object: %w", err)
	}
	defer out.Body.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("fetch file: %w", err)
	}
	_, err = io.Copy(file, out.Body)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("fetch file: %w", err)
	}
	return nil
}
