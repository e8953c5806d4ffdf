package upload

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// After an outage the parts carry what has piled up: only what fills none is put as a tail object, in bounded ones.
func TestBacklogIsNotPutTwice(t *testing.T) {
	s, count, _ := bucket(t)
	s.MinimumPart = 1000
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 7300)
	require.NoError(t, u.do(t.Context(), u.putTail))
	require.Equal(t, []chunk{{key: s.tailPrefix(testName) + "000000000007000", start: 7000, end: 7300}}, u.tails.stored)
	require.Less(t, count.bytes.Load(), int64(600), "and what the transfer adds")

	for range maximumPart - 1 {
		u.parts.add(u.next(), nil, 0) // no more parts: now it is for tails alone
	}
	file.grow(t, 4500)
	require.NoError(t, u.do(t.Context(), u.putTail))
	for _, c := range u.tails.stored {
		require.LessOrEqual(t, c.end-c.start, s.block())
	}
	require.EqualValues(t, 11_800, u.tails.stored[len(u.tails.stored)-1].end)
}

// A bucket that refuses parts, and takes tail objects: should the machine go down, nothing is missing before them.
func TestTailsBeginWherePartsAreRefused(t *testing.T) {
	s, requests, storage := bucket(t)
	s.MinimumPart = 1000
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	requests.instead = func(r *http.Request) *http.Response {
		if r.URL.Query().Has("uploads") {
			return answer(r, http.StatusServiceUnavailable)
		}
		return nil
	}
	file.grow(t, 1200)
	require.NoError(t, u.do(t.Context(), u.putTail), "of the end alone: the part has not been tried yet")
	require.Error(t, u.do(t.Context(), u.grow))
	file.grow(t, 3300)
	require.NoError(t, u.do(t.Context(), u.putTail))

	requests.instead = nil
	s.MinimumPart = 0 // the real bucket's
	recovered, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.EqualValues(t, 4500, recovered.Size)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
}

// The answers to all that began the file got lost, and then the machine: what follows is of no use, and must not be
// waited for.
func TestTailsThatFollowNothingAreNothing(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	file.grow(t, 3000)
	u := s.newUpload(file.Name(), testName, "webm")
	_, err := u.size()
	require.NoError(t, err)
	require.NoError(t, u.putChunk(t.Context(), 1000, 3000))

	_, err = s.Recover(t.Context(), testName, "webm")
	require.ErrorIs(t, err, ErrNotFound)
	uploads, tails := left(t, s)
	require.Zero(t, uploads+tails)
}

// Parts were refused for long, and tail objects were not: they become a file in pieces that fit into memory.
func TestManyTailsAreJoinedInBlocks(t *testing.T) {
	s, _, storage := bucket(t)
	file := newFile(t)
	file.grow(t, 23<<20)
	u := s.newUpload(file.Name(), testName, "webm")
	_, err := u.size()
	require.NoError(t, err)
	for start := int64(0); start < 23<<20; start += 4 << 20 {
		require.NoError(t, u.putChunk(t.Context(), start, min(start+4<<20, 23<<20)))
	}

	recovered, err := s.Recover(t.Context(), testName, "webm")
	require.NoError(t, err)
	require.EqualValues(t, 23<<20, recovered.Size)
	require.True(t, bytes.Equal(file.content, content(t, storage, testName)))
	uploads, tails := left(t, s)
	require.Zero(t, uploads+tails)
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
	_, _, err := s.Begin(file.Name(), testName, "webm").Finish(t.Context())
	require.ErrorIs(t, err, ErrEmpty)
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
