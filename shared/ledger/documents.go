package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// ErrNamesTaken says that a file name and 999 suffixes of it are taken.
var ErrNamesTaken = errors.New("the name and 999 suffixes of it are taken")

// Documents reads and writes the documents of recordings in a store.
type Documents struct{ Store Store }

// pointer is what lies under .recordings/id/: a recording of which there is no more than the wish, or where its document is.
type pointer struct {
	Document  string     `json:"document,omitempty"`
	Recording *Recording `json:"recording,omitempty"`
}

func pointerKey(id string) string { return path.Join(".recordings", "id", id+".json") }

func listKey(room, participant, id string) string {
	return path.Join(".recordings", "room", Segment(room), Segment(participant), id)
}

// DocumentKey is where the document of a recording with that file name lies.
func DocumentKey(file string) string { return file + ".json" }

// Request notes a recording that has been asked for, so that it can be found by its id from then on.
// A recording that is known already is left as it is.
func (d Documents) Request(ctx context.Context, recording Recording) error {
	if err := d.putNew(ctx, listKey(recording.Room, recording.Participant, recording.ID), struct{}{}); err != nil {
		return err
	}
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
func (d Documents) Reserve(ctx context.Context, recording Recording, wanted string) (Recording, error) {
	if err := d.Request(ctx, recording); err != nil {
		return recording, err
	}
	existing, err := d.ByID(ctx, recording.ID)
	if err != nil {
		return recording, err
	}
	if existing.File != "" {
		return existing, nil
	}
	for n := 1; n <= 1000; n++ {
		recording.File, recording.RequestedFile = wanted, ""
		if n > 1 {
			recording.File, recording.RequestedFile = fmt.Sprintf("%s-%d", wanted, n), wanted
		}
		body, err := encodeDocument(recording)
		if err != nil {
			return recording, err
		}
		_, err = d.Store.Put(ctx, DocumentKey(recording.File), body, "")
		if errors.Is(err, ErrConflict) {
			taken, err := d.at(ctx, DocumentKey(recording.File))
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errNoDocument) {
				return recording, err
			}
			if taken.ID != recording.ID {
				continue
			}
		} else if err != nil {
			return recording, err
		}
		return recording, d.point(ctx, recording)
	}
	return recording, fmt.Errorf("reserve file name: %q: %w", wanted, ErrNamesTaken)
}

// point makes the id lead to the document.
func (d Documents) point(ctx context.Context, recording Recording) error {
	body, err := json.Marshal(pointer{Document: DocumentKey(recording.File)})
	if err != nil {
		return fmt.Errorf("encode pointer: %w", err)
	}
	return d.replace(ctx, pointerKey(recording.ID), func([]byte) ([]byte, error) { return body, nil })
}

var errNoDocument = errors.New("object is not the document of a recording")

// ErrSuperseded says that a document was last written by a recorder with a higher epoch: the writer has lost the recording.
var ErrSuperseded = errors.New("another recorder has taken this recording over")

// Save writes a recording's document. A document of a higher epoch is not overwritten: [ErrSuperseded]. What another
// recorder has written of parts that it brought to their end (see [Documents.Amend]) is kept.
func (d Documents) Save(ctx context.Context, recording Recording) error {
	if recording.File == "" {
		body, err := json.Marshal(pointer{Recording: &recording})
		if err != nil {
			return fmt.Errorf("encode recording: %w", err)
		}
		return d.replace(ctx, pointerKey(recording.ID), func([]byte) ([]byte, error) { return body, nil })
	}
	return d.replace(ctx, DocumentKey(recording.File), func(old []byte) ([]byte, error) {
		var current Recording
		if json.Unmarshal(old, &current) == nil && current.ID == recording.ID {
			if current.Epoch > recording.Epoch {
				return nil, ErrSuperseded
			}
			recording.Parts = merge(recording.Parts, current.Parts, func(mine, theirs Part) bool { return !mine.Final() && theirs.Final() })
		}
		return encodeDocument(recording)
	})
}

// Amend writes what became of a recorder's own parts into a document that belongs to another recorder by now.
func (d Documents) Amend(ctx context.Context, recording Recording, parts []Part) error {
	return d.replace(ctx, DocumentKey(recording.File), func(old []byte) ([]byte, error) {
		var current Recording
		if err := json.Unmarshal(old, &current); err != nil || current.ID != recording.ID {
			return nil, fmt.Errorf("amend document of %s: %w", recording.ID, errNoDocument)
		}
		current.Parts = merge(current.Parts, parts, func(mine, theirs Part) bool {
			return !mine.Final() || mine.State == Failed && theirs.State == Completed
		})
		if current.State == Failed && slices.ContainsFunc(parts, func(p Part) bool { return p.State == Completed }) {
			current.State = Completed
		}
		return encodeDocument(current)
	})
}

// merge takes those of the other parts that are about the same files where better says so, and those about others.
func merge(parts, others []Part, better func(mine, theirs Part) bool) []Part {
	merged := slices.Clone(parts)
	for _, other := range others {
		n := slices.IndexFunc(merged, func(p Part) bool { return p.Key == other.Key })
		switch {
		case n < 0:
			merged = append(merged, other)
		case better(merged[n], other):
			merged[n] = other
		}
	}
	arrange(merged)
	return merged
}

// arrange puts parts into the order of time, and notes by how much each has the same as those before it.
func arrange(parts []Part) {
	slices.SortStableFunc(parts, func(a, b Part) int {
		if a.StartedAt == nil || b.StartedAt == nil {
			return 0
		}
		return a.StartedAt.Compare(*b.StartedAt)
	})
	var end time.Time
	for n := range parts {
		if p := &parts[n]; p.StartedAt != nil {
			p.Overlap = max(0, end.Sub(*p.StartedAt).Seconds())
			if stop := p.StartedAt.Add(time.Duration(p.Duration * float64(time.Second))); stop.After(end) {
				end = stop
			}
		}
	}
}

// replace writes over an object whatever change makes of it; old is nil if there is none yet.
func (d Documents) replace(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	for {
		old, tag, err := d.Store.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		body, err := change(old)
		if err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		_, err = d.Store.Put(ctx, key, body, tag)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// ByID finds a recording, or returns [ErrNotFound].
func (d Documents) ByID(ctx context.Context, id string) (Recording, error) {
	body, _, err := d.Store.Get(ctx, pointerKey(id))
	if err != nil {
		return Recording{}, err
	}
	var p pointer
	if err := json.Unmarshal(body, &p); err != nil {
		return Recording{}, fmt.Errorf("read pointer of %s: %w: %w", id, ErrCorrupt, err)
	}
	if p.Recording != nil {
		return *p.Recording, nil
	}
	return d.at(ctx, p.Document)
}

func (d Documents) at(ctx context.Context, key string) (Recording, error) {
	var recording Recording
	body, _, err := d.Store.Get(ctx, key)
	if err != nil {
		return recording, err
	}
	if err := json.Unmarshal(body, &recording); err != nil || recording.ID == "" {
		return recording, fmt.Errorf("read %s: %w", key, errNoDocument)
	}
	return recording, nil
}

// List finds the recordings of a room, or of one participant in it (participant empty: of all), at most limit.
func (d Documents) List(ctx context.Context, room, participant string, limit int) ([]Recording, error) {
	prefix := path.Join(".recordings", "room", Segment(room)) + "/"
	if participant != "" {
		prefix += Segment(participant) + "/"
	}
	keys, err := d.Store.List(ctx, prefix, limit)
	if err != nil {
		return nil, err
	}
	recordings := make([]Recording, 0, len(keys))
	for _, key := range keys {
		recording, err := d.ByID(ctx, key[strings.LastIndexByte(key, '/')+1:])
		if errors.Is(err, ErrNotFound) {
			continue // the index is written first
		}
		if err != nil {
			return nil, err
		}
		recordings = append(recordings, recording)
	}
	return recordings, nil
}

func encodeDocument(recording Recording) ([]byte, error) {
	recording.UpdatedAt = time.Now().UTC()
	body, err := json.MarshalIndent(recording, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return append(body, '\n'), nil
}
