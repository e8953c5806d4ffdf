package mux

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// reader notes what reaches it at once, or fails.
type reader struct {
	batches []string
	err     error
	closed  chan struct{}
	hangs   bool // until it is closed
}

func newReader() *reader { return &reader{closed: make(chan struct{})} }

func (r *reader) Write(data []byte) (int, error) {
	if r.hangs {
		<-r.closed
		return 0, os.ErrClosed
	}
	if r.err != nil {
		return 0, r.err
	}
	r.batches = append(r.batches, string(data))
	return len(data), nil
}

func (r *reader) Close() error {
	select {
	case <-r.closed:
		return os.ErrClosed
	default:
		close(r.closed)
		return nil
	}
}

func write(t *testing.T, b *batches, texts ...string) {
	t.Helper()
	for _, text := range texts {
		n, err := b.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
}

// However little follows, nothing waits longer than a batch may.
func TestWhatIsWrittenArrivesTogetherAndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		b := newBatches(r)
		write(t, b, "one ", "two ")
		synctest.Wait()
		require.Empty(t, r.batches)

		time.Sleep(batchTime)
		synctest.Wait()
		require.Equal(t, []string{"one two "}, r.batches)

		write(t, b, "three ")
		require.NoError(t, b.Flush())
		require.Equal(t, []string{"one two ", "three "}, r.batches)
		write(t, b, "four")
		require.NoError(t, b.Close(t.Context()))
		require.Equal(t, []string{"one two ", "three ", "four"}, r.batches)

		time.Sleep(2 * batchTime)
		synctest.Wait()
		require.Len(t, r.batches, 3, "nothing comes twice")
		_, err := b.Write([]byte("five"))
		require.ErrorIs(t, err, errEnded)
	})
}

// What does not fit in a batch goes on its own, behind what waited.
func TestLargeFramesKeepTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		b := newBatches(r)
		large := string(make([]byte, batchSize+1))
		write(t, b, "before", large, "behind")
		require.NoError(t, b.Close(t.Context()))
		require.Equal(t, []string{"before", large, "behind"}, r.batches)
	})
}

// A failure that nobody waited for is told to the next one, and again by Close: the file lacks something.
func TestFailuresOfTheTimerAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		r.err = errors.New("gone")
		b := newBatches(r)
		write(t, b, "lost")
		time.Sleep(batchTime)
		synctest.Wait()

		_, err := b.Write([]byte("next"))
		require.ErrorIs(t, err, r.err)
		require.ErrorIs(t, b.Close(t.Context()), r.err)
	})
}

// A reader that has hung holds up the closing only until that is called off, whoever is writing then.
func TestClosingDoesNotWaitForAHungReader(t *testing.T) {
	for name, wait := range map[string]time.Duration{"a batch waits": 0, "the timer writes": batchTime} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReader()
				r.hangs = true
				b := newBatches(r)
				write(t, b, "stuck")
				time.Sleep(wait)
				synctest.Wait()

				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				require.ErrorIs(t, b.Close(ctx), os.ErrClosed)
			})
		})
	}
}
