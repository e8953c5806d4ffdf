// Package ledger keeps the service's whole state in the bucket, next to the files: which recording of which participant
// is wanted and who fulfils it (entries), and what became of each recording (documents). There is no other database.
//
//	.ledger/ROOM/PARTICIPANT.json              who wants what of one participant, and who records it; conditional writes
//	.recordings/id/RECORDING.json              one recording by its id: its document, or where that is
//	.recordings/rooms/ROOM/…                   an index for lists, newest first: names without content (index.go)
//	.recordings/participants/ROOM/PARTICIPANT/…  the same for each participant
//	FILE.json beside FILE.webm                 the recording's document
//	.journal/...                               what is not uploaded yet of files that grow (recorder/upload)
package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// ErrCorrupt says that an object is not what the ledger has written: trying again does not help.
var ErrCorrupt = errors.New("not written by the ledger")

// Ledger moves entries in a store.
type Ledger struct{ Store Store }

func entryKey(room, participant string) string {
	return path.Join(".ledger", document.Segment(room), document.Segment(participant)+".json")
}

// Look says what a bid would come to at the moment. It changes nothing.
func (l *Ledger) Look(ctx context.Context, b Bid) (Grant, error) {
	entry, _, err := l.read(ctx, b.Start.Room, b.Start.Participant)
	_, grant := entry.ApplyBid(b)
	return grant, err
}

// Bid asks for a recording.
func (l *Ledger) Bid(ctx context.Context, b Bid) (grant Grant, err error) {
	err = l.move(ctx, b.Start.Room, b.Start.Participant, func(e Entry) (next Entry) {
		next, grant = e.ApplyBid(b)
		return next
	})
	return grant, err
}

// Try notes that a recorder is about to try a recording, see [Entry.Tried].
func (l *Ledger) Try(ctx context.Context, b Bid) error {
	return l.move(ctx, b.Start.Room, b.Start.Participant, func(e Entry) Entry { return e.Tried(b) })
}

// Mourn notes that those who have tried a recording before are dead, see [Entry.Mourned].
func (l *Ledger) Mourn(ctx context.Context, b Bid) error {
	return l.move(ctx, b.Start.Room, b.Start.Participant, func(e Entry) Entry { return e.Mourned(b) })
}

// LetGo notes that an attempt has ended, see [Entry.LetGo].
func (l *Ledger) LetGo(ctx context.Context, start command.Command, attempt string) error {
	return l.move(ctx, start.Room, start.Participant, func(e Entry) Entry { return e.LetGo(start.Recording, attempt) })
}

// Clear notes that an attempt at a suspect lives, see [Entry.Cleared].
func (l *Ledger) Clear(ctx context.Context, start command.Command, attempt string) error {
	return l.move(ctx, start.Room, start.Participant, func(e Entry) Entry { return e.Cleared(start.Recording, attempt) })
}

// Expected is until when somebody may have what a start asks for, although nothing has come of it yet, or be about to
// take it up; waits is how long whoever takes it up waits for its participant at most.
func (l *Ledger) Expected(ctx context.Context, start command.Command, waits time.Duration) (time.Time, error) {
	entry, _, err := l.read(ctx, start.Room, start.Participant)
	return entry.expected(start, waits), err
}

// Stop ends recordings, and returns the claims on all that are not wanted any more and have not come to their end, by
// id: their owners have to be told, perhaps once more, should whoever ended them not have come to that.
func (l *Ledger) Stop(ctx context.Context, c command.Command) (map[string]Claim, error) {
	return l.end(ctx, c, func(e Entry) (Entry, []string) {
		next, _ := e.ApplyStop(c)
		return next, slices.Collect(maps.Keys(next.stopped()))
	})
}

// GiveUp does the same for a reason that nobody asked for.
func (l *Ledger) GiveUp(ctx context.Context, c command.Command, reason string) (map[string]Claim, error) {
	return l.end(ctx, c, func(e Entry) (Entry, []string) { return e.ApplyGiveUp(c, reason) })
}

func (l *Ledger) end(ctx context.Context, c command.Command, apply func(Entry) (Entry, []string)) (
	map[string]Claim, error) {
	ended := map[string]Claim{}
	err := l.move(ctx, c.Room, c.Participant, func(e Entry) Entry {
		next, ids := apply(e)
		clear(ended)
		for _, id := range ids {
			ended[id] = next.Claims[id]
		}
		return next
	})
	return ended, err
}

// Seen notes what the owner of a recording has seen, see [Entry.Seen].
func (l *Ledger) Seen(ctx context.Context, r document.Recording, session string, began time.Time) error {
	return l.move(ctx, r.Room, r.Participant, func(e Entry) Entry { return e.Seen(r.ID, r.Epoch, session, began) })
}

// Close notes that the owner has brought a recording to its end, see [Entry.ApplyClose].
func (l *Ledger) Close(ctx context.Context, r document.Recording, known []string) (closing Closing, err error) {
	err = l.move(ctx, r.Room, r.Participant, func(e Entry) (next Entry) {
		next, closing = e.ApplyClose(r.ID, r.Epoch, known, time.Now().UTC())
		return next
	})
	return closing, err
}

// Standing says what this recorder has of a recording now.
func (l *Ledger) Standing(ctx context.Context, r document.Recording) (Standing, error) {
	entry, _, err := l.read(ctx, r.Room, r.Participant)
	if err != nil {
		return Standing{}, err
	}
	return entry.Standing(r.ID, r.Epoch), nil
}

// read returns the entry of a participant, and its tag. A store that does not tell upper case from lower, or ways of
// writing the same accent, may have somebody else's there.
func (l *Ledger) read(ctx context.Context, room, participant string) (Entry, string, error) {
	var entry Entry
	key := entryKey(room, participant)
	body, tag, err := l.Store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return entry, "", nil
	}
	if err != nil {
		return entry, "", err
	}
	if err := json.Unmarshal(body, &entry); err != nil {
		return entry, "", fmt.Errorf("read %s: %w: %w", key, ErrCorrupt, err)
	}
	if entry.Room != room || entry.Participant != participant {
		return Entry{}, "", fmt.Errorf("read %s: %w: the store has the entry of %q in %q there", key, ErrCorrupt,
			entry.Participant, entry.Room)
	}
	return entry, tag, nil
}

// move applies a pure function to an entry until no other writer comes between reading and writing.
func (l *Ledger) move(ctx context.Context, room, participant string, apply func(Entry) Entry) error {
	key := entryKey(room, participant)
	for {
		entry, tag, err := l.read(ctx, room, participant)
		if err != nil {
			return err
		}

		entry.Room, entry.Participant = room, participant
		before, beforeErr := json.Marshal(entry)
		body, err := json.Marshal(apply(entry))
		if err = errors.Join(beforeErr, err); err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		if bytes.Equal(body, before) {
			return nil
		}

		if _, err = l.Store.Put(ctx, key, body, tag); err == nil {
			return nil
		} else if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}
