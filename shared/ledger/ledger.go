package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"

	"livekit-recorder/shared/command"
)

// ErrCorrupt says that an object is not what the ledger has written: trying again does not help.
var ErrCorrupt = errors.New("not written by the ledger")

// Ledger moves entries in a store. Owner is this recorder's name, different for every process that ever ran.
type Ledger struct {
	Store Store
	Owner string
}

func entryKey(room, participant string) string {
	return path.Join(".ledger", Segment(room), Segment(participant)+".json")
}

// Start asks for a recording. The epoch is this recorder's fencing token if the verdict is to record; recording is the
// id of the one that runs already if the start is a duplicate.
func (l *Ledger) Start(ctx context.Context, c command.Command) (verdict Verdict, epoch int, recording string, err error) {
	entry, err := l.move(ctx, c.Room, c.Participant, func(e Entry) Entry {
		next, v := e.ApplyStart(c, l.Owner)
		verdict = v
		return next
	})
	claim := entry.Claims[c.Target()]
	return verdict, claim.Epoch, claim.Recording, err
}

// Stop ends recordings, and returns the claims on those that it ended.
func (l *Ledger) Stop(ctx context.Context, c command.Command) (ended []Claim, err error) {
	_, err = l.move(ctx, c.Room, c.Participant, func(e Entry) Entry {
		next, claims := e.ApplyStop(c)
		ended = claims
		return next
	})
	return ended, err
}

// Joined notes the session in which a recording found its participant.
func (l *Ledger) Joined(ctx context.Context, recording Recording, session string) error {
	_, err := l.move(ctx, recording.Room, recording.Participant, func(e Entry) Entry {
		return e.Joined(recording.Target, recording.ID, session)
	})
	return err
}

// Ended notes that a recording is closed for good, see [Entry.Ended]. It says no if the recording is wanted again.
func (l *Ledger) Ended(ctx context.Context, recording Recording, departed string) (ended bool, err error) {
	_, err = l.move(ctx, recording.Room, recording.Participant, func(e Entry) Entry {
		next, yes := e.Ended(recording.Target, recording.ID, recording.Epoch, departed)
		ended = yes
		return next
	})
	return ended, err
}

// Holding says what this recorder has of a recording now.
func (l *Ledger) Holding(ctx context.Context, recording Recording) (Holding, error) {
	entry, _, err := l.read(ctx, entryKey(recording.Room, recording.Participant))
	if err != nil {
		return "", err
	}
	return entry.Holding(recording.Target, recording.ID, recording.Epoch), nil
}

// Message is the SQS message that is held for a recording; empty if nobody has it.
func (l *Ledger) Message(ctx context.Context, recording Recording) (string, error) {
	entry, _, err := l.read(ctx, entryKey(recording.Room, recording.Participant))
	claim := entry.Claims[recording.Target]
	if err != nil || claim.Recording != recording.ID {
		return "", err
	}
	return claim.Message, nil
}

func (l *Ledger) read(ctx context.Context, key string) (Entry, string, error) {
	var entry Entry
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
	return entry, tag, nil
}

// move applies a pure function to an entry until no other writer comes between reading and writing.
func (l *Ledger) move(ctx context.Context, room, participant string, apply func(Entry) Entry) (Entry, error) {
	key := entryKey(room, participant)
	for {
		entry, tag, err := l.read(ctx, key)
		if err != nil {
			return entry, err
		}
		entry.Room, entry.Participant = room, participant
		next := apply(entry)
		if reflect.DeepEqual(next, entry) {
			return entry, nil
		}
		body, err := json.Marshal(next)
		if err != nil {
			return entry, fmt.Errorf("encode %s: %w", key, err)
		}
		if _, err = l.Store.Put(ctx, key, body, tag); err == nil {
			return next, nil
		} else if !errors.Is(err, ErrConflict) {
			return entry, err
		}
	}
}
