package upload

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
)

// broken is an object that is to be repaired, and its bucket.
func broken(t *testing.T, body string) (s *S3, requests *counter, storage *stack.Stack, there found) {
	t.Helper()
	s, requests, storage = bucket(t)
	o := s.object(testName, "webm")
	require.NoError(t, s.put(t.Context(), o, condition{}, bytes.NewReader([]byte(body)), int64(len(body))))
	there, err := s.look(t.Context(), o.key)
	require.NoError(t, err)
	return s, requests, storage, there
}

// replacing begins to replace an object by a file.
func replacing(t *testing.T, s *S3, file *recordingFile, there found) *Replacement {
	t.Helper()
	r, err := s.Replace(t.Context(), file.Name(), testName, "webm", there.tag)
	require.NoError(t, err)
	return r
}

func TestRepairedFileReplacesExactlyTheObjectThatWasLookedAt(t *testing.T) {
	for name, size := range map[string]int{"put at once": 1000, "in parts": 23 << 20} {
		t.Run(name, func(t *testing.T) {
			s, requests, storage, first := broken(t, "first")
			file := newFile(t)
			file.grow(t, size)

			// Somebody else writes just behind the looking.
			requests.instead = func(r *http.Request) *http.Response {
				if r.Header.Get("If-Match") == "" {
					return nil
				}
				requests.instead = nil
				second := bytes.NewReader([]byte("second"))
				require.NoError(t, s.put(t.Context(), s.object(testName, "webm"), condition{tag: first.tag}, second, 6))
				return nil
			}
			late := replacing(t, s, file, first)
			_, err := late.Finish(t.Context())
			require.ErrorIs(t, err, ErrChanged)
			require.Equal(t, "second", string(content(t, storage, testName)))
			require.NoError(t, late.Close(t.Context(), false))
			uploads, _ := left(t, s)
			require.Zero(t, uploads)
			_, err = s.Replace(t.Context(), file.Name(), testName, "webm", first.tag)
			require.ErrorIs(t, err, ErrChanged)

			second, err := s.look(t.Context(), first.key)
			require.NoError(t, err)
			whole := newFile(t)
			whole.grow(t, size)
			r := replacing(t, s, whole, second)
			for range 2 { // the second time it is done already
				stored, err := r.Finish(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, size, stored)
			}
			require.NoError(t, r.Close(t.Context(), true))
			require.True(t, bytes.Equal(whole.content, content(t, storage, testName)))
			third, err := s.look(t.Context(), first.key)
			require.NoError(t, err)
			require.EqualValues(t, 6, third.holds)
		})
	}
}

// Whatever its size, a file that is repaired takes no more of the disk than what is in no part yet.
func TestRepairedFileIsUploadedWhileItGrows(t *testing.T) {
	s, _, storage, there := broken(t, "first")
	file := newFile(t)
	r := replacing(t, s, file, there)
	require.NoError(t, r.Advance(t.Context()))
	for range 20 {
		file.grow(t, 3<<20)
		require.NoError(t, r.Advance(t.Context()))
		require.LessOrEqual(t, allocated(t, file.Name()), 3*r.PartSize(), "the first part, and one that grows")
	}
	require.Equal(t, "first", string(content(t, storage, testName)), "it is not whole yet")
	file.patch(t)

	size, err := r.Finish(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, len(file.content), size)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
	uploads, _ := left(t, s)
	require.Zero(t, uploads)
}

// Of two recorders that repair the same file, the first one that is ready does it.
func TestTwoRepairsDoNotDisturbEachOther(t *testing.T) {
	s, _, storage, there := broken(t, "first")
	one, two := newFile(t), newFile(t)
	one.grow(t, 17<<20)
	two.grow(t, 12<<20)
	early, late := replacing(t, s, one, there), replacing(t, s, two, there)
	require.NoError(t, early.Advance(t.Context()))
	require.NoError(t, late.Advance(t.Context()))

	// Another one recovers the same file meanwhile, and finds nothing in their uploads.
	found, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.Equal(t, Recovered{Size: 5, Whole: true, Tag: there.tag, Written: found.Written}, found)
	require.Equal(t, "first", string(content(t, storage, testName)))

	_, err = early.Finish(t.Context())
	require.NoError(t, err)
	_, err = late.Finish(t.Context())
	require.ErrorIs(t, err, ErrChanged)
	require.NoError(t, late.Close(t.Context(), false))
	require.True(t, bytes.Equal(one.content, content(t, storage, testName)))
	uploads, _ := left(t, s)
	require.Zero(t, uploads)
}

// A recorder that is started again on its disk goes on with its own upload only.
func TestARepairsUploadIsNotGoneOnWith(t *testing.T) {
	s, _, storage := bucket(t)
	o := s.object(testName, "webm")
	require.NoError(t, s.put(t.Context(), o, condition{}, bytes.NewReader([]byte("first")), 5))
	there, err := s.look(t.Context(), o.key)
	require.NoError(t, err)
	repaired, whole := newFile(t), newFile(t)
	repaired.grow(t, 12<<20)
	whole.grow(t, 13<<20)
	require.NoError(t, replacing(t, s, repaired, there).Advance(t.Context()))

	u, err := s.Resume(t.Context(), whole.Name(), testName, "webm")
	require.NoError(t, err)
	name, _, err := u.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, restName(testName, 1), name)
	require.True(t, bytes.Equal(whole.content, content(t, storage, name)))
	require.Equal(t, "first", string(content(t, storage, testName)))
}

func TestRepairWhoseUploadIsThrownAwaySaysSo(t *testing.T) {
	s, _, _, there := broken(t, "first")
	file := newFile(t)
	r := replacing(t, s, file, there)
	file.grow(t, 12<<20)
	require.NoError(t, r.Advance(t.Context()))
	require.NoError(t, s.Tidy(t.Context(), testName))
	uploads, _ := left(t, s)
	require.Zero(t, uploads)

	file.grow(t, 12<<20)
	require.ErrorIs(t, r.Advance(t.Context()), ErrGone)
	_, err := r.Finish(t.Context())
	require.ErrorIs(t, err, ErrGone)
	require.NoError(t, r.Close(t.Context(), false))
}

func TestReplacementWhoseAnswerIsLostCounts(t *testing.T) {
	s, requests, storage, there := broken(t, "first")
	file := newFile(t)
	file.grow(t, 1000)

	requests.instead = func(r *http.Request) *http.Response {
		if r.Header.Get("If-Match") == "" {
			return nil
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return answer(r, http.StatusServiceUnavailable)
	}
	_, err := replacing(t, s, file, there).Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, file.content, content(t, storage, testName))
}

func TestReplacingNothingOrByNothingFails(t *testing.T) {
	s, _, _, there := broken(t, "first")
	file := newFile(t)
	_, err := replacing(t, s, file, there).Finish(t.Context())
	require.ErrorIs(t, err, ErrEmpty)
	_, err = s.Replace(t.Context(), file.Name(), "another.webm", "webm", there.tag)
	require.ErrorIs(t, err, ErrNotFound)
	missing, err := s.Replace(t.Context(), filepath.Join(t.TempDir(), "x"), testName, "webm", there.tag)
	require.NoError(t, err)
	require.NoError(t, missing.Advance(t.Context()), "it may come")
	_, err = missing.Finish(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWhatIsReadIsOneObject(t *testing.T) {
	s, requests, _, there := broken(t, "0123456789")
	p := make([]byte, 4)
	require.NoError(t, s.Read(t.Context(), testName, there.tag, p, 3))
	require.Equal(t, "3456", string(p))
	require.Error(t, s.Read(t.Context(), testName, there.tag, p, 8), "there is less")
	require.ErrorIs(t, s.Read(t.Context(), "another.webm", there.tag, p, 0), ErrNotFound)

	second := bytes.NewReader([]byte("second"))
	require.NoError(t, s.put(t.Context(), s.object(testName, "webm"), condition{tag: there.tag}, second, 6))
	require.ErrorIs(t, s.Read(t.Context(), testName, there.tag, p, 0), ErrChanged)
	requests.refuse.Store(true)
	require.Error(t, s.Read(t.Context(), testName, there.tag, p, 0))
}
