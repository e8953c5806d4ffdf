package upload

import (
	"context"
	"errors"
	"io"
	"time"

	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/scratch"
)

// An object of up to onceParts smallest parts (60 MiB) is put at once, a larger one in parts of that size, or larger
// ones if there would be more than writeParts. Copies may be up to 5 GiB.
const (
	onceParts  = 12
	copyParts  = 100
	writeParts = 5_000
)

const (
	// abortTimeout bounds the tidying up after a failure.
	abortTimeout = 10 * time.Second
	// hurriedAbort is what is left of that when everything has to end.
	hurriedAbort = 3 * time.Second
)

// piece is a range of what an object is to be made of: of a local file, or of an object that is there.
type piece struct {
	offset int64
	length int64
	from   *source // nil: the local file
}

// split cuts a range into pieces of a size. What S3 would not take as a part, because it is too small, goes with the
// one before it.
func (s *S3) split(from *source, start, end, size int64) (pieces []piece) {
	for start < end {
		length := min(size, end-start)
		if end-start-length < s.least() {
			length = end - start
		}
		pieces = append(pieces, piece{offset: start, length: length, from: from})
		start += length
	}
	return pieces
}

// whole is all of a local file, in pieces.
func (s *S3) whole(size int64) []piece {
	return s.split(nil, 0, size, max(onceParts*s.least(), size/writeParts))
}

// write makes an object of pieces that follow each other, if the condition holds.
func (s *S3) write(ctx context.Context, o object, c condition, file scratch.File, pieces []piece) error {
	if len(pieces) == 1 && pieces[0].from == nil {
		p := pieces[0]
		return s.put(ctx, o, c, io.NewSectionReader(file, p.offset, p.length), p.length)
	}

	m := multipart{object: o, s3: s}
	err := m.create(ctx)
	if err == nil {
		err = m.fill(ctx, file, pieces)
	}
	if err == nil {
		err = m.complete(ctx, c)
	}
	return errors.Join(err, m.leave(ctx, err != nil))
}

// leave throws away what is left of a multipart upload that nobody goes on with: whoever tries again begins anew.
func (m *multipart) leave(ctx context.Context, failed bool) error {
	bounded, cancel := retry.WithGrace(ctx, abortTimeout, hurriedAbort)
	defer cancel()
	switch {
	case m.strays:
		return m.s3.abortAll(bounded, m.key)
	case failed:
		return m.s3.abort(bounded, m.key, m.id)
	}
	return nil
}

func (m *multipart) fill(ctx context.Context, file scratch.File, pieces []piece) error {
	for i, p := range pieces {
		n := int32(i) + 1
		var tag *string
		var err error
		if p.from != nil {
			tag, err = m.copy(ctx, n, *p.from, p.offset, p.length)
		} else {
			tag, err = m.send(ctx, n, io.NewSectionReader(file, p.offset, p.length), p.length)
		}
		if err != nil {
			return err
		}
		m.add(n, tag, p.length)
	}
	return nil
}
