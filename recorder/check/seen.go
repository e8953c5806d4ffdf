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

const (
	// lookTimeout bounds the looking for one.
	lookTimeout = 3 * time.Second
	// renewInterval is how often a recorder writes them again. Recordings may expire after a day, and they as well.
	renewInterval = 12 * time.Hour
)

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

// remember notes that it is there, anew each time: a bucket whose recordings expire deletes old notes, too. That it
// cannot be noted is not worth a word: whatever keeps it from that has a check of its own, and if another recorder was
// faster, that has noted the same.
func (s *Seen) remember(ctx context.Context) {
	_, tag, err := s.Store.Get(ctx, s.key())
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return
	}
	body, err := json.Marshal(map[string]any{"setting": s.Setting, "reachedAt": time.Now().UTC()})
	if err == nil {
		_, _ = s.Store.Put(ctx, s.key(), body, tag)
	}
}

// Renew does checks that remember now and then, until ctx is done, so that no note is ever older than a day.
// What they find otherwise is told by those who need it.
func Renew(ctx context.Context, checks []Check) {
	var remembering []Check
	for _, c := range checks {
		if c.Seen != nil {
			remembering = append(remembering, c)
		}
	}
	for wait(ctx, renewInterval) {
		Run(ctx, remembering)
	}
}

// before says whether it was there before. When nobody can tell, for the bucket is away, too, it may have been.
func (s *Seen) before(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, _, err := s.Store.Get(ctx, s.key())
	return !errors.Is(err, ledger.ErrNotFound)
}
