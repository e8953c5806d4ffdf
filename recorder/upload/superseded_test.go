package upload

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
)

const testName = "a/b.webm"

// uploaded waits until every part that is whole is uploaded.
func uploaded(t *testing.T, u *Upload, file *recordingFile) {
	t.Helper()
	require.Eventually(t, func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.parts.bytes == int64(len(file.content)/smallestPart*smallestPart)
	}, 20*time.Second, 10*time.Millisecond)
}

func content(t *testing.T, storage *stack.Stack, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(storage.Path("dir/" + name))
	require.NoError(t, err)
	return body
}

// killed is an upload of a file that has 4 parts and a bit, whose recorder is gone; of two parts the disk space is
// released.
func killed(t *testing.T, s *S3) (*Upload, *recordingFile) {
	t.Helper()
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	file.grow(t, 4*smallestPart+1000)
	uploaded(t, u, file)
	vanish(u)
	require.EqualValues(t, 3*smallestPart, u.sent.released)
	return u, file
}

func finishesAs(t *testing.T, u *Upload, name string, size int) {
	t.Helper()
	got, bytes, err := u.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, name, got)
	require.EqualValues(t, size, bytes)
	require.NoFileExists(t, u.path)
	require.NoFileExists(t, notePath(u.path))
	uploads, entries := left(t, u.s3)
	require.Zero(t, uploads+entries, "nothing is left over")
}

// A living recorder was taken for dead. What it has recorded since is not lost, and neither is what it had released.
func TestOwnerThatReturnsAfterARecoveryStoresTheWholeBesideIt(t *testing.T) {
	for name, restart := range map[string]bool{"the process lives": false, "it was started again on its disk": true} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			u, file := killed(t, s)
			recovered, err := s.Recover(t.Context(), testName, "webm")
			require.NoError(t, err)
			require.EqualValues(t, 4*smallestPart, recovered.Size)
			before := content(t, storage, testName)

			file.grow(t, 7<<20)
			file.patch(t)
			if restart {
				u, err = s.Resume(t.Context(), file.Name(), testName, "webm")
				require.NoError(t, err)
			}
			finishesAs(t, u, "a/b.rest.webm", len(file.content))
			require.False(t, u.Torn())
			require.True(t, bytes.Equal(file.content, content(t, storage, "a/b.rest.webm")), "complete to the byte")
			require.True(t, bytes.Equal(before, content(t, storage, testName)), "the other one's stays as it was")
		})
	}
}

// It comes back to its disk, on which the released parts read as zeros, after somebody has completed its upload.
func TestRecorderThatComesBackToItsDiskDoesNotOverwriteAGoodObject(t *testing.T) {
	s, _, storage := bucket(t)
	u, file := killed(t, s)
	require.NoError(t, u.s3.keeper().write(t.Context()))
	recovered, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.EqualValues(t, len(file.content), recovered.Size)

	resumed, err := s.Resume(t.Context(), file.Name(), testName, "webm")
	require.NoError(t, err)
	finishesAs(t, resumed, testName, len(file.content))
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
	require.NoFileExists(t, storage.Path("dir/a/b.rest.webm"))
}

// Somebody has thrown the upload away, or made an object of it that has been joined to others since. What is left on
// the disk is stored, and said to be torn: zeros are no recording.
func TestFileWithReleasedBytesIsNeverStoredAsAWholeOne(t *testing.T) {
	for _, joined := range []bool{false, true} {
		for _, resumes := range []bool{false, true} {
			s, _, storage := bucket(t)
			u, file := killed(t, s)
			if joined {
				_, err := s.Recover(t.Context(), testName, "webm")
				require.NoError(t, err)
				require.NoError(t, s.Remove(t.Context(), testName))
			}
			require.NoError(t, s.abort(t.Context(), u.parts.key, u.parts.id))
			if resumes {
				var err error
				u, err = s.Resume(t.Context(), file.Name(), testName, "webm")
				require.NoError(t, err)
			}

			name, size, err := u.Finish(t.Context())
			require.NoError(t, err)
			require.Equal(t, restName(testName, 1), name)
			require.EqualValues(t, len(file.content), size)
			require.True(t, u.Torn())
			require.NoFileExists(t, storage.Path("dir/a/b.webm"))
			require.NoFileExists(t, file.Name())
		}
	}
}

// Nothing is released without a note: the file is whole, whatever has become of the upload.
func TestFileWithoutANoteIsWhole(t *testing.T) {
	for name, aborted := range map[string]bool{"its upload is there": false, "its upload is gone": true} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), testName, "webm")
			file.grow(t, smallestPart+1000)
			uploaded(t, u, file)
			vanish(u)
			require.NoError(t, os.Remove(notePath(file.Name())))
			if aborted {
				require.NoError(t, s.abort(t.Context(), u.parts.key, u.parts.id))
			}

			file.patch(t)
			resumed, err := s.Resume(t.Context(), file.Name(), testName, "webm")
			require.NoError(t, err)
			finishesAs(t, resumed, testName, len(file.content))
			require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
		})
	}
}

// A note is there before anything is released, and says as much as what follows needs.
func TestNoteIsWrittenBeforeAnythingIsReleased(t *testing.T) {
	s, _, _ := bucket(t)
	u, file := killed(t, s)
	written, err := s.readNote(file.Name())
	require.NoError(t, err)
	sum, err := u.checksum(smallestPart)
	require.NoError(t, err)
	require.Equal(t, &note{u.parts.id, 4 * smallestPart, smallestPart, sum, 3 * smallestPart}, written)

	other := newFile(t)
	other.grow(t, 3*smallestPart)
	require.NoError(t, os.MkdirAll(filepath.Join(notePath(other.Name()), "x"), 0o755)) // a note cannot be written
	w := s.Begin(other.Name(), "c.webm", "webm")
	uploaded(t, w, other)
	vanish(w)
	require.GreaterOrEqual(t, allocated(t, other.Name()), int64(3*smallestPart))
}

// The upload was aborted under a living recorder whose file is whole on the disk.
func TestAbortedUploadBeginsAnew(t *testing.T) {
	s, _, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	file.grow(t, smallestPart+1000)
	uploaded(t, u, file)
	vanish(u)
	require.NoError(t, s.abort(t.Context(), u.parts.key, u.parts.id))

	file.grow(t, smallestPart)
	require.Error(t, u.do(t.Context(), u.grow))
	require.Empty(t, u.parts.id, "it is forgotten while the file grows")
	require.NoError(t, u.do(t.Context(), u.grow))
	require.NoError(t, s.abort(t.Context(), u.parts.key, u.parts.id))
	u.sent.released = 0 // of the two parts one would be
	finishesAs(t, u, testName, len(file.content))
	require.Len(t, content(t, storage, testName), len(file.content))
}

// Extra names that others have are not taken, and one that was stored the last time is known.
func TestRestOverwritesNothing(t *testing.T) {
	s, _, storage := bucket(t)
	for _, c := range []struct {
		size int
		want string
	}{{1000, testName}, {2000, "a/b.rest.webm"}, {3000, "a/b.rest2.webm"}, {3000, "a/b.rest2.webm"}, {500, testName}} {
		file := newFile(t)
		file.grow(t, c.size)
		u, err := s.Resume(t.Context(), file.Name(), testName, "webm")
		require.NoError(t, err)
		name, size, err := u.Finish(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.want, name)
		require.GreaterOrEqual(t, size, int64(c.size))
	}
	require.Len(t, content(t, storage, testName), 1000)
	require.Len(t, content(t, storage, "a/b.rest.webm"), 2000)
}

// The answer to the beginning of the extra file's upload was lost, so that there are two, and the bucket went away
// before the other one could be thrown away.
func TestUploadsOfTheRestWhoseAnswersAreLostGo(t *testing.T) {
	s, requests, storage := bucket(t)
	u, file := killed(t, s)
	_, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	file.grow(t, 7<<20)
	file.patch(t)

	completed := false
	requests.instead = func(r *http.Request) *http.Response {
		query := r.URL.Query()
		rest := strings.HasSuffix(r.URL.Path, ".rest.webm")
		switch {
		case completed: // the bucket is away from then on
			return answer(r, http.StatusServiceUnavailable)
		case rest && query.Has("uploads") && r.Method == http.MethodPost:
			stray, err := http.DefaultClient.Do(r.Clone(t.Context()))
			require.NoError(t, err)
			require.NoError(t, stray.Body.Close())
		case rest && query.Has("uploadId") && r.Method == http.MethodPost:
			response, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			completed = true
			return response
		}
		return nil
	}
	_, _, err = u.Finish(t.Context())
	require.Error(t, err)
	require.True(t, completed)

	requests.instead = nil
	finishesAs(t, u, "a/b.rest.webm", len(file.content))
	require.True(t, bytes.Equal(file.content, content(t, storage, "a/b.rest.webm")))
}

// Nobody heard that the whole had been stored. By the next try the other one's object has been repaired, so that what
// only that one has could not be copied any more.
func TestRestWhoseAnswerIsLostIsNotStoredOnceMoreWithLess(t *testing.T) {
	s, requests, storage := bucket(t)
	u, file := killed(t, s)
	r, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	file.grow(t, 7<<20)
	requests.instead = func(r *http.Request) *http.Response {
		if !strings.HasSuffix(r.URL.Path, ".rest.webm") || !r.URL.Query().Has("uploadId") || r.Method != http.MethodPost {
			return nil
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		requests.refuse.Store(true)
		return answer(r, http.StatusServiceUnavailable)
	}
	_, _, err = u.Finish(t.Context())
	require.Error(t, err)
	requests.instead = nil
	requests.refuse.Store(false)

	repaired := newFile(t)
	repaired.grow(t, 1000)
	_, err = s.Replace(t.Context(), repaired.Name(), testName, "webm", r.Tag)
	require.NoError(t, err)
	finishesAs(t, u, "a/b.rest.webm", len(file.content))
	require.True(t, bytes.Equal(file.content, content(t, storage, "a/b.rest.webm")))
	require.NoFileExists(t, storage.Path("dir/a/b.rest2.webm"))
}

// Somebody has made an object of what the journal had, while the owner's upload went on: the upload has more, and it
// alone has it.
func TestObjectThatLacksWhatWasReleasedIsReplacedByTheWhole(t *testing.T) {
	for name, recovered := range map[string]bool{"by its owner": false, "by a recoverer": true} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			u, file := killed(t, s)
			body := bytes.NewReader(file.content[:1000])
			require.NoError(t, s.put(t.Context(), u.parts.object, condition{}, body, 1000))

			if recovered {
				r, err := s.Recover(t.Context(), testName, "webm")
				require.NoError(t, err)
				require.False(t, r.Whole)
				require.EqualValues(t, 4*smallestPart, r.Size)
				finishesAs(t, u, "a/b.rest.webm", len(file.content))
				require.True(t, bytes.Equal(file.content, content(t, storage, "a/b.rest.webm")))
				return
			}
			finishesAs(t, u, testName, len(file.content))
			require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
		})
	}
}

// The other one's object has been repaired, so that its bytes are not ours: what only it has are zeros in the extra
// file, and everything else is where it was.
func TestRepairedObjectIsNotTakenForOurParts(t *testing.T) {
	s, _, storage := bucket(t)
	u, file := killed(t, s)
	r, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	repaired := newFile(t)
	repaired.grow(t, 30<<20)
	replacement, err := s.Replace(t.Context(), repaired.Name(), testName, "webm", r.Tag)
	require.NoError(t, err)
	_, err = replacement.Finish(t.Context())
	require.NoError(t, err)

	require.False(t, u.Torn())
	want := bytes.Clone(file.content)
	clear(want[smallestPart : 3*smallestPart])
	finishesAs(t, u, "a/b.rest.webm", len(want))
	require.True(t, u.Torn(), "it has to be repaired")
	require.True(t, bytes.Equal(want, content(t, storage, "a/b.rest.webm")))
	require.True(t, bytes.Equal(repaired.content, content(t, storage, testName)))
}

// The answer of whatever makes the object is lost.
func TestObjectWhoseAnswerIsLostIsNotMadeTwice(t *testing.T) {
	for name, size := range map[string]int{"put": 1000, "completed": 2 * smallestPart} {
		t.Run(name, func(t *testing.T) {
			s, requests, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), testName, "webm")
			file.grow(t, size)
			vanish(u)
			requests.instead = func(r *http.Request) *http.Response {
				if r.Header.Get("If-None-Match") == "" {
					return nil
				}
				response, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.NoError(t, response.Body.Close())
				return answer(r, http.StatusServiceUnavailable)
			}
			finishesWhole(t, u, storage, file)
			require.NoFileExists(t, storage.Path("dir/a/b.rest.webm"))
		})
	}
}

func TestTwoRecoverersAtOnceMakeOneObject(t *testing.T) {
	for name, size := range map[string]int{"parts and journal": 2*smallestPart + 1000, "journal only": 1000} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), testName, "webm")
			file.grow(t, size)
			uploaded(t, u, file)
			vanish(u)
			require.NoError(t, u.s3.keeper().write(t.Context()))

			var group sync.WaitGroup
			var recovered [3]Recovered
			var errs [3]error
			for i := range recovered {
				group.Go(func() { recovered[i], errs[i] = s.Recover(t.Context(), testName, "webm") })
			}
			group.Wait()
			for i := range recovered {
				require.NoError(t, errs[i])
				require.Equal(t, recovered[0].Tag, recovered[i].Tag)
				require.EqualValues(t, size, recovered[i].Size)
			}
			require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
			uploads, entries := left(t, s)
			require.Zero(t, uploads+entries)
		})
	}
}

// A recoverer and the owner, who is back on its disk, are at it at the same time.
func TestRecovererAndReturningOwnerLoseNothing(t *testing.T) {
	for range 5 {
		s, _, storage := bucket(t)
		_, file := killed(t, s)
		file.patch(t)

		var group sync.WaitGroup
		var recovering error
		group.Go(func() { _, recovering = s.Recover(t.Context(), testName, "webm") })
		resumed, err := s.Resume(t.Context(), file.Name(), testName, "webm")
		require.NoError(t, err)
		var name string
		require.Eventually(t, func() bool {
			name, _, err = resumed.Finish(t.Context())
			return err == nil
		}, 10*time.Second, 10*time.Millisecond)
		group.Wait()

		require.NoError(t, recovering)
		// If the recoverer had something of a journal too, its object has all bytes, and the header that it is about to
		// repair.
		stored := content(t, storage, name)
		require.Len(t, stored, len(file.content))
		require.True(t, bytes.Equal(file.content[1000:], stored[1000:]), "whoever was first: %s", name)
	}
}

// A recorder that was taken for dead comes back while the little that had been found of its file is being repaired:
// what it has uploaded since, and given back to the disk, is nowhere else.
func TestARepairLeavesTheUploadOfARecorderThatComesBack(t *testing.T) {
	for name, end := range map[string]func(s *S3, r *Replacement) error{
		"the repair is done": func(_ *S3, r *Replacement) error { _, err := r.Finish(t.Context()); return err },
		"the repair is vain": func(s *S3, _ *Replacement) error { return s.Tidy(t.Context(), testName) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			file, repaired := newFile(t), newFile(t)
			u := s.Begin(file.Name(), testName, "webm")
			file.grow(t, 1<<20)
			require.NoError(t, u.s3.keeper().write(t.Context()))
			recovered, err := s.Recover(t.Context(), testName, "webm")
			require.NoError(t, err)
			r, err := s.Replace(t.Context(), repaired.Name(), testName, "webm", recovered.Tag)
			require.NoError(t, err)
			repaired.grow(t, 1<<20)

			file.grow(t, 29<<20+1000)
			uploaded(t, u, file)
			require.NoError(t, end(s, r))
			require.NoError(t, r.Close(t.Context(), true))
			finishesAs(t, u, testName, len(file.content))
			require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
		})
	}
}
