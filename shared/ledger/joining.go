package ledger

import (
	"context"
	"errors"

	"livekit-recorder/shared/document"
)

// Taken says whether there is a recording with that file name.
func (d Documents) Taken(ctx context.Context, file string) (bool, error) {
	_, _, err := d.Store.Get(ctx, DocumentKey(file))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// BeginJoin notes an attempt to join the parts of a recording, and returns the document.
// [document.ErrUnjoinable] says that there is nothing to join.
func (d Documents) BeginJoin(ctx context.Context, r document.Recording) (document.Recording, error) {
	return d.change(ctx, r, document.Recording.BeginJoin)
}

// EndJoin notes that the newest attempt has ended without a file, and why, see [document.Recording.EndJoin].
func (d Documents) EndJoin(ctx context.Context, r document.Recording, reason string) (document.Recording, error) {
	return d.change(ctx, r, func(there document.Recording) (document.Recording, error) {
		return there.EndJoin(r.Join.Attempts, reason)
	})
}

// Joined puts the files that the newest attempt has made in place of the parts that they are made of, see
// [document.Recording.JoinedInto].
func (d Documents) Joined(ctx context.Context, r document.Recording, files []document.Part,
	separate map[string]string) (document.Recording, error) {
	return d.change(ctx, r, func(there document.Recording) (document.Recording, error) {
		return there.JoinedInto(r.Join.Attempts, files, separate)
	})
}
