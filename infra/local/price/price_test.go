package price

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRequestsAreTakenForWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		name, method, path, copied string
		wanted                     Operation
		dollars                    float64
	}{
		{"a ledger entry", "PUT", "/b/dir/.ledger/room/alice.json", "", Operation{S3, "PutObject", ".ledger"}, s3Put},
		{"a document", "GET", "/b/dir/room/alice/file.json?x-id=GetObject", "", Operation{S3, "GetObject", "documents"}, s3Get},
		{"a small file", "PUT", "/b/dir/f.webm?x-id=PutObject", "", Operation{S3, "PutObject", "media"}, s3Put},
		{"a begun upload", "POST", "/b/f.webm?uploads", "", Operation{S3, "CreateMultipartUpload", "media"}, s3Put},
		{"a part", "PUT", "/b/f.webm?partNumber=2&uploadId=x", "", Operation{S3, "UploadPart", "media"}, s3Put},
		{"a copied part", "PUT", "/b/f.webm?partNumber=2&uploadId=x", "/b/g", Operation{S3, "UploadPartCopy", "media"}, s3Put},
		{"a copy", "PUT", "/b/f.webm", "/b/g", Operation{S3, "CopyObject", "media"}, s3Put},
		{"an end", "POST", "/b/f.webm?uploadId=x", "", Operation{S3, "CompleteMultipartUpload", "media"}, s3Put},
		{"an end without", "DELETE", "/b/f.webm?uploadId=x", "", Operation{S3, "AbortMultipartUpload", "media"}, 0},
		{"the parts so far", "GET", "/b/f.webm?uploadId=x", "", Operation{S3, "ListParts", "media"}, s3Put},
		{"a list", "GET", "/b?list-type=2&prefix=dir%2F.tails%2F", "", Operation{S3, "ListObjectsV2", ".tails"}, s3Put},
		{"uploads", "GET", "/b?uploads&prefix=dir%2Ff", "", Operation{S3, "ListMultipartUploads", "media"}, s3Put},
		{"a look", "HEAD", "/b/f.webm", "", Operation{S3, "HeadObject", "media"}, s3Get},
		{"a deletion", "DELETE", "/b/f.webm", "", Operation{S3, "DeleteObject", "media"}, 0},
		{"many deletions", "POST", "/b?delete", "", Operation{S3, "DeleteObjects", ""}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, nil)
			if c.copied != "" {
				r.Header.Set("X-Amz-Copy-Source", c.copied)
			}
			require.Equal(t, c.wanted, OfS3(r))
			require.InDelta(t, c.dollars, c.wanted.dollars(), 1e-12)
		})
	}

	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	require.Equal(t, Operation{SQS, "ReceiveMessage", ""}, OfSQS(r))
}

func TestCountsAreOfEachOperation(t *testing.T) {
	var c Counter
	answered := 0
	handler := c.Counting(OfAPI, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered++ }))
	for range 3 {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	before := c.Counts()
	c.Count(Operation{SQS, "SendMessage", ""})
	require.Equal(t, 3, answered)
	require.Equal(t, Counts{{API, "Request", ""}: 3}, before)
	require.Equal(t, Counts{{SQS, "SendMessage", ""}: 1}, c.Counts().Minus(before))
}

// One recording costs 6 puts and 30 receives an hour, 20 cost 25 and 30: a recorder costs 5 and 30, each recording one.
var (
	few = Measured{Recordings: 1, Hourly: Counts{{S3, "PutObject", "media"}: 6, {SQS, "ReceiveMessage", ""}: 30}}
	all = Measured{
		Recordings: 20,
		Hourly:     Counts{{S3, "PutObject", "media"}: 25, {SQS, "ReceiveMessage", ""}: 30},
		Once:       Counts{{S3, "GetObject", "documents"}: 40},
		LogBytes:   20e9,
	}
	usual = Assumed{CPU: 0.6, Memory: 5, Most: 40, Call: 30 * time.Minute, Bits: 1e6}
)

func TestWhatRecordersShareCostsEachLess(t *testing.T) {
	require.Equal(t, 30, usual.PerRecorder(), "three quarters of 40")
	busy := usual
	busy.CPU = 2.4
	require.Equal(t, 15, busy.PerRecorder(), "20 fill four fifths of a processor")

	prices := map[string]float64{}
	for _, line := range Hour(few, all, usual, 60, false) {
		prices[line.What] = line.Dollars
	}
	require.InDelta(t, 2.0/60*(vCPUHour+2*gbHour+30*diskHour), prices["Fargate"], 1e-9)
	require.InDelta(t, (1+2.0/60*5)*s3Put, prices["S3: PUTs"], 1e-12)
	require.InDelta(t, 2.0/60*30*sqsCall, prices["SQS"], 1e-12)
	require.InDelta(t, 2*2*s3Get, prices["coming and going: S3, SQS, function"], 1e-12, "twice an hour")
	require.InDelta(t, logsGB, prices["logs"], 1e-9)
	require.InDelta(t, 2.0/60*ipv4Hour, prices["public IPv4"], 1e-12)
	require.NotContains(t, prices, "NAT gateway: media")
}

func TestMediaCostBehindANATGateway(t *testing.T) {
	public, nat := Hour(few, all, usual, 1000, false), Hour(few, all, usual, 1000, true)
	require.InDelta(t, 1e6/8*3600/1e9*natGB, nat[len(nat)-1].Dollars, 1e-12)
	require.Greater(t, Total(nat), Total(public))
}

// A list that was made in one of the two runs only is no reason to count less than nothing for the other.
func TestNothingCostsLessThanNothing(t *testing.T) {
	list := Operation{S3, "ListParts", "media"}
	recorder, recording := fit(Measured{Recordings: 1, Hourly: Counts{list: 60}}, Measured{Recordings: 20, Hourly: Counts{}},
		func(m Measured) Counts { return m.Hourly })
	require.Zero(t, recorder[list])
	require.Zero(t, recording[list])
	_, only := fit(all, all, func(m Measured) Counts { return m.Hourly })
	require.InDelta(t, 1.25, only[Operation{S3, "PutObject", "media"}], 1e-12)
}
