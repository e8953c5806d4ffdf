package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/scratch"
)

func isMark(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/"+markDirectory)
}

func isEntry(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/"+journalDirectory+"RR_")
}

// A mark that is refused is put again: without it nobody finds what the journal has.
func TestMarkThatIsRefusedIsPutAgain(t *testing.T) {
	s, requests, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 1000)
	requests.instead = func(r *http.Request) *http.Response {
		if isMark(r) {
			return answer(r, http.StatusServiceUnavailable)
		}
		return nil
	}
	require.Error(t, s.keeper().write(t.Context()))
	requests.instead = nil
	for range 5 {
		file.grow(t, 1000)
		require.NoError(t, s.keeper().write(t.Context()))
	}

	names, err := s.Begun(t.Context(), strings.TrimSuffix(testName, ".webm"))
	require.NoError(t, err)
	require.NotEmpty(t, names, "whoever takes over finds the file")
	_, err = s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
}

// Nor is anything removed by whoever recovers another file, that has not been written yet for want of a mark.
func TestWhatHadNoMarkIsWrittenWithOne(t *testing.T) {
	s, requests, _ := bucket(t)
	f1, f2 := newFile(t), newFile(t)
	u1 := s.Begin(f1.Name(), fileName(1), "webm")
	vanish(u1)
	f1.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	u2 := s.Begin(f2.Name(), fileName(2), "webm")
	vanish(u2)
	f2.grow(t, 1000)
	f1.grow(t, 1000)
	requests.instead = func(r *http.Request) *http.Response {
		if isMark(r) {
			return answer(r, http.StatusServiceUnavailable)
		}
		return nil
	}
	require.Error(t, s.keeper().write(t.Context()))
	requests.instead = nil
	require.NoError(t, s.keeper().write(t.Context()))
	_, err := s.Recover(t.Context(), fileName(1), "webm")
	require.NoError(t, err)
	_, err = s.Recover(t.Context(), fileName(2), "webm")
	require.NoError(t, err, "the bytes were in the bucket")
}

// What keeps one file out of an entry does not keep the others out.
func TestMarkThatIsRefusedCostsItsFileOnly(t *testing.T) {
	s, requests, _ := bucket(t)
	f1, f2 := newFile(t), newFile(t)
	u1 := s.Begin(f1.Name(), fileName(1), "webm")
	vanish(u1)
	f1.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	u2 := s.Begin(f2.Name(), fileName(2), "webm")
	vanish(u2)
	f2.grow(t, 1000)
	f1.grow(t, 1000)
	requests.instead = func(r *http.Request) *http.Response {
		if isMark(r) {
			return answer(r, http.StatusForbidden)
		}
		return nil
	}
	require.Error(t, s.keeper().write(t.Context()))
	require.Equal(t, [][2]int64{{0, 1000}, {1000, 2000}}, written(t, s, fileName(1)))
}

// failing is a file on a disk that fails.
type failing struct{ scratch.File }

func (f failing) Size() (int64, error)              { return 1000, nil }
func (f failing) ReadAt([]byte, int64) (int, error) { return 0, errors.New("EIO") }

func TestFileThatCannotBeReadCostsItselfOnly(t *testing.T) {
	s, _, _ := bucket(t)
	f1, f2 := newFile(t), newFile(t)
	u1 := s.Begin(f1.Name(), fileName(1), "webm")
	u2 := s.Begin(f2.Name(), fileName(2), "webm")
	vanish(u1)
	vanish(u2)
	f1.grow(t, 1000)
	f2.grow(t, 1000)
	j := s.keeper()
	_ = j.news()
	for f := range j.known() {
		if f.name == fileName(2) {
			_ = f.file.Close()
			f.file = failing{f.file}
		}
	}
	require.ErrorContains(t, j.write(t.Context()), "EIO")
	require.Equal(t, [][2]int64{{0, 1000}}, written(t, s, fileName(1)))
}

// An entry that is not answered is given up after some seconds: nobody waits for it for long.
func TestEntryWithoutAnAnswerHoldsNobodyUpForLong(t *testing.T) {
	s, requests, _ := bucket(t)
	f1, f2 := newFile(t), newFile(t)
	hung := make(chan struct{})
	release := make(chan struct{})
	once := make(chan struct{}, 1)
	requests.instead = func(r *http.Request) *http.Response {
		if isEntry(r) {
			select {
			case once <- struct{}{}:
				close(hung)
			default:
			}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return nil
	}
	u1 := s.Begin(f1.Name(), fileName(1), "webm")
	u2 := s.Begin(f2.Name(), fileName(2), "webm")
	f1.grow(t, 1000)
	f2.grow(t, 1000)
	<-hung
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	_, _, err := u1.Finish(ctx)
	cancel()
	close(release)
	u2.Leave()
	u1.Leave()
	require.NoError(t, err)
}

// An empty object among the entries, as consoles and sync programs make for directories, is none.
func TestEmptyObjectIsNoEntry(t *testing.T) {
	for _, key := range []string{"empty", "000000500"} {
		s, _, storage := bucket(t)
		file := newFile(t)
		u := s.Begin(file.Name(), testName, "webm")
		vanish(u)
		file.grow(t, 1000)
		require.NoError(t, s.keeper().write(t.Context()))
		body := strings.NewReader("")
		require.NoError(t, s.put(t.Context(), object{key: s.entryPrefix(s.Recorder) + key}, condition{}, body, 0))
		_, err := s.Recover(t.Context(), testName, "webm")
		require.NoError(t, err)
		require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
	}
}

// Numbers that cannot be true are of no entry of ours.
func TestIndexThatCannotBeTrueIsLeftOut(t *testing.T) {
	for _, index := range []string{
		`[{"file":"FILE","start":0,"length":9000000000000000000}]`,
		`[{"file":"x","start":0,"length":-50},{"file":"FILE","start":0,"length":2000}]`,
		`[{"file":"x","start":0,"length":9223372036854775807},{"file":"FILE","start":0,"length":5000}]`,
		`[{"file":"FILE","start":-5,"length":5000}]`,
		`[{"file":"FILE","start":0,"length":5000}]`, // longer than the object
	} {
		t.Run(index, func(t *testing.T) {
			s, _, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), testName, "webm")
			vanish(u)
			file.grow(t, 1000)
			require.NoError(t, s.keeper().write(t.Context()))
			index = strings.ReplaceAll(index, "FILE", testName)
			body := strings.NewReader(fmt.Sprintf("\x00\x00\x00%c%sabc", byte(len(index)), index))
			require.NoError(t, s.put(t.Context(), object{key: s.entryKey(0)}, condition{}, body, body.Size()))
			_, err := s.Recover(t.Context(), testName, "webm")
			require.NoError(t, err)
			require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
		})
	}
}

// An index that would take a lot of memory is not read.
func TestIndexIsBounded(t *testing.T) {
	s, requests, _ := bucket(t)
	body := strings.NewReader("\x7f\xff\xff\xff" + strings.Repeat("x", 3<<20))
	require.NoError(t, s.put(t.Context(), object{key: s.entryKey(1)}, condition{}, body, body.Size()))
	requests.instead = func(r *http.Request) *http.Response {
		require.Equal(t, fmt.Sprintf("bytes=0-%d", headSize-1), r.Header.Get("Range"))
		return nil
	}
	_, err := s.readIndex(t.Context(), listed{key: s.entryKey(1), size: body.Size()})
	require.ErrorIs(t, err, errNoIndex)
}

// An upload is thrown away, by somebody or by the bucket's rules, after its parts had taken the place of entries, and
// then parts are refused: the journal has everything again.
func TestUploadThatIsThrownAwayIsWrittenAgain(t *testing.T) {
	s, requests, _ := bucket(t)
	s.PartSize = 5 << 20
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	for range 55 {
		file.grow(t, 100<<10)
		require.NoError(t, s.keeper().write(t.Context()))
	}
	require.NoError(t, u.do(t.Context(), u.grow))
	require.Positive(t, u.parts.bytes)
	file.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context())) // removes what is in part 1
	require.NoError(t, s.abortAll(t.Context(), u.parts.key))
	requests.instead = func(r *http.Request) *http.Response {
		if r.URL.Query().Has("uploads") && r.Method == http.MethodPost {
			return answer(r, http.StatusServiceUnavailable)
		}
		return nil
	}
	for range 6 {
		file.grow(t, 2<<20)
		_ = u.do(t.Context(), u.grow) // it is refused, or left alone for a while
		require.NoError(t, s.keeper().write(t.Context()))
	}
	requests.instead = nil
	r, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.EqualValues(t, len(file.content), r.Size)
}

// A file that hardly grows does not keep everybody else's bytes in the bucket.
func TestQuietFileKeepsNobodysBytes(t *testing.T) {
	s, _, storage := bucket(t)
	loud, quiet := newFile(t), newFile(t)
	u1, u2 := s.Begin(loud.Name(), fileName(1), "webm"), s.Begin(quiet.Name(), fileName(2), "webm")
	vanish(u1)
	vanish(u2)
	for range 70 {
		loud.grow(t, 2<<20)
		quiet.grow(t, 10)
		require.NoError(t, s.keeper().write(t.Context()))
		require.NoError(t, u1.do(t.Context(), u1.grow))
	}

	var total int64
	for _, e := range s.keeper().entries {
		total += e.size
	}
	waiting := int64(removeTogether * 2 << 20)
	require.Less(t, total, mostSpare+mostNeeded*smallestPart+waiting, "those that wait to be removed, too")
	_, err := s.Recover(t.Context(), fileName(2), "webm")
	require.NoError(t, err)
	require.True(t, bytes.Equal(quiet.content, content(t, storage, fileName(2))))
}
