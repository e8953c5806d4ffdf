package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// Recovering is tried that often, with settling between: a completion by somebody else may be under way, during which
// neither the upload nor the object is to be seen everywhere, and whoever loses finds the object next time.
const (
	recoverTries = 4
	settling     = time.Second
)

var (
	// errMoved says that an upload's owner has gone on with it meanwhile.
	errMoved = errors.New("parts have come")
	// errHeadless says that there is nothing that the journal's bytes follow. Either somebody completes it at this moment,
	// or it never reached the bucket.
	errHeadless = errors.New("the beginning is missing")
)

// Recovered is the object that there is after a recovery.
type Recovered struct {
	Size  int64  // bytes
	Whole bool   // it was there already, finished by somebody else
	Tag   string // of the object, for [S3.Replace]
	// Repaired is the tag of the object that it was put in the place of, by a repair.
	Repaired string
	// Written is when the last of what it was made of came into the bucket, or it itself did, if it was there already.
	Written time.Time
}

// Recover makes a file that a recorder was uploading when it vanished appear in the bucket: from the parts of its
// multipart upload and what journals have of what follows. [ErrNotFound] says that nothing usable ever reached the
// bucket. It may be called again if it fails, and by several recorders at once. If the owner is alive after all, it
// finds the object when it finishes, and stores what is missing in it.
func (s *S3) Recover(ctx context.Context, name, container string) (Recovered, error) {
	for try := 1; ; try++ {
		recovered, err := s.recover(ctx, name, container)
		if errors.Is(err, errHeadless) && try == recoverTries {
			return recovered, s.nothing(ctx, name)
		}
		if err == nil || try == recoverTries || errors.Is(err, ErrNotFound) && try > 1 {
			return recovered, err
		}

		select {
		case <-ctx.Done():
			return recovered, err
		case <-time.After(settling):
		}
	}
}

func (s *S3) recover(ctx context.Context, name, container string) (Recovered, error) {
	o := s.object(name, container)
	upload, err := s.best(ctx, o)
	if err != nil {
		return Recovered{}, err
	}
	left, err := s.journaled(ctx, name)
	if err != nil {
		return Recovered{}, err
	}
	// The object last: an upload that has just been completed is not listed any more, but here.
	there, err := s.look(ctx, o.key)
	if err != nil {
		return Recovered{}, err
	}

	whole := there.there && upload.bytes <= there.holds
	if !whole {
		if there, err = s.assemble(ctx, name, upload, left.chunks, condition{there.tag}); err != nil {
			return Recovered{}, err
		}
	}
	if err := errors.Join(s.abortOriginals(ctx, o.key), s.discard(ctx, name, left.recorders)); err != nil {
		return Recovered{}, err
	}
	recovered := Recovered{
		Size:     there.size,
		Whole:    whole,
		Tag:      there.tag,
		Repaired: there.repaired,
		Written:  there.written,
	}
	if !whole {
		recovered.Written = upload.written
		for _, c := range left.chunks {
			recovered.Written = later(recovered.Written, c.written)
		}
	}
	return recovered, nil
}

// assemble makes the object, and returns it as it is then.
func (s *S3) assemble(ctx context.Context, name string, upload multipart, left []chunk, c condition) (
	found, error) {
	chain := follow(left, upload.bytes)
	size := upload.bytes + length(chain)

	var failed error
	switch {
	case size == 0 && len(left) > 0:
		return found{}, fmt.Errorf("recover %s: %w", upload.key, errHeadless)
	case size == 0:
		return found{}, s.nothing(ctx, name)
	case upload.bytes == 0:
		failed = s.join(ctx, upload.object, chain, c)
	default:
		failed = s.end(ctx, upload, chain, c)
	}

	there, err := s.look(ctx, upload.key)
	switch {
	case err != nil:
		return found{}, errors.Join(failed, err)
	case failed != nil && there.there && there.tag != c.tag && there.size == size:
		return there, nil // only the answer was lost; or another recorder has made the same
	case failed != nil:
		return found{}, failed
	case !there.there:
		return found{}, fmt.Errorf("recover %s: %w", upload.key, ErrNotFound)
	}
	return there, nil
}

// nothing throws away uploads of which no part has come, and what journals have that follows nothing. A part that has
// come by now is its owner's, who lives, and may have it nowhere else.
func (s *S3) nothing(ctx context.Context, name string) error {
	recorders, err := s.journalsWith(ctx, name)
	if err == nil {
		err = s.abortThose(ctx, s.Key(name), func(first int32) bool { return first == 0 })
	}
	if err != nil {
		return err
	}
	now, err := s.best(ctx, s.object(name, ""))
	if err == nil && now.bytes > 0 {
		err = fmt.Errorf("recover %s: %w", s.Key(name), errMoved)
	}
	if err != nil {
		return err
	}
	if err := s.discard(ctx, name, recorders); err != nil {
		return err
	}
	return fmt.Errorf("recover %s: %w", s.Key(name), ErrNotFound)
}

// end completes a multipart upload: the parts that follow each other from the first on, and what journals have behind
// them. Those bytes get the last of all numbers, because a living owner may upload parts at this moment.
func (s *S3) end(ctx context.Context, upload multipart, chain []chunk, c condition) error {
	now := upload
	n := max(int32(len(now.parts))+1, int32(maximumPart-(length(chain)-1)/s.block()))
	err := s.blocks(ctx, chain, func(block []byte) error {
		tag, err := upload.send(ctx, n, bytes.NewReader(block), int64(len(block)))
		upload.add(n, tag, int64(len(block)))
		n++
		return err
	})
	if err != nil {
		return err
	}

	listed := now.parts
	if err := now.arrive(ctx); err != nil {
		return err
	}
	if !same(now.parts, listed) {
		return fmt.Errorf("complete multipart upload: %w", errMoved)
	}
	return upload.complete(ctx, c)
}

// join makes a file of what journals have alone: it had not filled a part yet, or the bucket had refused its parts.
func (s *S3) join(ctx context.Context, o object, chain []chunk, c condition) error {
	if length(chain) > s.block() {
		upload := multipart{object: o, s3: s}
		if err := upload.create(ctx); err != nil {
			return err
		}
		return s.end(ctx, upload, chain, c)
	}

	return s.blocks(ctx, chain, func(block []byte) error {
		return s.put(ctx, o, c, bytes.NewReader(block), int64(len(block)))
	})
}
