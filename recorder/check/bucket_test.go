package check

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// storage is as much of S3 as the check asks for. Its faults are those of services that seem to be like S3.
type storage struct {
	object string // what is in it; empty: there is none
	faults map[string]bool
	asked  []string
	status int // of all answers, unless it is 0
	code   string
	header http.Header
	before func(context.Context) // each answer
}

func (s *storage) tag() string { return fmt.Sprintf("%q", fmt.Sprintf("%x", len(s.object))) }

// holds says whether a request's condition holds, or the storage does not look at it.
func (s *storage) holds(r *http.Request) bool {
	if r.Header.Get("If-None-Match") == "*" && s.object != "" {
		return s.faults["ignores If-None-Match"]
	}
	if tag := r.Header.Get("If-Match"); tag != "" && tag != s.tag() {
		return s.faults["ignores If-Match"]
	}
	return true
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.before != nil {
		s.before(r.Context())
	}
	query := r.URL.Query()
	operation := r.Method
	for _, name := range []string{"uploads", "uploadId", "list-type"} {
		if query.Has(name) {
			operation += " " + name
		}
	}
	s.asked = append(s.asked, operation)
	if s.status != 0 || s.faults["forbids "+operation] {
		s.refuse(w)
		return
	}

	switch operation {
	case "PUT":
		if !s.holds(r) {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		s.object += "x" // another one each time
		w.Header().Set("ETag", s.tag())
	case "GET":
		if !s.faults["forgets"] {
			fmt.Fprint(w, body(1))
		}
	case "HEAD", "PUT uploadId":
		w.Header().Set("ETag", s.tag())
	case "POST uploadId":
		if !s.holds(r) && !s.faults["completes anything"] {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		s.object += "x"
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>`)
	case "POST uploads":
		fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
	case "GET list-type":
		fmt.Fprint(w, `<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>`)
	case "GET uploads":
		fmt.Fprint(w, `<ListMultipartUploadsResult/>`)
	case "GET uploadId":
		fmt.Fprint(w, `<ListPartsResult/>`)
	case "DELETE", "DELETE uploadId":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func (s *storage) refuse(w http.ResponseWriter) {
	status, code := s.status, s.code
	if status == 0 {
		status, code = http.StatusForbidden, "AccessDenied"
	}
	for name, values := range s.header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, `<Error><Code>%s</Code><Message>it is said that %s</Message></Error>`, code, code)
}

func (s *storage) check(t *testing.T) Finding {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return checked(t, server.URL, http.DefaultClient)
}

func checked(t *testing.T, url string, by s3.HTTPClient) Finding {
	client := s3.New(s3.Options{
		Region:           "eu-west-1",
		BaseEndpoint:     &url,
		UsePathStyle:     true,
		RetryMaxAttempts: 1,
		HTTPClient:       by,
		Credentials:      credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	return Run(t.Context(), []Check{Bucket(client, "recordings", "calls")})[0]
}

// direct does the same without a network, which would not know of a test's own time.
func (s *storage) direct(t *testing.T) Finding { return checked(t, "http://storage", inside{s}) }

// inside answers requests without a network.
type inside struct{ http.Handler }

func (i inside) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	i.ServeHTTP(answer, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return answer.Result(), nil
}

// Who owns a recording is decided by conditional writes: with a storage that does not keep conditions, two recorders
// would overwrite each other.
func TestStorageThatKeepsNoConditionsIsRefused(t *testing.T) {
	for fault, detail := range map[string]string{
		"ignores If-None-Match": "overwrites an object in spite of If-None-Match",
		"ignores If-Match":      "overwrites an object in spite of an If-Match",
		"completes anything":    "completes an upload over an object",
		"forgets":               "is not what was written",
	} {
		t.Run(fault, func(t *testing.T) {
			s := &storage{faults: map[string]bool{fault: true}}
			found := s.check(t)
			require.Equal(t, Wrong, found.State)
			require.Equal(t, "S3_BUCKET", found.Setting)
			require.Contains(t, found.Detail, detail)
			require.Contains(t, found.Remedy, "If-None-Match")
			require.Contains(t, s.asked, "DELETE", "what was written is removed")
		})
	}
}

func TestGoodStorageIsGood(t *testing.T) {
	s := &storage{}
	found := s.check(t)
	require.Equal(t, OK, found.State, found.String())
	require.Len(t, s.asked, 17, "a start costs no more: %s", s.asked)
}

// A bucket far away takes its time for 17 answers; one that gives none is known after one step.
func TestSlowStorageIsNotAway(t *testing.T) {
	for name, c := range map[string]struct {
		answer time.Duration // each takes so long
		state  State
		within time.Duration
		tells  string
	}{
		"far":            {time.Second, OK, bucketTimeout, "keeps conditions"},
		"far too far":    {1300 * time.Millisecond, Away, bucketTimeout, "at step 5 of 8, which needs s3:PutObject"},
		"does not speak": {time.Hour, Away, attemptTimeout, "at step 1 of 8, which needs s3:PutObject"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &storage{before: func(ctx context.Context) { wait(ctx, c.answer) }}
				began := time.Now()
				found := s.direct(t)
				require.Equal(t, c.state, found.State, found.String())
				require.Contains(t, found.Detail, c.tells)
				require.LessOrEqual(t, time.Since(began), c.within+tidyTimeout)
			})
		})
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	for operation, right := range map[string]string{
		"PUT":             "s3:PutObject",
		"GET":             "s3:GetObject",
		"GET list-type":   "s3:ListBucket",
		"GET uploads":     "s3:ListBucketMultipartUploads",
		"GET uploadId":    "s3:ListMultipartUploadParts",
		"DELETE uploadId": "s3:AbortMultipartUpload",
		"DELETE":          "s3:DeleteObject on calls/.journal/*",
	} {
		t.Run(right, func(t *testing.T) {
			found := (&storage{faults: map[string]bool{"forbids " + operation: true}}).check(t)
			require.Equal(t, Wrong, found.State)
			require.Contains(t, found.Remedy, right)
			require.Regexp(t, `at step \d of 8`, found.Detail)
		})
	}
}

func TestAnswersOfS3AreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		status         int
		code           string
		region         string
		state          State
		setting, tells string
	}{
		"no such bucket":     {404, "NoSuchBucket", "", Wrong, "S3_BUCKET", "a bucket that is there"},
		"another region":     {301, "PermanentRedirect", "ap-south-1", Wrong, "S3_REGION", "set it to ap-south-1"},
		"malformed region":   {400, "AuthorizationHeaderMalformed", "", Wrong, "S3_REGION, S3_BUCKET", "region"},
		"unknown user":       {403, "InvalidAccessKeyId", "", Wrong, "AWS credentials", "AWS_ACCESS_KEY_ID"},
		"wrong signature":    {403, "SignatureDoesNotMatch", "", Wrong, "AWS credentials", "AWS_SECRET_ACCESS_KEY"},
		"session has ended":  {400, "ExpiredToken", "", Wrong, "AWS credentials", "role"},
		"clock":              {403, "RequestTimeTooSkewed", "", Wrong, "the clock", "clock"},
		"key is disabled":    {400, "KMS.DisabledException", "", Wrong, "S3_BUCKET", "kms:GenerateDataKey"},
		"lacks an operation": {501, "NotImplemented", "", Wrong, "S3_BUCKET", "another storage"},
		"out of order":       {503, "ServiceUnavailable", "", Away, "S3_BUCKET", "eu-west-1"},
		"asks for patience":  {503, "SlowDown", "", Away, "S3_BUCKET", "eu-west-1"},
		"fault of its own":   {500, "InternalError", "", Away, "S3_BUCKET", "eu-west-1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &storage{status: c.status, code: c.code, header: http.Header{}}
			if c.region != "" {
				s.header.Set("X-Amz-Bucket-Region", c.region)
			}
			found := s.check(t)
			require.Equal(t, c.state, found.State, found.String())
			require.Equal(t, c.setting, found.Setting)
			require.Contains(t, found.Remedy, c.tells)
			require.NotContains(t, strings.TrimSpace(found.String()), "\n")
		})
	}
}
