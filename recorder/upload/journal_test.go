package upload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// written is what the bucket has of a file in journals.
func written(t *testing.T, s *S3, name string) (ranges [][2]int64) {
	t.Helper()
	b, err := s.journaled(t.Context(), name)
	require.NoError(t, err)
	for _, c := range b.chunks {
		ranges = append(ranges, [2]int64{c.start, c.end})
	}
	return ranges
}

// After an outage the parts carry what has piled up: only what fills none is written.
func TestBacklogIsNotWrittenTwice(t *testing.T) {
	s, count, _ := bucket(t)
	s.PartSize = 1000
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 7300)
	require.NoError(t, u.s3.keeper().write(t.Context()))
	require.Equal(t, [][2]int64{{7000, 7300}}, written(t, s, testName))
	require.Less(t, count.bytes.Load(), int64(900), "and what the transfer adds")

	file.grow(t, 500)
	require.NoError(t, u.s3.keeper().write(t.Context()))
	require.Equal(t, [][2]int64{{7000, 7300}, {7300, 7800}}, written(t, s, testName))
}

// A bucket that refuses parts, and takes entries: should the machine go down, nothing is missing before them.
func TestJournalBeginsWherePartsAreRefused(t *testing.T) {
	s, requests, storage := bucket(t)
	s.PartSize = 1000
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	requests.instead = func(r *http.Request) *http.Response {
		if r.URL.Query().Has("uploads") {
			return answer(r, http.StatusServiceUnavailable)
		}
		return nil
	}
	file.grow(t, 1000)
	for n := range enoughRefusals {
		file.grow(t, 100)
		require.NoError(t, u.s3.keeper().write(t.Context()), "of the end alone: the part may come yet")
		require.EqualValues(t, 1000, written(t, s, testName)[0][0], n)
		require.Error(t, u.do(t.Context(), u.grow))
		require.Error(t, u.do(t.Context(), u.grow), "which does not count twice")
	}
	file.grow(t, 3300)
	require.NoError(t, u.s3.keeper().write(t.Context()))

	requests.instead = nil
	recovered, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.EqualValues(t, len(file.content), recovered.Size)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
}

// The answers to all that began the file got lost, and then the machine: what follows is of no use, and must not be
// waited for.
func TestWhatFollowsNothingIsNothing(t *testing.T) {
	s, _, _ := bucket(t)
	s.PartSize = 1000
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 3300)
	require.NoError(t, s.keeper().write(t.Context()))

	_, err := s.Recover(t.Context(), testName, "webm")
	require.ErrorIs(t, err, ErrNotFound)
	uploads, entries := left(t, s)
	require.Zero(t, uploads+entries)
}

// Parts were refused for long, and entries were not: they become a file in pieces that fit into memory.
func TestManyEntriesAreJoinedInBlocks(t *testing.T) {
	s, _, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	for range 6 {
		file.grow(t, 4<<20)
		require.NoError(t, s.keeper().write(t.Context()))
	}

	recovered, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.EqualValues(t, 24<<20, recovered.Size)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
	uploads, entries := left(t, s)
	require.Zero(t, uploads+entries)
}

// One entry has the bytes of all files of a recorder, and goes when nobody needs it any more: neither the files that it
// lives on with, nor whoever recovers what it has left.
func TestFilesShareTheJournal(t *testing.T) {
	s, count, storage := bucket(t)
	const files = 20
	var uploads []*Upload
	var all []*recordingFile
	for n := range files {
		file := newFile(t)
		file.grow(t, 1000+n)
		all = append(all, file)
		uploads = append(uploads, s.Begin(file.Name(), fileName(n), "webm"))
		vanish(uploads[n])
	}
	require.NoError(t, s.keeper().write(t.Context()))
	for _, file := range all {
		file.grow(t, 500)
	}
	before := count.requests.Load()
	require.NoError(t, s.keeper().write(t.Context()))
	require.EqualValues(t, 1, count.requests.Load()-before)

	for n := range files / 2 {
		_, _, err := uploads[n].Finish(t.Context())
		require.NoError(t, err)
		require.True(t, bytes.Equal(all[n].content, content(t, storage, fileName(n))))
	}
	_, entries := left(t, s)
	require.Equal(t, 2+files/2, entries, "two entries, and marks")

	// Then the machine is gone. Two others recover what it has left, at the same time.
	var recovering errgroup.Group
	for n := files / 2; n < files; n++ {
		other := &S3{
			Client:    s.Client,
			Bucket:    s.Bucket,
			Directory: s.Directory,
			Disk:      s.Disk,
			Recorder:  fmt.Sprint("RR_", n%2),
			Log:       s.Log,
		}
		recovering.Go(func() error {
			_, err := other.Recover(t.Context(), fileName(n), "webm")
			return err
		})
	}
	require.NoError(t, recovering.Wait())
	for n := files / 2; n < files; n++ {
		require.True(t, bytes.Equal(all[n].content, content(t, storage, fileName(n))), n)
	}
	_, entries = left(t, s)
	require.Zero(t, entries)
}

func fileName(n int) string { return fmt.Sprintf("a/b%d.webm", n) }

// What has piled up for many files goes into several entries, each of which can be read by itself.
func TestLargeEntriesAreDivided(t *testing.T) {
	a, b, c := &journaled{name: "a"}, &journaled{name: "b"}, &journaled{name: "c"}
	var entries [][]extract
	for rest := []extract{{a, 0, 700}, {b, 100, 300}, {c, 50, 2500}}; len(rest) > 0; {
		var now []extract
		now, rest = divide(rest, 1000)
		entries = append(entries, now)
	}
	require.Equal(t, [][]extract{
		{{a, 0, 700}, {b, 100, 300}, {c, 50, 150}},
		{{c, 150, 1150}},
		{{c, 1150, 2150}},
		{{c, 2150, 2500}},
	}, entries)
}

// An entry is read as it was put together, from any offset.
func TestSectionsAreReadAsOne(t *testing.T) {
	text := "the first, and what follows it"
	whole := joined{
		{strings.NewReader(text), 0, 10, nil},
		{strings.NewReader(text), 10, 0, nil},
		{strings.NewReader(text), 10, 1, nil},
		{strings.NewReader(text), 11, int64(len(text)) - 11, nil},
	}
	require.NoError(t, iotest.TestReader(io.NewSectionReader(whole, 0, whole.size()), []byte(text)))
}

// Something else under the journal's names does not keep a recording from being recovered.
func TestEntriesThatCannotBeUnderstoodAreLeftOut(t *testing.T) {
	s, _, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	for n, garbage := range []string{"\x00", "garbage", "\x00\x00\x00\x02{}", "\x00\x00\x00\x05[{\"F"} {
		o := object{key: s.entryKey(100 + n)}
		body := strings.NewReader(garbage)
		require.NoError(t, s.put(t.Context(), o, condition{}, body, body.Size()))
	}

	_, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
	_, entries := left(t, s)
	require.Zero(t, entries)
}

// The journal has many files: its index is longer than what is read of an entry at first.
func TestLongIndexesAreRead(t *testing.T) {
	s, _, _ := bucket(t)
	var uploads []*Upload
	for n := range 300 {
		file := newFile(t)
		file.grow(t, 10)
		uploads = append(uploads, s.Begin(file.Name(), fileName(n), "webm"))
		vanish(uploads[n])
	}
	require.NoError(t, s.keeper().write(t.Context()))
	require.Equal(t, [][2]int64{{0, 10}}, written(t, s, fileName(299)))
}

// The recorder was killed just behind beginning its upload.
func TestUploadWithoutPartsIsNothing(t *testing.T) {
	s, _, _ := bucket(t)
	m := multipart{object: s.object(testName, "webm"), s3: s}
	require.NoError(t, m.create(t.Context()))
	_, err := s.Recover(t.Context(), testName, "webm")
	require.ErrorIs(t, err, ErrNotFound)
	uploads, _ := left(t, s)
	require.Zero(t, uploads)
}

func TestEmptyFileIsAnError(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	_, _, err := u.Finish(t.Context())
	require.ErrorIs(t, err, ErrEmpty)
	u.Leave()
	require.FileExists(t, file.Name())
}

// The end of a file was uploaded, and then the recorder was killed: it is smaller than others may follow.
func TestShortLastPartIsUploadedAgain(t *testing.T) {
	s, _, storage := bucket(t)
	u, file := killed(t, s)
	require.NoError(t, u.do(t.Context(), func(ctx context.Context) error { return u.uploadNext(ctx, 1000) }))
	file.grow(t, 6<<20)

	resumed, err := s.Resume(t.Context(), file.Name(), testName, "webm")
	require.NoError(t, err)
	finishesWhole(t, resumed, storage, file)
}
