package upload

import (
	"context"
	"fmt"

	"github.com/sirupsen/logrus"
)

// Resume goes on with a file that a recorder on this disk was uploading when it was killed, and that no longer grows:
// with the parts that have arrived, and the rest from the file. [Upload.Finish] must follow, and deals with what others
// have made of the upload meanwhile.
func (s *S3) Resume(ctx context.Context, path, name, container string) (*Upload, error) {
	return s.ResumeFor(ctx, s.Log, path, name, container)
}

// ResumeFor is [S3.Resume] with a log that says whose file it is.
func (s *S3) ResumeFor(ctx context.Context, log logrus.FieldLogger, path, name, container string) (*Upload, error) {
	u := s.newUpload(log, path, name, container)
	close(u.while.done)
	u.sent.strays = true // of the killed recorder

	written, err := s.readNote(path)
	if err != nil {
		return nil, err
	}
	if u.left, err = s.journalsWith(ctx, name); err != nil {
		return nil, err
	}

	if written != nil && written.Released > 0 {
		u.parts.id = written.Upload
		u.sent.first = written.First
		u.sent.checksum = written.Checksum
		u.sent.released = written.Released
		u.sent.detached = true
		return u, u.find(ctx)
	}
	u.parts, err = s.best(ctx, u.parts.object)
	if err != nil {
		return nil, err
	}
	u.attach(written)
	return u, nil
}

// find attaches the upload that the note names. That it is gone is for Finish to deal with.
func (u *Upload) find(ctx context.Context) error {
	err := u.reattach(ctx)
	if err == nil {
		return nil
	}

	gone, asking := u.parts.gone(ctx)
	if asking == nil && gone {
		return nil
	}
	return err
}

// reattach lists the parts of an upload of which something has been released.
func (u *Upload) reattach(ctx context.Context) error {
	if err := u.parts.arrive(ctx); err != nil {
		return err
	}

	u.parts.trim()
	if u.parts.bytes < u.sent.released {
		return fmt.Errorf("list parts: %d bytes, but %d were uploaded", u.parts.bytes, u.sent.released)
	}
	u.sent.detached = false
	return nil
}

// attach goes on with the parts that were found of a file that is whole on the disk.
func (u *Upload) attach(written *note) {
	u.parts.trim()
	if len(u.parts.parts) == 0 {
		return
	}

	u.sent.first = u.parts.sizes[0]
	if written != nil && written.Upload == u.parts.id {
		u.sent.checksum = written.Checksum
	}
}

// best finds the unfinished upload of a key that has the most of a recorder's file; its id is empty if there is none.
// Of a repair's it finds nothing, for it has no part 1.
func (s *S3) best(ctx context.Context, o object) (multipart, error) {
	most := multipart{object: o, s3: s}
	ids, err := s.unfinished(ctx, o.key)
	if err != nil {
		return most, err
	}

	for _, id := range ids {
		m := multipart{object: o, s3: s, id: id}
		if err := m.arrive(ctx); err != nil {
			if isCode(err, "NoSuchUpload") {
				continue // ended meanwhile
			}
			return most, err
		}
		if m.bytes > most.bytes {
			most = m
		}
	}
	return most, nil
}
