package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"livekit-recorder/infra/local/price"
	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/sqs"
)

func (s *Stack) startSQS(ctx context.Context) error {
	queues := sqs.New(s.SQS)
	if err := s.serve(s.SQSPort, s.counting(price.OfSQS, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		disturbed := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.disturb(queues, w, r) }))
		if s.audit != nil {
			disturbed = s.audit.sqs(disturbed)
		}
		disturbed.ServeHTTP(w, r)
	}))); err != nil {
		return fmt.Errorf("start SQS stand-in: %w", err)
	}
	return s.deploy(ctx)
}

func (s *Stack) startS3(ctx context.Context) error {
	// The posix backend's buckets are directories.
	if err := os.MkdirAll(filepath.Join(s.BucketRoot, Bucket), 0o755); err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	if err := choose(&s.s3Port); err != nil {
		return err
	}

	var err error
	var saw func(*http.Request)
	if s.Requests != nil || s.audit != nil {
		saw = s.sawS3
	}
	s.s3Gate, err = relay.StartGate(fmt.Sprintf("127.0.0.1:%d", s.S3Port), fmt.Sprintf("127.0.0.1:%d", s.s3Port), saw)
	if err != nil {
		return err
	}
	return s.runS3(ctx)
}

func (s *Stack) runS3(ctx context.Context) (err error) {
	s.s3, err = s.launch("versitygw", nil, []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
		filepath.Join(s.Tools, "versitygw"), "--port", fmt.Sprintf("127.0.0.1:%d", s.s3Port), "--region", region,
		"--health", "/health", "--quiet", "--keep-alive", "posix", s.BucketRoot)
	if err != nil {
		return err
	}
	return s.awaitHTTP(ctx, s.S3+"/health")
}

// sawS3 is told of each request to S3.
func (s *Stack) sawS3(r *http.Request) {
	if s.Requests != nil {
		s.Requests.Count(price.OfS3(r))
	}
	if s.audit != nil {
		s.audit.s3(r)
	}
}

// counting counts the requests to a service, if anybody wants to know.
func (s *Stack) counting(of func(*http.Request) price.Operation, handler http.Handler) http.Handler {
	if s.Requests == nil {
		return handler
	}
	return s.Requests.Counting(of, handler)
}
