package stack

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/template"
)

// What the stand-ins would do for everybody, the template's roles must be asked about.
func TestCallsAreJudgedByTheRoleOfTheirProgram(t *testing.T) {
	tree, err := template.Read(filepath.Join("..", "..", "..", "template.yaml"))
	require.NoError(t, err)
	deployed, err := tree.Deploy(map[string]string{
		"LiveKitUrl":       "ws://localhost",
		"LiveKitSecretArn": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:local-AbCdEf",
		"RecorderVersion":  "local",
		"VpcId":            "vpc",
		"SubnetIds":        "subnet",
		"ExistingBucket":   Bucket,
		"BucketRegion":     region,
		"S3Directory":      Directory,
		"StartQueue.Arn":   "arn:aws:sqs:us-east-1:000000000000:starts",
	})
	require.NoError(t, err)

	const media, journal = "/local-bucket/participants/room/alice/file.webm", "/local-bucket/participants/.journal/RR_1/1"
	for _, c := range []struct {
		program, method, target string
		region                  string
		refused                 string // empty: allowed
	}{
		{"recorder", http.MethodPut, media, region, ""},
		{"recorder", http.MethodPut, media + "?partNumber=1&uploadId=x", region, ""},
		{"recorder", http.MethodPost, media + "?uploads", region, ""},
		{"recorder", http.MethodDelete, journal, region, ""},
		{"recorder", http.MethodGet, "/local-bucket?list-type=2&prefix=participants", region, ""},
		{"recorder", http.MethodHead, "/local-bucket", region, ""},
		{"recorder", http.MethodDelete, media, region, ""}, // a part that is in another file by now
		{"recorder", http.MethodDelete, "/local-bucket/participants/room/alice/file.json", region, "s3:DeleteObject"},
		{"recorder", http.MethodPut, "/local-bucket/elsewhere/file.webm", region, "s3:PutObject"},
		{"recorder", http.MethodPut, media, home, "is not signed for us-east-1"},
		{"recorder", http.MethodPost, "/local-bucket?lifecycle", region, "s3.?"},
		{"function", http.MethodGet, "/local-bucket/participants/room/alice/file.json", region, ""},
		{"function", http.MethodGet, media, region, "s3:GetObject"},
		{"function", http.MethodPut, "/local-bucket/participants/x.recordings/id/1.json", region, "s3:PutObject"},
		{"somebody", http.MethodDelete, media, home, ""}, // a test itself
	} {
		audit, err := newAudit(deployed)
		require.NoError(t, err)
		r := httptest.NewRequest(c.method, c.target, nil)
		r.Header.Set("User-Agent", "aws-sdk-go-v2/1.47.7 app/"+c.program)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/"+c.region+"/s3/aws4_request")
		audit.s3(r)

		refused, calls := (&Stack{audit: audit}).Refused()
		require.Equal(t, c.program != "somebody", calls[c.program] == 1)
		if c.refused == "" {
			require.Empty(t, refused, "%s %s %s", c.program, c.method, c.target)
			continue
		}
		require.Len(t, refused, 1, "%s %s %s", c.program, c.method, c.target)
		require.Contains(t, refused[0], c.refused)
	}

	for body, refused := range map[string]bool{
		`{"QueueUrl":"http://127.0.0.1:1/000000000000/starts"}`: false,
		`{"QueueUrl":"http://127.0.0.1:1/000000000000/others"}`: true,
		`{}`: true,
	} {
		audit, err := newAudit(deployed)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("User-Agent", "app/function")
		r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/"+home+"/sqs/aws4_request")
		passed := false
		audit.sqs(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })).
			ServeHTTP(httptest.NewRecorder(), r)
		require.True(t, passed)

		found, _ := (&Stack{audit: audit}).Refused()
		require.Equal(t, refused, len(found) > 0, body)
	}
}
