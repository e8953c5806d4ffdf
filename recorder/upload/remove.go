package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Look finds a stored file: its size in bytes and its tag, for [S3.Read]. [ErrNotFound] says that there is none.
func (s *S3) Look(ctx context.Context, name string) (size int64, tag string, err error) {
	there, err := s.look(ctx, s.Key(name))
	if err == nil && !there.there {
		err = fmt.Errorf("look for %s: %w", there.key, ErrNotFound)
	}
	return there.size, there.tag, err
}

// Leftovers lists the names of files, and of uploads, that begin with a prefix.
func (s *S3) Leftovers(ctx context.Context, prefix string) (names []string, err error) {
	objects, _, err := s.list(ctx, prefix)
	for _, o := range objects {
		names = append(names, strings.TrimPrefix(aws.ToString(o.Key), s.Key("")))
	}
	if err != nil {
		return nil, err
	}

	uploads := s3.NewListMultipartUploadsPaginator(s.Client, &s3.ListMultipartUploadsInput{
		Bucket: &s.Bucket,
		Prefix: aws.String(s.Key(prefix)),
	})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list multipart uploads: %w", err)
		}
		for _, u := range page.Uploads {
			names = append(names, strings.TrimPrefix(aws.ToString(u.Key), s.Key("")))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// RemovePart removes a file of that size, which is in another one by now. It may be gone already. If it has another
// size, somebody has put another one in its place since, which stays; and so does what its recorder is uploading,
// should it live.
func (s *S3) RemovePart(ctx context.Context, name string, size int64) error {
	there, err := s.look(ctx, s.Key(name))
	if err != nil || !there.there || there.size != size {
		return err
	}
	// On that condition: its recorder may put the whole of it there at this moment.
	_, err = s.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &there.key, IfMatch: &there.tag})
	if err != nil && !isCode(err, "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey") {
		return fmt.Errorf("delete %s: %w", there.key, err)
	}
	return nil
}

func (s *S3) delete(ctx context.Context, key string) error {
	if _, err := s.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key}); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// Remove removes a file that has come to nothing, and what has been uploaded of it. It may be gone already.
func (s *S3) Remove(ctx context.Context, name string) error {
	key := s.Key(name)
	if err := s.abortAll(ctx, key); err != nil {
		return err
	}
	return s.delete(ctx, key)
}

// Look finds a finished file. Its tag changes when it does.
func (d *Directory) Look(_ context.Context, name string) (size int64, tag string, err error) {
	info, err := os.Stat(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(ErrNotFound, err)
	}
	if err != nil {
		return 0, "", fmt.Errorf("look at file: %w", err)
	}
	return info.Size(), fmt.Sprint(info.Size(), info.ModTime().UnixNano()), nil
}

// Read fills p with a file's bytes from an offset on, if its tag is that one.
func (d *Directory) Read(ctx context.Context, name, tag string, p []byte, offset int64) error {
	if _, now, err := d.Look(ctx, name); err != nil || now != tag {
		return errors.Join(ErrChanged, err)
	}
	file, err := os.Open(d.path(name))
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	defer file.Close()
	if _, err := file.ReadAt(p, offset); err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	return nil
}

// Leftovers lists the names of files that begin with a prefix.
func (d *Directory) Leftovers(_ context.Context, prefix string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(d.path(prefix)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list files: %w", err)
	}
	for _, e := range entries {
		if name := path.Join(path.Dir(prefix), e.Name()); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

// RemovePart removes a file of that size, which is in another one by now. It may be gone already.
func (d *Directory) RemovePart(ctx context.Context, name string, size int64) error {
	there, _, err := d.Look(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && there != size:
		return nil
	case err != nil:
		return err
	}
	return d.Remove(ctx, name)
}

// Remove removes a file that has come to nothing. It may be gone already.
func (d *Directory) Remove(_ context.Context, name string) error {
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove file: %w", err)
	}
	return nil
}

func (d *Directory) path(name string) string { return filepath.Join(d.Root, filepath.FromSlash(name)) }

// Creation is a file on its way into the directory that is not there before it is whole.
type Creation struct{ move *Move }

// Create begins to keep the file at path.
func (d *Directory) Create(path, name, container string) *Creation {
	return &Creation{d.Begin(path, name, container)}
}

// PartSize is 0: nothing is stored before the file is whole.
func (*Creation) PartSize() int64 { return 0 }

// Advance does nothing.
func (*Creation) Advance(context.Context) error { return nil }

// Finish moves the file to its place.
func (c *Creation) Finish(ctx context.Context) (size int64, err error) {
	_, size, err = c.move.Finish(ctx)
	return size, err
}

// Close does nothing: what is not whole is nowhere.
func (*Creation) Close(context.Context, bool) error { return nil }
