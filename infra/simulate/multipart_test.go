package simulate

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"
)

func (s storage) testMultipart(t *testing.T) {
	first, second := bytes.Repeat([]byte("1"), s.part), bytes.Repeat([]byte("2"), s.part)
	id := s.begin(t, "m/x")
	s.putPart(t, "m/x", id, 1, second)
	one := s.putPart(t, "m/x", id, 1, first) // again, as the end of every recording does
	two := s.putPart(t, "m/x", id, 2, second)
	three := s.putPart(t, "m/x", id, 3, []byte("end"))

	listed, err := s.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &s.bucket, Key: aws.String("m/x"), UploadId: id})
	require.NoError(t, err)
	require.Len(t, listed.Parts, 3)
	require.Equal(t, int64(s.part), aws.ToInt64(listed.Parts[0].Size))
	uploads, err := s.ListMultipartUploads(t.Context(),
		&s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: aws.String("m/x")})
	require.NoError(t, err)
	require.Len(t, uploads.Uploads, 1)
	require.Equal(t, aws.ToString(id), aws.ToString(uploads.Uploads[0].UploadId))

	require.NoError(t, s.complete(t, "m/x", id, nil, one, two, three))
	body, tag := s.get(t, "m/x", "")
	require.Equal(t, string(first)+string(second)+"end", body)
	require.Contains(t, tag, "-3")
	_, err = s.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &s.bucket, Key: aws.String("m/x"), UploadId: id})
	requireCode(t, err, http.StatusNotFound, "NoSuchUpload")

	again := s.begin(t, "m/y")
	n := int32(1)
	copied, err := s.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
		Bucket: &s.bucket, Key: aws.String("m/y"), UploadId: again, PartNumber: &n,
		CopySource: aws.String(s.bucket + "/m/x"), CopySourceRange: aws.String("bytes=2-9"),
	})
	require.NoError(t, err)
	require.NoError(t, s.complete(t, "m/y", again, nil,
		types.CompletedPart{PartNumber: &n, ETag: copied.CopyPartResult.ETag}))
	body, _ = s.get(t, "m/y", "")
	require.Equal(t, "11111111", body)
}

func (s storage) testBrokenMultipart(t *testing.T) {
	s.put(t, "b/x", "there already")
	id := s.begin(t, "b/x")
	small := s.putPart(t, "b/x", id, 1, []byte("small"))
	last := s.putPart(t, "b/x", id, 2, []byte("last"))
	other := types.CompletedPart{PartNumber: aws.Int32(1), ETag: last.ETag}
	requireCode(t, s.complete(t, "b/x", id, nil, other), http.StatusBadRequest, "InvalidPart")
	large := s.putPart(t, "b/x", id, 3, bytes.Repeat([]byte("3"), s.part))
	requireCode(t, s.complete(t, "b/x", id, nil, large, small), http.StatusBadRequest, "InvalidPartOrder")
	requireCode(t, s.complete(t, "b/x", id, nil, small, last), http.StatusBadRequest, "EntityTooSmall")

	create := func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }
	requireCode(t, s.complete(t, "b/x", id, create, small), http.StatusPreconditionFailed, "PreconditionFailed")
	_, tag := s.get(t, "b/x", "")
	outdated := func(in *s3.CompleteMultipartUploadInput) {
		in.IfMatch = aws.String(`"0123456789abcdef0123456789abcdef"`)
	}
	requireCode(t, s.complete(t, "b/x", id, outdated, small), http.StatusPreconditionFailed, "PreconditionFailed")
	current := func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = &tag }
	require.NoError(t, s.complete(t, "b/x", id, current, small))

	id = s.begin(t, "b/y")
	_, err := s.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &s.bucket,
		Key: aws.String("b/y"), UploadId: id})
	require.NoError(t, err)
	_, err = s.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &s.bucket, Key: aws.String("b/y"), UploadId: id, PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte("x")),
	})
	requireCode(t, err, http.StatusNotFound, "NoSuchUpload")
	requireCode(t, s.complete(t, "b/y", id, nil, small), http.StatusNotFound, "NoSuchUpload")
}

// What is said of an object tells a repaired file from what a recorder has written.
func (s storage) testMetadata(t *testing.T) {
	said := map[string]string{"source": "tag", "source-bytes": "7"}
	_, err := s.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket:   &s.bucket,
		Key:      aws.String("d/put"),
		Metadata: said,
		Body:     bytes.NewReader([]byte("x")),
	})
	require.NoError(t, err)
	begun, err := s.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket:   &s.bucket,
		Key:      aws.String("d/parts"),
		Metadata: said,
	})
	require.NoError(t, err)
	one := s.putPart(t, "d/parts", begun.UploadId, 1, []byte("x"))
	require.NoError(t, s.complete(t, "d/parts", begun.UploadId, nil, one))

	for _, key := range []string{"d/put", "d/parts"} {
		head, err := s.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
		require.NoError(t, err)
		require.Equal(t, said, head.Metadata, key)
	}
	s.put(t, "d/put", "y")
	head, err := s.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String("d/put")})
	require.NoError(t, err)
	require.Empty(t, head.Metadata, "of another object nothing was said")
}
