package upload

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRepairedFileReplacesExactlyTheObjectThatWasLookedAt(t *testing.T) {
	for name, size := range map[string]int{"put at once": 1000, "in parts": 70 << 20} {
		t.Run(name, func(t *testing.T) {
			s, requests, storage := bucket(t)
			o := s.object(testName, "webm")
			require.NoError(t, s.put(t.Context(), o, condition{}, bytes.NewReader([]byte("first")), 5))
			first, err := s.look(t.Context(), o.key)
			require.NoError(t, err)
			file := newFile(t)
			file.grow(t, size)

			// Somebody else writes just behind the looking.
			requests.instead = func(r *http.Request) *http.Response {
				if r.Header.Get("If-Match") == "" {
					return nil
				}
				requests.instead = nil
				second := bytes.NewReader([]byte("second"))
				require.NoError(t, s.put(t.Context(), o, condition{tag: first.tag}, second, 6))
				return nil
			}
			_, err = s.Replace(t.Context(), file.Name(), testName, "webm", first.tag)
			require.ErrorIs(t, err, ErrChanged)
			require.Equal(t, "second", string(content(t, storage, testName)))
			uploads, _ := left(t, s)
			require.Zero(t, uploads)
			_, err = s.Replace(t.Context(), file.Name(), testName, "webm", first.tag)
			require.ErrorIs(t, err, ErrChanged)

			second, err := s.look(t.Context(), o.key)
			require.NoError(t, err)
			for range 2 { // the second time it is done already
				stored, err := s.Replace(t.Context(), file.Name(), testName, "webm", second.tag)
				require.NoError(t, err)
				require.EqualValues(t, size, stored)
			}
			require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
			require.FileExists(t, file.Name())
			third, err := s.look(t.Context(), o.key)
			require.NoError(t, err)
			require.EqualValues(t, 6, third.holds)
		})
	}
}

func TestReplacementWhoseAnswerIsLostCounts(t *testing.T) {
	s, requests, storage := bucket(t)
	o := s.object(testName, "webm")
	require.NoError(t, s.put(t.Context(), o, condition{}, bytes.NewReader([]byte("first")), 5))
	first, err := s.look(t.Context(), o.key)
	require.NoError(t, err)
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
	_, err = s.Replace(t.Context(), file.Name(), testName, "webm", first.tag)
	require.NoError(t, err)
	require.Equal(t, file.content, content(t, storage, testName))
}

func TestReplacingNothingOrByNothingFails(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	_, err := s.Replace(t.Context(), file.Name(), testName, "webm", `"x"`)
	require.ErrorIs(t, err, ErrEmpty)
	file.grow(t, 1)
	_, err = s.Replace(t.Context(), file.Name(), testName, "webm", `"x"`)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = s.Replace(t.Context(), file.Name()+"x", testName, "webm", `"x"`)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFetchedFileIsWholeOrNotThere(t *testing.T) {
	s, requests, _ := bucket(t)
	path := filepath.Join(t.TempDir(), "new", "b.webm")
	require.ErrorIs(t, s.Fetch(t.Context(), testName, path), ErrNotFound)

	body := bytes.Repeat([]byte("x"), 100_000)
	o := s.object(testName, "webm")
	require.NoError(t, s.put(t.Context(), o, condition{}, bytes.NewReader(body), int64(len(body))))
	require.NoError(t, s.Fetch(t.Context(), testName, path))
	fetched, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, body, fetched)

	requests.refuse.Store(true)
	require.Error(t, s.Fetch(t.Context(), testName, path+"2"))
	require.NoFileExists(t, path+"2")
}
