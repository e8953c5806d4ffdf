package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"livekit-recorder/shared/ledger"
)

// seenDirectory has one small object for each value of a setting that has once led somewhere.
const seenDirectory = ".reached/"

// lookTimeout bounds the looking for one.
const lookTimeout = 3 * time.Second

// Seen remembers where the recordings are that something was there, so that a recorder that starts during an outage
// knows that it is one.
type Seen struct {
	Store ledger.Store
	// Setting and Value are what it is known by. The value is not written down.
	Setting, Value string
}

func (s *Seen) key() string {
	sum := sha256.Sum256([]byte(s.Setting + "\n" + s.Value))
	return seenDirectory + hex.EncodeToString(sum[:8]) + ".json"
}

// remember notes that it is there, unless that is known. That it cannot be noted is not worth a word: whatever keeps it
// from that has a check of its own.
func (s *Seen) remember(ctx context.Context) {
	if _, _, err := s.Store.Get(ctx, s.key()); !errors.Is(err, ledger.ErrNotFound) {
		return
	}
	body, err := json.Marshal(map[string]any{"setting": s.Setting, "reachedAt": time.Now().UTC()})
	if err == nil {
		_, _ = s.Store.Put(ctx, s.key(), body, "")
	}
}

// before says whether it was there before. When nobody can tell, for the bucket is away, too, it may have been.
func (s *Seen) before(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, _, err := s.Store.Get(ctx, s.key())
	return !errors.Is(err, ledger.ErrNotFound)
}
