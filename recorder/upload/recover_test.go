package upload

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
)

// vanish stops an upload and the journal where they are, as if their machine were gone.
func vanish(u *Upload) {
	u.while.cancel()
	<-u.while.done
	j := u.s3.keeper()
	j.mu.Lock()
	stop := j.stop
	j.stop = nil
	j.mu.Unlock()
	if stop != nil {
		stop()
		<-j.ended
	}
}

// left counts the uploads in a bucket, and the objects of journals.
func left(t *testing.T, s *S3) (uploads, journal int) {
	t.Helper()
	out, err := s.Client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.Bucket})
	require.NoError(t, err)
	require.NoError(t, s.each(t.Context(), s.Key(journalDirectory), func(listed) { journal++ }))
	return len(out.Uploads), journal
}

// What a vanished recorder had stored becomes a file: parts of the multipart upload, and what its journal has of what
// follows.
func TestRecoveredFileHasEverythingThatWasStored(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		grows []int // the journal is written after each
		stays int   // bytes that must be there afterwards
	}{
		"journal only":                        {[]int{100, 2 * mib, 1000}, 2*mib + 1100},
		"journal across the border of a part": {[]int{4 * mib, 2 * mib, 100}, 6*mib + 100},
		"parts and journal":                   {[]int{12 * mib, 1 * mib, 2 * mib, 100}, 15*mib + 100},
		"parts alone, the next just complete": {[]int{2 * smallestPart}, 2 * smallestPart},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), "a/b.webm", "webm")
			for _, n := range c.grows {
				file.grow(t, n)
				require.Eventually(t, func() bool {
					u.mu.Lock()
					defer u.mu.Unlock()
					return u.parts.bytes == int64(len(file.content)/smallestPart*smallestPart)
				}, 20*time.Second, 10*time.Millisecond)
				require.NoError(t, u.s3.keeper().write(t.Context()))
			}
			vanish(u)
			file.grow(t, 777) // is lost with the machine
			recovered, err := s.Recover(t.Context(), "a/b.webm", "webm")
			require.NoError(t, err)
			require.False(t, recovered.Whole)
			require.EqualValues(t, c.stays, recovered.Size)
			stored, err := os.ReadFile(storage.Path("dir/a/b.webm"))
			require.NoError(t, err)
			require.Equal(t, file.content[:c.stays], stored)
			uploads, entries := left(t, s)
			require.Zero(t, uploads+entries, "nothing is left over")
			again, err := s.Recover(t.Context(), "a/b.webm", "webm")
			require.NoError(t, err, "it may be done twice")
			require.False(t, again.Written.IsZero())
			again.Written = time.Time{}
			require.Equal(t, Recovered{Size: recovered.Size, Whole: true, Tag: recovered.Tag}, again)
		})
	}
}

func TestNothingStoredIsNothingRecovered(t *testing.T) {
	s, _, _ := bucket(t)
	_, err := s.Recover(t.Context(), "a/b.webm", "webm")
	require.ErrorIs(t, err, ErrNotFound)
}

// A finished file leaves nothing in the journal, and a file that was finished is not recovered.
func TestFinishedFileLeavesNothingInTheJournal(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "a/b.webm", "webm")
	for range 3 {
		file.grow(t, 3<<20)
		require.NoError(t, u.s3.keeper().write(t.Context()))
	}
	_, _, err := u.Finish(t.Context())
	require.NoError(t, err)
	uploads, entries := left(t, s)
	require.Zero(t, uploads+entries)
	recovered, err := s.Recover(t.Context(), "a/b.webm", "webm")
	require.NoError(t, err)
	require.True(t, recovered.Whole)
	require.EqualValues(t, 9<<20, recovered.Size)
}

// A recorder that is started again on the disk of a killed one finishes its uploads: nothing is missing.
func TestResumedUploadHasTheWholeFile(t *testing.T) {
	for name, size := range map[string]int{"less than a part": 3 << 20, "several parts": 13 << 20} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), "a/b.webm", "webm")
			file.grow(t, size)
			require.Eventually(t, func() bool {
				u.mu.Lock()
				defer u.mu.Unlock()
				return u.parts.bytes == int64(size/smallestPart*smallestPart)
			}, 20*time.Second, 10*time.Millisecond)
			require.NoError(t, u.s3.keeper().write(t.Context()))
			vanish(u)
			file.grow(t, 6<<20)
			file.patch(t) // by ffmpeg, whose input has ended
			resumed, err := s.Resume(t.Context(), file.Name(), "a/b.webm", "webm")
			require.NoError(t, err)
			finishesWhole(t, resumed, storage, file)
			uploads, entries := left(t, s)
			require.Zero(t, uploads+entries)
		})
	}
}

// A recorder that vanishes between storing a file and tidying up has lost nothing, and nothing is made of the
// leftovers.
func TestStoredFileIsNotReplacedByItsLeftovers(t *testing.T) {
	s, _, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "a/b.webm", "webm")
	file.grow(t, 1000)
	require.NoError(t, u.s3.keeper().write(t.Context()))
	file.grow(t, 1000)
	vanish(u)
	_, err := u.store(t.Context()) // and it does not come to tidy up
	require.NoError(t, err)
	require.NoError(t, (&multipart{object: u.parts.object, s3: s}).create(t.Context()))
	uploads, entries := left(t, s)
	require.Equal(t, 3, uploads+entries, "an upload, an entry and its mark")
	recovered, err := s.Recover(t.Context(), "a/b.webm", "webm")
	require.NoError(t, err)
	require.True(t, recovered.Whole)
	require.EqualValues(t, 2000, recovered.Size)
	content, err := os.ReadFile(storage.Path("dir/a/b.webm"))
	require.NoError(t, err)
	require.Equal(t, file.content, content)
	uploads, entries = left(t, s)
	require.Zero(t, uploads+entries)
}

// finishesWhole finishes an upload, and checks that all of its file is stored.
func finishesWhole(t *testing.T, u *Upload, storage *stack.Stack, file *recordingFile) {
	t.Helper()
	name, size, err := u.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a/b.webm", name)
	require.EqualValues(t, len(file.content), size)
	content, err := os.ReadFile(storage.Path("dir/a/b.webm"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(file.content, content))
	require.NoFileExists(t, file.Name())
	require.NoFileExists(t, notePath(file.Name()))
}

// An answer that gets lost does not make a stored file a lost one.
func TestCompletionWhoseAnswerIsLostCounts(t *testing.T) {
	s, _, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "a/b.webm", "webm")
	file.grow(t, 7<<20)
	vanish(u)
	require.NoError(t, u.do(t.Context(), u.advance))
	size, err := u.size()
	require.NoError(t, err)
	require.NoError(t, u.makeObject(t.Context(), size, condition{})) // and nobody hears of it
	finishesWhole(t, u, storage, file)
}

// Nor does one that comes too late, when the bucket is still at work on the completion.
func TestCompletionThatTakesLongCounts(t *testing.T) {
	s, requests, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "a/b.webm", "webm")
	file.grow(t, 7<<20)
	vanish(u)
	var late *http.Request
	requests.instead = func(r *http.Request) *http.Response {
		switch {
		case r.Method == http.MethodPost && r.URL.Query().Has("uploadId"):
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			late = r.Clone(t.Context())
			late.Body = io.NopCloser(bytes.NewReader(body))
			return answer(r, http.StatusServiceUnavailable) // given up
		case r.Method == http.MethodHead && late != nil:
			response, err := http.DefaultClient.Do(late) // it ends just behind the looking for the file
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.NoError(t, response.Body.Close())
			late = nil
			return answer(r, http.StatusNotFound)
		}
		return nil
	}
	finishesWhole(t, u, storage, file)
}

// Entries of which only the answer is lost go like the others.
func TestEntriesWhoseAnswerIsLostGo(t *testing.T) {
	s, requests, _ := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "a/b.webm", "webm")
	vanish(u)
	requests.instead = func(r *http.Request) *http.Response {
		if !isEntry(r) {
			return nil
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return answer(r, http.StatusServiceUnavailable)
	}
	file.grow(t, 1000)
	for range 2 {
		require.Error(t, u.s3.keeper().write(t.Context()))
	}
	_, entries := left(t, s)
	require.Equal(t, 3, entries, "a mark, and two entries with the same")

	_, _, err := u.Finish(t.Context())
	require.NoError(t, err)
	uploads, entries := left(t, s)
	require.Zero(t, uploads+entries)
}
