package upload

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/scratch"
)

// A file of any size that S3 can have is in parts of a size that it takes, the last one too.
func TestPartsHoldTheLargestObject(t *testing.T) {
	const largestPart, largestObject = int64(5) << 30, int64(5) << 40
	s, total := &S3{}, int64(0)
	for n := int32(1); n <= maximumPart; n++ {
		require.GreaterOrEqual(t, s.partSize(n), int64(smallestPart))
		require.LessOrEqual(t, s.partSize(n), largestPart)
		total += s.partSize(n)
	}
	require.GreaterOrEqual(t, total, largestObject)
}

// counter counts the requests that go to S3, and fails them on demand.
type counter struct {
	requests atomic.Int64
	bytes    atomic.Int64
	refuse   atomic.Bool
	// instead answers a request, if it wants to.
	instead func(*http.Request) *http.Response
}

func (c *counter) Do(r *http.Request) (*http.Response, error) {
	if c.refuse.Load() {
		return answer(r, http.StatusServiceUnavailable), nil
	}
	if c.instead != nil {
		if response := c.instead(r); response != nil {
			return response, nil
		}
	}
	c.requests.Add(1)
	c.bytes.Add(max(0, r.ContentLength))
	return http.DefaultClient.Do(r)
}

func answer(r *http.Request, status int) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: r}
}

func bucket(t *testing.T) (*S3, *counter, *stack.Stack) {
	t.Helper()
	tools, err := stack.Tools()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	storage, err := stack.StartStorage(ctx, stack.Options{Tools: tools, Work: t.TempDir(), BucketRoot: t.TempDir()})
	t.Cleanup(storage.Stop)
	require.NoError(t, err)
	count := &counter{}
	options := storage.S3Client().Options()
	options.HTTPClient = count
	options.RetryMaxAttempts = 1
	log := logrus.New()
	log.SetOutput(io.Discard)
	return &S3{
		Client:    s3.New(options),
		Bucket:    stack.Bucket,
		Directory: "dir",
		Disk:      scratch.OS{},
		Recorder:  "RR_a",
		PartSize:  smallestPart,
		Log:       log,
	}, count, storage
}

// recordingFile is a file that grows as ffmpeg's do.
type recordingFile struct {
	*os.File
	content []byte
}

func newFile(t *testing.T) *recordingFile {
	file, err := os.Create(filepath.Join(t.TempDir(), "part1.webm"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return &recordingFile{File: file}
}

func (f *recordingFile) grow(t *testing.T, n int) {
	t.Helper()
	more := make([]byte, n)
	_, err := rand.Read(more)
	require.NoError(t, err)
	_, err = f.Write(more)
	require.NoError(t, err)
	f.content = append(f.content, more...)
}

// patch changes the header, as ffmpeg does when it closes a file.
func (f *recordingFile) patch(t *testing.T) {
	t.Helper()
	_, err := f.WriteAt([]byte("duration"), 45)
	require.NoError(t, err)
	copy(f.content[45:], "duration")
}

func TestGrowingFileArrivesWholeWithItsPatchedHeader(t *testing.T) {
	for name, sizes := range map[string][]int{
		"a few bytes": {100}, "less than a part": {3 << 20}, "exactly a part": {smallestPart},
		"several parts": {2 << 20, 9 << 20, 7 << 20, 100}, "exactly two parts": {2 * smallestPart},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, storage := bucket(t)
			file := newFile(t)
			u := s.Begin(file.Name(), "a/b.webm", "webm")
			whole := 0
			for _, size := range sizes {
				file.grow(t, size)
				whole = len(file.content) / smallestPart * smallestPart
				require.Eventually(t, func() bool {
					u.mu.Lock()
					defer u.mu.Unlock()
					return u.parts.bytes == int64(whole)
				}, 20*time.Second, 10*time.Millisecond, "every whole part is uploaded while the file grows")
			}
			file.patch(t)
			name, size, err := u.Finish(t.Context())
			require.NoError(t, err)
			require.Equal(t, "a/b.webm", name)
			require.EqualValues(t, len(file.content), size)
			stored, err := os.ReadFile(storage.Path("dir/a/b.webm"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(file.content, stored))
			require.NoFileExists(t, file.Name())
		})
	}
}

// A long recording closes as quickly as a short one: part 1 again, the last one, and the completion.
func TestClosingCostsTheSameWhateverTheLength(t *testing.T) {
	s, count, _ := bucket(t)
	cost := func(parts int) (requests, bytes int64) {
		file := newFile(t)
		u := s.Begin(file.Name(), fmt.Sprintf("%d.webm", parts), "webm")
		for range parts {
			file.grow(t, smallestPart)
		}
		file.grow(t, 1000)
		require.Eventually(t, func() bool {
			u.mu.Lock()
			defer u.mu.Unlock()
			return len(u.parts.parts) == parts
		}, 30*time.Second, 10*time.Millisecond)
		file.patch(t)
		beforeRequests, beforeBytes := count.requests.Load(), count.bytes.Load()
		_, _, err := u.Finish(t.Context())
		require.NoError(t, err)
		return count.requests.Load() - beforeRequests, count.bytes.Load() - beforeBytes
	}
	shortRequests, shortBytes := cost(2)
	longRequests, longBytes := cost(20)
	require.Equal(t, shortRequests, longRequests)
	require.InDelta(t, shortBytes, longBytes, 10_000, "but for the list of parts")
}

func TestDiskSpaceOfUploadedPartsIsReleased(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "x.webm", "webm")
	file.grow(t, 8*smallestPart)
	require.Eventually(t, func() bool {
		return allocated(t, file.Name()) <= 2*smallestPart
	}, 20*time.Second, 10*time.Millisecond)
	_, _, err := u.Finish(t.Context())
	require.NoError(t, err)
}

func TestUploadCatchesUpAfterAnOutage(t *testing.T) {
	s, count, storage := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), "x.webm", "webm")
	file.grow(t, smallestPart+1)
	count.refuse.Store(true)
	file.grow(t, 2*smallestPart)
	_, _, err := u.Finish(t.Context())
	require.Error(t, err)
	require.FileExists(t, file.Name(), "nothing is lost")
	count.refuse.Store(false)
	_, _, err = u.Finish(t.Context())
	require.NoError(t, err)
	stored, err := os.ReadFile(storage.Path("dir/x.webm"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(file.content, stored))
}

func TestMain(m *testing.M) {
	// The HTTP clients of the tests keep idle connections.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}
