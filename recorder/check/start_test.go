package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/ledger"
)

// recorded is what is logged.
type recorded struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

// lines are the lines of a level.
func (r *recorded) lines(level string) (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(r.out.String()) {
		if strings.Contains(line, "level="+level) {
			lines = append(lines, line)
		}
	}
	return lines
}

func newLog() (*logrus.Logger, *recorded) {
	out := &recorded{}
	log := logrus.New()
	log.SetOutput(out)
	log.SetLevel(logrus.DebugLevel)
	return log, out
}

// finds is a check that finds something for a while, each attempt taking so long, and then that all is well.
func finds(f Finding, attempts int, takes time.Duration) Check {
	tried := 0
	return Check{Name: "thing", Run: func(ctx context.Context) Finding {
		tried++
		if attempts >= 0 && tried > attempts {
			return ok("it is there")
		}
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
		return f
	}}
}

// store keeps objects, unless it is away.
type store struct {
	ledger.Store
	err error
}

func (s *store) Get(ctx context.Context, key string) ([]byte, string, error) {
	if s.err != nil {
		return nil, "", s.err
	}
	return s.Store.Get(ctx, key)
}

var (
	aWrongOne = Finding{State: Wrong, Setting: "THING", Remedy: "set it", Detail: "it is bad"}
	anOutage  = Finding{State: Away, Setting: "THING", Remedy: "look after it", Detail: "no answer"}
)

func TestWhatKeepsARecorderFromStarting(t *testing.T) {
	const never, always = 0, -1
	reached := &ledger.DirStore{Root: t.TempDir()}
	(&Seen{Store: reached, Setting: "THING", Value: "here"}).remember(t.Context())
	seen := func(s ledger.Store, value string) func(*Check) {
		return func(c *Check) { c.Seen = &Seen{Store: s, Setting: "THING", Value: value} }
	}

	for name, c := range map[string]struct {
		found    Finding
		attempts int
		takes    time.Duration
		change   func(*Check)
		starts   bool
		without  bool
		within   time.Duration
	}{
		"all is well":           {found: aWrongOne, attempts: never, starts: true},
		"rights that come late": {found: aWrongOne, attempts: 3, starts: true, within: 3 * pause},
		"wrong for good":        {found: aWrongOne, attempts: always, within: patience + pause},
		"wrong, and slowly so":  {found: aWrongOne, attempts: always, takes: time.Hour, within: 24 * time.Second},
		"certainly wrong":       {found: aWrongOne, attempts: always, change: func(c *Check) { c.Certain = true }},
		"wrong, but not needed": {found: aWrongOne, attempts: always, change: func(c *Check) { c.Optional = true },
			starts: true, without: true},
		"away, and nobody knows": {found: anOutage, attempts: always, starts: true, without: true},
		"away, and never reached": {found: anOutage, attempts: always, change: seen(reached, "there"),
			within: patience + pause},
		"away, and reached before": {found: anOutage, attempts: always, change: seen(reached, "here"), starts: true,
			without: true},
		"away, and so is the bucket": {found: anOutage, attempts: always,
			change: seen(&store{err: errors.New("no route")}, "there"), starts: true, without: true},
		"away, never reached, then back": {found: anOutage, attempts: 4, change: seen(reached, "late"), starts: true,
			within: 4 * pause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, out := newLog()
				it := finds(c.found, c.attempts, c.takes)
				if c.change != nil {
					c.change(&it)
				}
				other := Check{Name: "other", Run: func(context.Context) Finding { return ok("fine") }}
				began := time.Now()
				without, err := Start(t.Context(), []Check{other, it}, log)
				require.LessOrEqual(t, time.Since(began), c.within)

				if c.starts {
					require.NoError(t, err)
					require.Empty(t, out.lines("error"))
					require.Equal(t, c.without, len(without) == 1)
					return
				}
				require.ErrorIs(t, err, ErrWrong)
				require.Len(t, out.lines("error"), 1, "one line")
				require.Contains(t, out.lines("error")[0], "THING: ")
				require.Contains(t, out.lines("error")[0], "Remedy: ")
				require.Len(t, out.lines("debug"), 1, "what is well is not looked at again")
			})
		})
	}
}

// What a recorder has started without is looked at until it is there.
func TestWhatIsMissingIsLookedAtLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newLog()
		began := time.Now()
		Later(t.Context(), []Check{finds(anOutage, 3, 0), finds(aWrongOne, 1, 0)}, log)
		require.Equal(t, 4*longPause, time.Since(began))
		require.Len(t, out.lines("warning"), 1, "it is said once")
		require.Len(t, out.lines("error"), 1)
		require.Len(t, out.lines("info"), 2)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(longPause/2, cancel)
		began = time.Now()
		Later(ctx, []Check{finds(anOutage, -1, 0)}, log)
		require.Equal(t, longPause/2, time.Since(began))
	})
}

// Where recordings expire, what is remembered would do so, too.
func TestWhatWasReachedIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		seen := &Seen{Store: &ledger.DirStore{Root: t.TempDir()}, Setting: "THING", Value: "here"}
		it := finds(aWrongOne, 0, 0)
		it.Seen = seen
		written := func() (at time.Time) {
			body, _, err := seen.Store.Get(t.Context(), seen.key())
			require.NoError(t, err)
			var note struct{ ReachedAt time.Time }
			require.NoError(t, json.Unmarshal(body, &note))
			return note.ReachedAt
		}

		for range 2 { // starts
			time.Sleep(time.Hour)
			_, err := Start(t.Context(), []Check{it}, log)
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), written(), 0)
		}

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*renewInterval+time.Hour, cancel)
		Renew(ctx, []Check{finds(anOutage, -1, 0), it})
		require.WithinDuration(t, time.Now().Add(-time.Hour), written(), 0)
		require.Less(t, renewInterval, 24*time.Hour, "recordings may expire after a day")
	})
}

// However slowly checks find what is wrong, a recorder knows in time.
func TestAStartIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newLog()
		slow := finds(aWrongOne, -1, 14*time.Second)
		slow.Timeout = bucketTimeout
		began := time.Now()
		_, err := Start(t.Context(), []Check{slow}, log)
		require.ErrorIs(t, err, ErrWrong)
		require.Equal(t, bound, time.Since(began), "the second attempt is cut off")
	})
}

// Somebody who ends a recorder that is not ready yet does not wait for it.
func TestAStartCanBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newLog()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := Start(ctx, []Check{finds(aWrongOne, -1, 0)}, log)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Second, time.Since(began))
		require.Empty(t, out.lines("error"))
	})
}
