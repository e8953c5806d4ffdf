package ledger

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// silentStore is a bucket at whose address connections are taken, and nothing is ever answered.
func silentStore(t *testing.T) *S3Store {
	t.Helper()
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		return near, nil
	}
	client := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) { tr.DialContext = dial })
	return NewS3Store(s3.New(s3.Options{
		Region:       "somewhere",
		BaseEndpoint: aws.String("http://bucket.invalid"),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:   client,
	}), "bucket", "")
}

// Nobody may wait for ever for a bucket that says nothing: a recording would not hear that it has been stopped.
func TestCallsThatAreNotAnsweredAreGivenUp(t *testing.T) {
	for name, call := range map[string]func(context.Context, *S3Store) error{
		"get":  func(ctx context.Context, s *S3Store) error { _, _, err := s.Get(ctx, "x"); return err },
		"put":  func(ctx context.Context, s *S3Store) error { _, err := s.Put(ctx, "x", []byte("1"), ""); return err },
		"list": func(ctx context.Context, s *S3Store) error { _, err := s.List(ctx, "x", "", 1); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				require.Error(t, call(t.Context(), silentStore(t)))
				require.LessOrEqual(t, time.Since(began), callTimeout)
				require.Greater(t, time.Since(began), attemptTimeout, "it was tried again")
			})
		})
	}
}
