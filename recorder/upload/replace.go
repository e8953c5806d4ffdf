package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Fetch copies a file from the bucket to path. [ErrNotFound] says that there is none.
func (s *S3) Fetch(ctx context.Context, name, path string) error {
	key := s.Key(name)
	out, err := s.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if isCode(err, "NoSuchKey") {
		return fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("get object: %w", err)
	}
	defer out.Body.Close()

	if err := s.Disk.MakeDirectory(filepath.Dir(path)); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	file, err := s.Disk.Create(path)
	if err != nil {
		return fmt.Errorf("fetch file: %w", err)
	}

	_, err = io.Copy(file, out.Body)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("fetch file: %w", errors.Join(err, s.Disk.Remove(path)))
	}
	return nil
}

// Replace puts the repaired file at path in place of the object with that tag, and returns its size in bytes. The local
// file stays. [ErrChanged] says that there is another object by now, [ErrNotFound] that there is none.
//
// The object's metadata says from then on that its bytes are not those of the recorder's file, and how many of those it
// was made of: for the recorder that was taken for dead, and comes back with the rest.
func (s *S3) Replace(ctx context.Context, path, name, container, tag string) (size int64, err error) {
	file, err := s.Disk.Open(path)
	if err != nil {
		return 0, fmt.Errorf("open repaired file: %w", err)
	}
	defer file.Close()

	size, err = file.Size()
	if err != nil {
		return 0, fmt.Errorf("look at repaired file: %w", err)
	}
	if size == 0 {
		return 0, fmt.Errorf("replace %s: %w", s.Key(name), ErrEmpty)
	}

	there, err := s.look(ctx, s.Key(name))
	if err != nil {
		return 0, err
	}
	done, err := replaced(there, tag, size)
	if err != nil {
		return 0, err
	}
	if done { // by an earlier call, which may have left uploads behind
		return size, s.abortAll(ctx, there.key)
	}

	o := s.object(name, container)
	o.metadata = map[string]string{metaSource: tag, metaSourceBytes: strconv.FormatInt(there.holds, 10)}
	failed := s.write(ctx, o, condition{tag: tag}, file, s.whole(size))
	if failed == nil {
		return size, s.abortAll(ctx, o.key)
	}

	// Only the answer may have been lost.
	if there, err = s.look(ctx, o.key); err != nil {
		return 0, errors.Join(failed, err)
	}
	if done, err = replaced(there, tag, size); done {
		return size, s.abortAll(ctx, o.key)
	}
	return 0, errors.Join(err, failed)
}

// replaced says whether an object has been put in place of the one with that tag already, or why it never will be.
func replaced(there found, tag string, size int64) (bool, error) {
	switch {
	case !there.there:
		return false, fmt.Errorf("replace %s: %w", there.key, ErrNotFound)
	case there.tag == tag:
		return false, nil
	case there.repaired == tag && there.size == size:
		return true, nil
	}
	return false, fmt.Errorf("replace %s: %w", there.key, ErrChanged)
}
