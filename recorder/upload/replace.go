package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/scratch"
)

// A repair's upload has no part with the number 1, by which everybody knows that its bytes are not those of the
// recorder's file (see [S3.abortOriginals] and [S3.best]). Its first part is uploaded last.
const (
	firstOfRepair       = 2
	behindFirstOfRepair = firstOfRepair + 1
	// createParts is how many smallest parts go into one request of [S3.Create].
	createParts = 3
)

// Replacement is a repaired file on its way into the place of the object that it is made of, which it replaces when it
// is whole. It is uploaded while it grows, as a recorder's file is; but nobody goes on with it if it is cut off, for
// everything that it is made of is in the bucket.
type Replacement struct {
	s3     *S3
	path   string
	source found // in whose place it is put
	size   int64 // of a part
	file   scratch.File
	first  *string   // tag of the first part, which is uploaded when the file is closed, for its header is patched then
	parts  multipart // those behind it
}

// Replace begins to put the file that will grow at path in the place of the object with that tag. [ErrChanged] says
// that there is another object by now, [ErrNotFound] that there is none.
//
// The new object's metadata says that its bytes are not those of the recorder's file, and how many of those it was made
// of: for the recorder that was taken for dead, and comes back with the rest.
func (s *S3) Replace(ctx context.Context, path, name, container, tag string) (*Replacement, error) {
	there, err := s.look(ctx, s.Key(name))
	if err != nil {
		return nil, err
	}
	if _, err := replaced(there, tag, -1); err != nil {
		return nil, err
	}

	o := s.object(name, container)
	o.metadata = map[string]string{metaSource: tag, metaSourceBytes: strconv.FormatInt(there.holds, 10)}
	return &Replacement{
		s3:     s,
		path:   path,
		source: there,
		size:   max(s.least(), there.size/writeParts),
		parts:  multipart{object: o, s3: s},
	}, nil
}

// Create begins to store a file that will grow at path, and have about that size in bytes, as a new object. Like a
// repair it is begun anew if it is cut off, for everything that it is made of is in the bucket.
func (s *S3) Create(path, name, container string, size int64) *Replacement {
	o := s.object(name, container)
	return &Replacement{
		s3:     s,
		path:   path,
		source: found{source: source{key: o.key}},
		size:   max(createParts*s.least(), size/writeParts),
		parts:  multipart{object: o, s3: s},
	}
}

// PartSize is how many bytes are uploaded at once.
func (r *Replacement) PartSize() int64 { return r.size }

// Advance uploads what fills parts by now, and gives its disk space back. [ErrGone] says that somebody has thrown the
// upload away, so that it has to begin anew.
func (r *Replacement) Advance(ctx context.Context) error {
	size, err := r.written()
	for err == nil && size-r.size-r.parts.bytes >= r.size {
		err = r.next(ctx, r.size)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has been written yet
	}
	return err
}

// written opens the file, if it is not open yet, and returns its size in bytes.
func (r *Replacement) written() (int64, error) {
	if r.file == nil {
		file, err := r.s3.Disk.Open(r.path)
		if err != nil {
			return 0, fmt.Errorf("open repaired file: %w", err)
		}
		r.file = file
	}

	size, err := r.file.Size()
	if err != nil {
		return 0, fmt.Errorf("look at repaired file: %w", err)
	}
	return size, nil
}

// next uploads the next bytes behind the first part.
func (r *Replacement) next(ctx context.Context, length int64) error {
	if r.parts.id == "" {
		if err := r.parts.create(ctx); err != nil {
			return err
		}
	}

	n, offset := behindFirstOfRepair+int32(len(r.parts.parts)), r.size+r.parts.bytes
	tag, err := r.parts.send(ctx, n, io.NewSectionReader(r.file, offset, length), length)
	if err != nil {
		return r.lost(ctx, err)
	}
	r.parts.add(n, tag, length)
	r.file.Release(offset, length)
	return nil
}

// lost says so if the upload is no longer there.
func (r *Replacement) lost(ctx context.Context, failed error) error {
	if gone, err := r.parts.gone(ctx); err != nil || !gone {
		return failed
	}
	return errors.Join(ErrGone, failed)
}

// Finish uploads what is left of the file, which nobody writes to any more, makes the object, and returns its size in
// bytes. Until it succeeds it may be called again. Errors are those of [S3.Replace] and [Replacement.Advance], and
// [ErrEmpty].
func (r *Replacement) Finish(ctx context.Context) (size int64, err error) {
	if size, err = r.written(); err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, fmt.Errorf("replace %s: %w", r.source.key, ErrEmpty)
	}

	failed := r.complete(ctx, size)
	if failed != nil {
		// Only the answer may have been lost.
		there, err := r.s3.look(ctx, r.source.key)
		if err != nil {
			return 0, errors.Join(failed, err)
		}
		if done, err := replaced(there, r.source.tag, size); !done {
			return 0, errors.Join(err, failed)
		}
	}
	return size, r.s3.abortRepairs(ctx, r.source.key) // of repairs that were cut off, or are late
}

func (r *Replacement) complete(ctx context.Context, size int64) error {
	if err := r.Advance(ctx); err != nil {
		return err
	}
	only := condition{tag: r.source.tag}
	if r.parts.id == "" {
		return r.s3.put(ctx, r.parts.object, only, io.NewSectionReader(r.file, 0, size), size)
	}

	if left := size - r.size - r.parts.bytes; left > 0 {
		if err := r.next(ctx, left); err != nil {
			return err
		}
	}
	if r.first == nil {
		tag, err := r.parts.send(ctx, firstOfRepair, io.NewSectionReader(r.file, 0, r.size), r.size)
		if err != nil {
			return r.lost(ctx, err)
		}
		r.first = tag
	}

	all := r.parts
	all.parts = slices.Insert(slices.Clone(all.parts), 0, types.CompletedPart{
		PartNumber: aws.Int32(firstOfRepair),
		ETag:       r.first,
	})
	if err := all.complete(ctx, only); err != nil {
		return r.lost(ctx, err)
	}
	return nil
}

// Close gives up what has not become an object, and the local file.
func (r *Replacement) Close(ctx context.Context, done bool) error {
	if r.file != nil {
		_ = r.file.Close() // only read from
	}
	if done || r.parts.id == "" {
		return nil
	}

	bounded, cancel := retry.WithGrace(ctx, abortTimeout, hurriedAbort)
	defer cancel()
	return r.s3.abort(bounded, r.parts.key, r.parts.id)
}

// replaced says whether an object has been put in place of the one with that tag already, or why it never will be.
func replaced(there found, tag string, size int64) (bool, error) {
	switch {
	case tag == "": // nobody else writes there, see [S3.Create]
		return there.there && there.size == size, nil
	case !there.there:
		return false, fmt.Errorf("replace %s: %w", there.key, ErrNotFound)
	case there.tag == tag:
		return false, nil
	case there.repaired == tag && there.size == size:
		return true, nil
	}
	return false, fmt.Errorf("replace %s: %w", there.key, ErrChanged)
}
