package upload

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// another is another recorder.
func another(s *S3, name string) *S3 {
	return &S3{Client: s.Client, Bucket: s.Bucket, Directory: s.Directory, Disk: s.Disk, Recorder: name, Log: s.Log,
		PartSize: s.PartSize, LeastPart: s.LeastPart}
}

// Whoever recovers a file dies before or behind any of its requests, and others go on.
func TestRecovererMayDieAtAnyStep(t *testing.T) {
	s, requests, storage := bucket(t)
	for _, done := range []bool{false, true} {
		for _, second := range []int{1, 2} {
			for k := int64(1); ; k++ {
				me := another(s, "RR_dead")
				var files []*recordingFile
				for n := range 2 {
					f := newFile(t)
					u := me.Begin(f.Name(), fileName(n+1), "webm")
					vanish(u)
					f.grow(t, 1000+n)
					files = append(files, f)
				}
				require.NoError(t, me.keeper().write(t.Context()))
				files[0].grow(t, 300)
				require.NoError(t, me.keeper().write(t.Context()))

				var count atomic.Int64
				requests.instead = func(r *http.Request) *http.Response {
					n := count.Add(1)
					if n > k || n == k && !done {
						return answer(r, 503)
					}
					return nil
				}
				_, err := another(s, "RR_1").recover(t.Context(), fileName(1), "webm")
				requests.instead = nil
				for _, n := range []int{second, 3 - second} {
					_, again := another(s, "RR_2").Recover(t.Context(), fileName(n), "webm")
					require.NoError(t, again, "%v %d %d", done, second, k)
				}
				require.True(t, bytes.Equal(files[0].content, content(t, storage, fileName(1))), "%v %d %d", done, second, k)
				require.True(t, bytes.Equal(files[1].content, content(t, storage, fileName(2))), "%v %d %d", done, second, k)
				u, e := left(t, s)
				require.Zero(t, u+e, "%v %d %d", done, second, k)
				for n := range 2 {
					require.NoError(t, os.Remove(storage.Path("dir/"+fileName(n+1))))
				}
				if err == nil && count.Load() < k {
					break
				}
			}
		}
	}
}

// The owner dies at any step of the end; the next process on its disk, or another recorder, goes on.
func TestOwnerMayDieAtAnyStepOfTheEnd(t *testing.T) {
	s, requests, storage := bucket(t)
	for _, how := range []string{"resume", "recover", "again"} {
		for _, done := range []bool{false, true} {
			for k := int64(1); ; k++ {
				me := another(s, "RR_dead")
				f, g := newFile(t), newFile(t)
				u := me.Begin(f.Name(), fileName(1), "webm")
				ug := me.Begin(g.Name(), fileName(2), "webm")
				vanish(u)
				vanish(ug)
				g.grow(t, 500)
				f.grow(t, 6<<20)
				require.NoError(t, me.keeper().write(t.Context()))
				require.NoError(t, u.do(t.Context(), u.grow))
				f.grow(t, 100)
				require.NoError(t, me.keeper().write(t.Context()))
				f.patch(t)

				var count atomic.Int64
				requests.instead = func(r *http.Request) *http.Response {
					n := count.Add(1)
					if n > k || n == k && !done {
						return answer(r, 503)
					}
					return nil
				}
				_, _, err := u.Finish(t.Context())
				requests.instead = nil
				next := another(s, "RR_next")
				switch {
				case how == "again":
					_, _, e := u.Finish(t.Context())
					require.NoError(t, e)
				case err == nil:
				case how == "resume":
					r, e := next.Resume(t.Context(), f.Name(), fileName(1), "webm")
					require.NoError(t, e)
					_, _, e = r.Finish(t.Context())
					require.NoError(t, e, "%s %v %d", how, done, k)
				default:
					_, e := next.Recover(t.Context(), fileName(1), "webm")
					require.NoError(t, e, "%s %v %d", how, done, k)
				}
				got := content(t, storage, fileName(1))
				require.GreaterOrEqual(t, len(got), len(f.content), "%s %v %d", how, done, k)
				if how != "recover" {
					require.True(t, bytes.Equal(f.content, got), "%s %v %d", how, done, k)
				}
				r, e := next.Recover(t.Context(), fileName(2), "webm")
				require.NoError(t, e)
				require.EqualValues(t, 500, r.Size)
				up, en := left(t, s)
				require.Zero(t, up+en, "%s %v %d", how, done, k)
				for n := range 2 {
					require.NoError(t, os.Remove(storage.Path("dir/"+fileName(n+1))))
				}
				if err == nil && count.Load() < k {
					break
				}
			}
		}
	}
}

// Taken for dead because of one file, a recorder goes on with another.
func TestSupersededFileAndAnotherOne(t *testing.T) {
	s, _, _ := bucket(t)
	f, g := newFile(t), newFile(t)
	uf := s.Begin(f.Name(), fileName(1), "webm")
	ug := s.Begin(g.Name(), fileName(2), "webm")
	vanish(uf)
	vanish(ug)
	f.grow(t, 1000)
	g.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	other := another(s, "RR_other")
	_, err := other.Recover(t.Context(), fileName(1), "webm")
	require.NoError(t, err)
	f.grow(t, 1000)
	g.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	name, size, err := uf.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a/b1.rest.webm", name)
	require.EqualValues(t, 2000, size)
	g.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	// dies
	r, err := other.Recover(t.Context(), fileName(2), "webm")
	require.NoError(t, err)
	require.EqualValues(t, 3000, r.Size)
	_, entries := left(t, s)
	require.Zero(t, entries)
}

// A file that was left is stored by the same process, while another one goes on.
func TestFileThatWasLeftIsStoredByTheSameProcess(t *testing.T) {
	s, _, _ := bucket(t)
	f, g := newFile(t), newFile(t)
	uf, ug := s.Begin(f.Name(), fileName(1), "webm"), s.Begin(g.Name(), fileName(2), "webm")
	vanish(uf)
	vanish(ug)
	f.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	uf.Leave()
	g.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	resumed, err := s.Resume(t.Context(), f.Name(), fileName(1), "webm")
	require.NoError(t, err)
	_, _, err = resumed.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, [][2]int64{{0, 1000}}, written(t, s, fileName(2)))
	g.grow(t, 500)
	require.NoError(t, s.keeper().write(t.Context()))
	r, err := s.Recover(t.Context(), fileName(2), "webm")
	require.NoError(t, err)
	require.EqualValues(t, 1500, r.Size)
	_, entries := left(t, s)
	require.Zero(t, entries)
}

// Files begin, are left and end at once, while the journal is written all the time.
func TestManyFilesEndAtOnce(t *testing.T) {
	s, _, _ := bucket(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = s.keeper().write(context.Background())
		}
	}()
	for n := range 60 {
		wg.Go(func() {
			for k := range 3 {
				file := newFile(t)
				u := s.Begin(file.Name(), fileName(n*10+k), "webm")
				file.grow(t, 1000)
				time.Sleep(time.Duration(n%7) * 3 * time.Millisecond)
				if n%5 == 0 {
					u.Leave()
					r, err := s.Resume(context.Background(), file.Name(), fileName(n*10+k), "webm")
					if !assert.NoError(t, err) {
						return
					}
					u = r
				}
				_, _, err := u.Finish(context.Background())
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	close(stop)
	<-ended
	_, entries := left(t, s)
	require.Zero(t, entries)
}

// Somebody who finds nothing that the journal's bytes follow, again and again, does not throw away the first part that
// comes just then from an owner who lives.
func TestPartThatComesAtTheLastMomentStays(t *testing.T) {
	s, requests, storage := bucket(t)
	s.PartSize = smallestPart
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, smallestPart+1000)
	require.NoError(t, s.keeper().write(t.Context()), "of the end alone")
	looks := 0
	requests.instead = func(r *http.Request) *http.Response {
		if r.Method == http.MethodHead {
			if looks++; looks == recoverTries { // its last look
				requests.instead = nil
				require.NoError(t, u.do(t.Context(), u.grow))
				file.grow(t, 2*smallestPart)
				require.NoError(t, u.do(t.Context(), u.grow), "and the first one is released")
			}
		}
		return nil
	}

	_, err := another(s, "RR_other").Recover(t.Context(), testName, "webm")
	require.ErrorIs(t, err, errMoved)
	finishesWhole(t, u, storage, file)
}

// A recorder was taken for dead, went on, and died then: nobody looks for its file any more. What it has left goes, but
// neither what can be found by a mark, nor what is new.
func TestWhatNobodyWillComeAcrossIsSwept(t *testing.T) {
	s, _, storage := bucket(t)
	file, other := newFile(t), newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	_, err := another(s, "RR_b").Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	file.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))

	needed := another(s, "RR_needed")
	u = needed.Begin(other.Name(), fileName(2), "webm")
	vanish(u)
	other.grow(t, 1000)
	require.NoError(t, needed.keeper().write(t.Context()))

	require.NoError(t, s.Sweep(t.Context()))
	_, entries := left(t, s)
	require.Equal(t, 3, entries, "it may be about to be found")
	long := time.Now().Add(-sweepAge)
	for _, key := range []string{s.entryKey(1), s.entryKey(2), needed.entryKey(1)} {
		if _, err := os.Stat(storage.Path(key)); err == nil {
			require.NoError(t, os.Chtimes(storage.Path(key), long, long))
		}
	}
	require.NoError(t, s.Sweep(t.Context()))
	_, entries = left(t, s)
	require.Equal(t, 2, entries, "an entry and its mark")
	_, err = s.Recover(t.Context(), fileName(2), "webm")
	require.NoError(t, err)
}
