package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"livekit-recorder/shared/document"
)

// maxSuffix is the highest number that is put behind a file name that is taken. Beyond that, the recording's id is.
const maxSuffix = 1000

// Documents reads and writes the documents of recordings in a store.
type Documents struct {
	Store Store

	copy *Copy // nil: nothing is remembered
}

// Knowing returns the same documents for somebody who writes to one of them again and again, and remembers it. What is
// remembered is only written over on the condition that it is still there, so that nothing is read before.
func (d Documents) Knowing(c *Copy) Documents {
	d.copy = c
	return d
}

// pointer is what lies under .recordings/id/: a recording of which there is no more than the wish, or where its
// document is.
type pointer struct {
	Document  string              `json:"document,omitempty"`
	Recording *document.Recording `json:"recording,omitempty"`
}

func pointerKey(id string) string { return path.Join(".recordings", "id", id+".json") }

// DocumentKey is where the document of a recording with that file name lies.
func DocumentKey(file string) string { return file + ".json" }

// Request notes a recording that has been asked for, so that it can be found by its id from then on.
// A recording that is known already is left as it is.
func (d Documents) Request(ctx context.Context, recording document.Recording) error {
	if err := d.indexed(ctx, recording); err != nil {
		return err
	}
	return d.known(ctx, recording)
}

// known makes a recording be found by its id.
func (d Documents) known(ctx context.Context, recording document.Recording) error {
	return d.putNew(ctx, pointerKey(recording.ID), pointer{Recording: &recording})
}

func (d Documents) putNew(ctx context.Context, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if _, err = d.Store.Put(ctx, key, body, ""); errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// Reserve gives a recording its file name: the wanted one, or with the next free suffix (-2, -3 …), and writes its
// document there. Nobody else can take that name from then on. A recording that has reserved a name keeps it, and the
// document it has so far is returned: that is how a take-over finds the earlier parts.
func (d Documents) Reserve(ctx context.Context, recording document.Recording, wanted string) (document.Recording,
	error) {
	if err := d.known(ctx, recording); err != nil {
		return recording, err
	}
	existing, err := d.ByID(ctx, recording.ID)
	if err != nil {
		return recording, err
	}
	if existing.File != "" {
		return existing, nil
	}
	recording.UpdatedAt = time.Now().UTC()
	for n := 1; ; n++ {
		recording.File, recording.RequestedFile = wanted, ""
		switch {
		case n > maxSuffix: // the id is nobody else's
			recording.File, recording.RequestedFile = wanted+"-"+recording.ID, wanted
		case n > 1:
			recording.File, recording.RequestedFile = fmt.Sprintf("%s-%d", wanted, n), wanted
		}

		body, err := encodeDocument(recording)
		if err != nil {
			return recording, err
		}
		tag, err := d.Store.Put(ctx, DocumentKey(recording.File), body, "")
		if err == nil {
			d.copy.remember(DocumentKey(recording.File), body, tag)
		}
		if errors.Is(err, ErrConflict) {
			taken, err := d.at(ctx, DocumentKey(recording.File))
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNoDocument) {
				return recording, err
			}
			if taken.ID != recording.ID {
				continue
			}
		} else if err != nil {
			return recording, err
		}
		// In this order: whoever finds the name by the id finds it in the index, too.
		if err := d.indexed(ctx, recording); err != nil {
			return recording, err
		}
		return recording, d.point(ctx, recording)
	}
}

// point makes the id lead to the document.
func (d Documents) point(ctx context.Context, recording document.Recording) error {
	body, err := json.Marshal(pointer{Document: DocumentKey(recording.File)})
	if err != nil {
		return fmt.Errorf("encode pointer: %w", err)
	}
	return d.replace(ctx, pointerKey(recording.ID), func([]byte) ([]byte, error) { return body, nil })
}

// ErrNoDocument says that there is no document where one should be: trying again does not help.
var ErrNoDocument = errors.New("object is not the document of a recording")

// Save writes the document of a recording that its recorder owns: see [document.Recording.Saved].
func (d Documents) Save(ctx context.Context, r document.Recording) error {
	_, err := d.change(ctx, r, r.Saved)
	return err
}

// Conclude writes the final document of a recording that its recorder owns, and returns it. [document.ErrUnfinished]
// says that another recorder has begun a part of it that is not final.
func (d Documents) Conclude(ctx context.Context, r document.Recording, reason string) (document.Recording, error) {
	return d.change(ctx, r, func(there document.Recording) (document.Recording, error) {
		saved, err := r.Saved(there)
		if err == nil && saved.Unfinished() {
			err = document.ErrUnfinished
		}
		return saved.Concluded(reason), err
	})
}

// Amend writes what became of parts into the document of a recording, whoever owns it, and returns it.
func (d Documents) Amend(ctx context.Context, r document.Recording, parts []document.Part) (document.Recording, error) {
	return d.change(ctx, r, func(there document.Recording) (document.Recording, error) {
		if there.ID == "" {
			return there, fmt.Errorf("amend document of %s: %w", r.ID, ErrNoDocument)
		}
		return there.Amended(parts), nil
	})
}

// Dismiss writes down that a recording came to nothing, unless something else came of it already.
func (d Documents) Dismiss(ctx context.Context, id, reason string) error {
	existing, err := d.ByID(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && existing.Begun():
		return nil
	case err != nil:
		return err
	}
	_, err = d.change(ctx, existing, func(there document.Recording) (document.Recording, error) {
		if there.Begun() {
			return there, nil
		}
		return there.Dismissed(reason), nil
	})
	return err
}

// change moves a document, which lies beside its files if it has a name, and under its id before, and returns it as it
// is written. There is the zero recording if there is none yet.
func (d Documents) change(ctx context.Context, r document.Recording,
	apply func(there document.Recording) (document.Recording, error)) (next document.Recording, err error) {
	move := func(there document.Recording) (err error) {
		next, err = apply(there)
		next.UpdatedAt = time.Now().UTC()
		return err
	}
	if r.File == "" {
		err = d.replace(ctx, pointerKey(r.ID), func(old []byte) ([]byte, error) {
			there, err := unnamed(old)
			if err == nil {
				err = move(there)
			}
			if err != nil {
				return nil, err
			}
			return json.Marshal(pointer{Recording: &next})
		})
		return next, err
	}

	err = d.replace(ctx, DocumentKey(r.File), func(old []byte) ([]byte, error) {
		var there document.Recording
		if json.Unmarshal(old, &there) != nil || there.ID != r.ID {
			there = document.Recording{}
		}
		if err := move(there); err != nil {
			return nil, err
		}
		return encodeDocument(next)
	})
	return next, err
}

// unnamed reads the document of a recording that has no name yet.
func unnamed(body []byte) (r document.Recording, err error) {
	var there pointer
	switch {
	case body == nil:
		return r, nil
	case json.Unmarshal(body, &there) != nil:
		return r, ErrCorrupt
	case there.Document != "":
		return r, errNamed
	case there.Recording != nil:
		return *there.Recording, nil
	}
	return r, nil
}

// errNamed says that a document has moved beside its files.
var errNamed = errors.New("the recording has got its name meanwhile")

// replace writes over an object whatever change makes of it; old is nil if there is none yet.
func (d Documents) replace(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	for {
		old, tag, remembered, err := d.get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		body, err := change(old)
		if err != nil && remembered {
			d.copy.forget() // that was said of what may not be there any more
			continue
		}
		if err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		tag, err = d.Store.Put(ctx, key, body, tag)
		switch {
		case err == nil:
			d.copy.remember(key, body, tag)
			return nil
		case !errors.Is(err, ErrConflict):
			return err
		}
		d.copy.forget()
	}
}

// get reads an object, unless it is remembered.
func (d Documents) get(ctx context.Context, key string) (body []byte, tag string, remembered bool, err error) {
	if body, tag, ok := d.copy.recall(key); ok {
		return body, tag, true, nil
	}
	body, tag, err = d.Store.Get(ctx, key)
	return body, tag, false, err
}

// Reach says whether the store answers.
func (d Documents) Reach(ctx context.Context) error {
	_, err := d.Store.List(ctx, path.Dir(pointerKey(""))+"/", "", 1)
	return err
}

// ByID finds a recording, or returns [ErrNotFound].
func (d Documents) ByID(ctx context.Context, id string) (document.Recording, error) {
	body, _, err := d.Store.Get(ctx, pointerKey(id))
	if err != nil {
		return document.Recording{}, err
	}
	var p pointer
	if err := json.Unmarshal(body, &p); err != nil {
		return document.Recording{}, fmt.Errorf("read pointer of %s: %w: %w", id, ErrCorrupt, err)
	}
	if p.Recording != nil {
		return *p.Recording, nil
	}
	return d.at(ctx, p.Document)
}

func (d Documents) at(ctx context.Context, key string) (document.Recording, error) {
	var recording document.Recording
	body, tag, err := d.Store.Get(ctx, key)
	if err != nil {
		return recording, err
	}
	if err := json.Unmarshal(body, &recording); err != nil || recording.ID == "" {
		return recording, fmt.Errorf("read %s: %w", key, ErrNoDocument)
	}
	d.copy.remember(key, body, tag)
	return recording, nil
}

func encodeDocument(recording document.Recording) ([]byte, error) {
	body, err := json.MarshalIndent(recording, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return append(body, '\n'), nil
}
