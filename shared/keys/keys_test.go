package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

var (
	oldKey, newKey = Key{"old", "old-secret"}, Key{"new", "new-secret"}
	errAway        = errors.New("no route")
)

// source is a secret that can be changed, and be away.
type source struct {
	mu    sync.Mutex
	set   Set
	err   error
	reads int
	takes time.Duration // a reading
}

func (s *source) read(ctx context.Context) (Set, error) {
	s.mu.Lock()
	s.reads++
	set, err, takes := s.set, s.err, s.takes
	s.mu.Unlock()
	select {
	case <-time.After(takes):
		return set, err
	case <-ctx.Done():
		return Set{}, ctx.Err()
	}
}

func (s *source) become(set Set, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.err = set, err
}

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func TestKeysAreReadOnceAndAgainAfterMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{set: Set{Current: oldKey}}
		k := changing(s.read, quiet())
		for range 100 {
			known, err := k.Known(t.Context())
			require.NoError(t, err)
			require.Equal(t, []Key{oldKey}, known.All())
		}
		require.Equal(t, 1, s.reads)

		s.become(Set{Current: newKey, Previous: oldKey}, nil)
		time.Sleep(refreshEvery)
		known, err := k.Known(t.Context())
		require.NoError(t, err)
		require.Equal(t, []Key{newKey, oldKey}, known.All())
		require.Equal(t, 2, s.reads)
	})
}

func TestOldKeysAreGoodWhileTheSecretCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{set: Set{Current: oldKey}}
		k := changing(s.read, quiet())
		_, err := k.Known(t.Context())
		require.NoError(t, err)

		s.become(Set{}, errAway)
		s.takes = time.Hour // as if nothing came
		time.Sleep(refreshEvery)
		began := time.Now()
		for range 1000 {
			known, err := k.Known(t.Context())
			require.NoError(t, err)
			require.Equal(t, oldKey, known.Current)
		}
		require.Equal(t, readTimeout, time.Since(began), "one of them has waited")
		require.Equal(t, 2, s.reads)

		_, err = k.Again(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded, "whether there is another key cannot be said")
	})
}

func TestWithoutKeysThereIsAnErrorThatIsTriedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{err: errAway}
		k := changing(s.read, quiet())
		for range 1000 {
			_, err := k.Known(t.Context())
			require.ErrorIs(t, err, errAway)
			_, err = k.Again(t.Context())
			require.ErrorIs(t, err, errAway)
		}
		require.LessOrEqual(t, s.reads, 1+burst)

		s.become(Set{Current: oldKey}, nil)
		time.Sleep(failurePause + time.Nanosecond)
		known, err := k.Known(t.Context())
		require.NoError(t, err)
		require.Equal(t, oldKey, known.Current)
	})
}

// Anybody can send signatures that nobody knows.
func TestForeignSignaturesCauseFewReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{set: Set{Current: oldKey}}
		k := changing(s.read, quiet())
		for range 6000 {
			_, err := k.Again(t.Context())
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
		}
		require.Equal(t, burst+int(time.Minute/gap)-1, s.reads, "in a minute")
	})
}

// A reading that was under way when the keys were changed may bring the old ones: whoever has seen a new signature
// since needs another one.
func TestAReadingThatBeganBeforeIsNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{set: Set{Current: oldKey}, takes: time.Second}
		k := changing(s.read, quiet())
		go func() { _, _ = k.Known(t.Context()) }()
		time.Sleep(time.Second / 2)
		s.become(Set{Current: newKey, Previous: oldKey}, nil)

		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				again, err := k.Again(t.Context())
				require.NoError(t, err)
				require.Equal(t, newKey, again.Current)
			})
		}
		waiting.Wait()
		require.Equal(t, 2, s.reads, "one reading is enough for all who wait")
	})
}

// Whoever has stopped waiting has not found out anything.
func TestACallerThatGoesAwayFailsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{set: Set{Current: oldKey}, takes: time.Second}
		k := changing(s.read, quiet())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go func() {
			_, err := k.Known(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}()
		synctest.Wait()
		known, err := k.Known(t.Context())
		require.NoError(t, err)
		require.Equal(t, oldKey, known.Current)
	})
}

var errRefused = errors.New("refused")

func TestRefusedKeysAreTriedOneAfterAnother(t *testing.T) {
	changed := Set{Current: newKey, Previous: oldKey}
	for name, c := range map[string]struct {
		before, after Set
		accepted      Key
		tried         []Key
		err           error
	}{
		"the current one is good":               {changed, Set{}, newKey, []Key{newKey}, nil},
		"LiveKit does not have the new one yet": {changed, changed, oldKey, []Key{newKey, oldKey}, nil},
		"it was changed a moment ago":           {Set{Current: oldKey}, changed, newKey, []Key{oldKey, newKey}, nil},
		"none is good":                          {changed, changed, Key{"x", "y"}, []Key{newKey, oldKey}, errRefused},
	} {
		t.Run(name, func(t *testing.T) {
			s := &source{set: c.before}
			k := changing(s.read, quiet())
			_, err := k.Known(t.Context())
			require.NoError(t, err)
			s.become(c.after, nil)

			var tried []Key
			err = k.Try(t.Context(), func(err error) bool { return errors.Is(err, errRefused) }, func(key Key) error {
				tried = append(tried, key)
				if key == c.accepted {
					return nil
				}
				return errRefused
			})
			require.ErrorIs(t, err, c.err)
			require.Equal(t, len(c.tried), len(tried))
			for n := range tried {
				require.True(t, tried[n] == c.tried[n])
			}
		})
	}
}

// Another error than a refusal is nobody's key's fault.
func TestOtherErrorsTryNoOtherKey(t *testing.T) {
	k, tried := Fixed(newKey, oldKey), 0
	err := k.Try(t.Context(), func(err error) bool { return errors.Is(err, errRefused) }, func(Key) error {
		tried++
		return errAway
	})
	require.ErrorIs(t, err, errAway)
	require.Equal(t, 1, tried)
}

// A key that was changed because it was stolen must not be good for ever, whatever its label says.
func TestThePreviousKeysSignaturesAreAcceptedForAWeek(t *testing.T) {
	made := time.Now()
	s := Set{Current: newKey, Previous: oldKey, Since: made}
	require.Equal(t, 2, len(s.Accepted(made.Add(previousFor))))
	require.Equal(t, []Key{newKey}, s.Accepted(made.Add(previousFor+1)))
	require.Equal(t, 2, len(s.All()), "LiveKit decides for itself")
	require.Equal(t, 2, len(Set{Current: newKey, Previous: oldKey}.Accepted(made)), "the environment's has no date")
	require.Equal(t, []Key{newKey}, Set{Current: newKey, Previous: newKey}.All())
}

func TestKeysAreNotPrinted(t *testing.T) {
	set := Set{Current: newKey, Previous: oldKey}
	printed := fmt.Sprint(set, newKey, &newKey, []Key{oldKey}) +
		fmt.Sprintf("%v %+v %#v %s %q %x %d", set, set, set, newKey, newKey, newKey, newKey) +
		fmt.Sprintf("%v %+v %#v", Source{Keys: set}, Source{Keys: set}, Source{Keys: set})
	encoded, err := json.Marshal(map[string]any{"set": set, "key": newKey, "keys": map[Key]Key{newKey: oldKey}})
	require.NoError(t, err)
	for _, text := range []string{printed, string(encoded)} {
		require.NotContains(t, text, "secret")
		require.NotContains(t, text, fmt.Sprintf("%x", "new-secret"))
	}
}
