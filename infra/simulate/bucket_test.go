package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/stack"
)

// storage is a bucket under test, and how large its parts must be.
type storage struct {
	*s3.Client
	bucket string
	part   int
}

// newSimulated is the simulated bucket behind the real SDK.
func newSimulated(t *testing.T) storage {
	t.Helper()
	b := newBucket(bucketName, minimumPart)
	p := newProcess("RR_test", "host0", make(chan struct{}))
	way := &client{network: &network{dice: newDice(1)}, process: p, service: S3, handler: b}
	return storage{s3Client(way), bucketName, minimumPart}
}

// newReal is the S3 that the end-to-end tests use.
func newReal(t *testing.T) storage {
	t.Helper()
	tools, err := filepath.Abs("../../.tools/bin")
	require.NoError(t, err)
	if found, _ := filepath.Glob(filepath.Join(tools, "versitygw")); len(found) == 0 {
		t.Skip("the tools have not been built: infra/tools.sh system")
	}
	work := t.TempDir()
	s, err := stack.StartStorage(t.Context(), stack.Options{Tools: tools, Work: work,
		BucketRoot: filepath.Join(work, "buckets")})
	t.Cleanup(s.Stop)
	require.NoError(t, err)
	return storage{s.S3Client(), stack.Bucket, 5 << 20}
}

// TestBucketBehavesAsARealOne has the same calls answered by the simulated bucket and by a real server.
func TestBucketBehavesAsARealOne(t *testing.T) {
	for name, open := range map[string]func(*testing.T) storage{"simulated": newSimulated, "real": newReal} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Run("objects", s.testObjects)
			t.Run("conditions", s.testConditions)
			t.Run("lists", s.testLists)
			t.Run("multipart", s.testMultipart)
			t.Run("broken multipart", s.testBrokenMultipart)
			t.Run("metadata", s.testMetadata)
		})
	}
}

func requireCode(t *testing.T, err error, status int, codes ...string) {
	t.Helper()
	var response *smithyhttp.ResponseError
	require.ErrorAs(t, err, &response)
	require.Equal(t, status, response.HTTPStatusCode())
	var api smithy.APIError
	if len(codes) > 0 {
		require.True(t, errors.As(err, &api))
		require.Contains(t, codes, api.ErrorCode())
	}
}

func (s storage) put(t *testing.T, key, body string) string {
	t.Helper()
	out, err := s.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: strings.NewReader(body)})
	require.NoError(t, err)
	return aws.ToString(out.ETag)
}

func (s storage) get(t *testing.T, key, span string) (body, tag string) {
	t.Helper()
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: &key}
	if span != "" {
		in.Range = &span
	}
	out, err := s.GetObject(t.Context(), in)
	require.NoError(t, err)
	defer out.Body.Close()
	all, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	require.Equal(t, int64(len(all)), aws.ToInt64(out.ContentLength))
	return string(all), aws.ToString(out.ETag)
}

func (s storage) testObjects(t *testing.T) {
	key := "o/a b+ö%.json"
	tag := s.put(t, key, "hello world")
	body, found := s.get(t, key, "")
	require.Equal(t, "hello world", body)
	require.Equal(t, tag, found)
	body, _ = s.get(t, key, "bytes=6-")
	require.Equal(t, "world", body)
	body, _ = s.get(t, key, "bytes=2-3")
	require.Equal(t, "ll", body)
	_, err := s.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, Range: aws.String("bytes=99-")})
	requireCode(t, err, http.StatusRequestedRangeNotSatisfiable)

	head, err := s.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	require.NoError(t, err)
	require.Equal(t, int64(11), aws.ToInt64(head.ContentLength))
	require.Equal(t, tag, aws.ToString(head.ETag))

	_, err = s.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{
		Quiet: aws.Bool(true), Objects: []types.ObjectIdentifier{{Key: &key}, {Key: aws.String("o/none")}},
	}})
	require.NoError(t, err)
	var missing *types.NotFound
	_, err = s.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	require.ErrorAs(t, err, &missing)
	var noKey *types.NoSuchKey
	_, err = s.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	require.ErrorAs(t, err, &noKey)
	_, err = s.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("o/none")})
	require.NoError(t, err, "deleting what is not there is no error")
}

func (s storage) testConditions(t *testing.T) {
	put := func(key, body string, change func(*s3.PutObjectInput)) error {
		in := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: strings.NewReader(body)}
		change(in)
		_, err := s.PutObject(t.Context(), in)
		return err
	}
	create := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	require.NoError(t, put("c/x", "1", create))
	requireCode(t, put("c/x", "2", create), http.StatusPreconditionFailed, "PreconditionFailed")

	_, tag := s.get(t, "c/x", "")
	replace := func(in *s3.PutObjectInput) { in.IfMatch = &tag }
	require.NoError(t, put("c/x", "3", replace))
	requireCode(t, put("c/x", "4", replace), http.StatusPreconditionFailed, "PreconditionFailed")
	requireCode(t, put("c/none", "5", replace), http.StatusNotFound, "NoSuchKey")
	body, _ := s.get(t, "c/x", "")
	require.Equal(t, "3", body)
}

func (s storage) testLists(t *testing.T) {
	for n := range 5 {
		s.put(t, fmt.Sprintf("l/%d", n), "x")
	}
	s.put(t, "l/sub/1", "x")
	s.put(t, "l/sub/2", "x")
	var keys []string
	pages := s3.NewListObjectsV2Paginator(s.Client, &s3.ListObjectsV2Input{
		Bucket: &s.bucket, Prefix: aws.String("l/"), MaxKeys: aws.Int32(2),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, o := range page.Contents {
			require.Equal(t, int64(1), aws.ToInt64(o.Size))
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	require.Equal(t, []string{"l/0", "l/1", "l/2", "l/3", "l/4", "l/sub/1", "l/sub/2"}, keys)

	out, err := s.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: &s.bucket, Prefix: aws.String("l/"), Delimiter: aws.String("/"),
	})
	require.NoError(t, err)
	require.Len(t, out.Contents, 5)
	require.Len(t, out.CommonPrefixes, 1)
	require.Equal(t, "l/sub/", aws.ToString(out.CommonPrefixes[0].Prefix))
}

func (s storage) begin(t *testing.T, key string) *string {
	t.Helper()
	out, err := s.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &key})
	require.NoError(t, err)
	return out.UploadId
}

func (s storage) putPart(t *testing.T, key string, id *string, n int32, body []byte) types.CompletedPart {
	t.Helper()
	out, err := s.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &s.bucket, Key: &key, UploadId: id, PartNumber: &n, Body: bytes.NewReader(body),
	})
	require.NoError(t, err)
	return types.CompletedPart{PartNumber: &n, ETag: out.ETag}
}

func (s storage) complete(t *testing.T, key string, id *string, change func(*s3.CompleteMultipartUploadInput),
	parts ...types.CompletedPart) error {
	t.Helper()
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: &key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if change != nil {
		change(in)
	}
	_, err := s.CompleteMultipartUpload(t.Context(), in)
	return err
}
