// Package price counts the requests that a system makes of AWS, and says what an hour of a participant costs.
package price

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Services whose requests are counted.
const (
	S3  = "S3"
	SQS = "SQS"
	API = "API" // the HTTP API with the function behind it
)

// Operation is a kind of request.
type Operation struct {
	Service string
	Call    string // as AWS names it: PutObject
	// Of says what kind of object a request of S3 is about: media, documents, or a folder of the service's own, such as
	// .ledger. Empty for others.
	Of string
}

// String is the operation in words.
func (o Operation) String() string { return strings.TrimSpace(o.Service + " " + o.Call + " " + o.Of) }

// OfS3 says which operation of S3 a request is, addressed by path (S3 API reference, "Actions").
func OfS3(r *http.Request) Operation {
	query := r.URL.Query()
	call := "?"
	switch r.Method {
	case http.MethodPut:
		call = put(query.Has("partNumber"), r.Header.Get("X-Amz-Copy-Source") != "")
	case http.MethodPost:
		switch {
		case query.Has("uploads"):
			call = "CreateMultipartUpload"
		case query.Has("uploadId"):
			call = "CompleteMultipartUpload"
		case query.Has("delete"):
			return Operation{S3, "DeleteObjects", ""}
		}
	case http.MethodGet:
		switch {
		case query.Has("uploadId"):
			call = "ListParts"
		case query.Has("uploads"):
			return Operation{S3, "ListMultipartUploads", kind(query.Get("prefix"))}
		case query.Has("list-type"):
			return Operation{S3, "ListObjectsV2", kind(query.Get("prefix"))}
		default:
			call = "GetObject"
		}
	case http.MethodHead:
		call = "HeadObject"
	case http.MethodDelete:
		call = "DeleteObject"
		if query.Has("uploadId") {
			call = "AbortMultipartUpload"
		}
	}
	return Operation{S3, call, kind(r.URL.Path)}
}

func put(part, copied bool) string {
	switch {
	case part && copied:
		return "UploadPartCopy"
	case part:
		return "UploadPart"
	case copied:
		return "CopyObject"
	}
	return "PutObject"
}

// kind is what lies under a key: the service's own folders begin with a dot, and nobody's file does.
func kind(key string) string {
	for segment := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(segment, ".") {
			return segment
		}
	}
	if strings.HasSuffix(key, ".json") {
		return "documents"
	}
	return "media"
}

// OfSQS says which operation of SQS a request is (AWS JSON 1.0 protocol).
func OfSQS(r *http.Request) Operation {
	return Operation{SQS, strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."), ""}
}

// OfAPI is the operation of every request to the HTTP API.
func OfAPI(*http.Request) Operation { return Operation{API, "Request", ""} }

// Counter counts requests.
type Counter struct {
	mu     sync.Mutex
	counts Counts
}

// Count counts one.
func (c *Counter) Count(o Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = Counts{}
	}
	c.counts[o]++
}

// Counting counts the requests to a handler.
func (c *Counter) Counting(of func(*http.Request) Operation, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.Count(of(r))
		handler.ServeHTTP(w, r)
	})
}

// Counts returns what has been counted so far.
func (c *Counter) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// Counts are numbers of requests, by operation: whole ones, or so many in an hour.
type Counts map[Operation]float64

// Each returns what a function makes of each number, but not zeros.
func (c Counts) Each(change func(Operation, float64) float64) Counts {
	changed := Counts{}
	for o, n := range c {
		if n = change(o, n); n != 0 {
			changed[o] = n
		}
	}
	return changed
}

// Minus is what has been counted since others were.
func (c Counts) Minus(others Counts) Counts {
	return c.Each(func(o Operation, n float64) float64 { return n - others[o] })
}

// Times are so many times as many.
func (c Counts) Times(factor float64) Counts {
	return c.Each(func(_ Operation, n float64) float64 { return factor * n })
}

// Plus are both together.
func (c Counts) Plus(others Counts) Counts {
	sum := c.Times(1)
	for o, n := range others {
		sum[o] += n
	}
	return sum
}

// Sum is how many there are of those that are wanted.
func (c Counts) Sum(wanted func(Operation) bool) (n float64) {
	for o, count := range c {
		if wanted(o) {
			n += count
		}
	}
	return n
}

// Operations are those of all counts, in order.
func Operations(all ...Counts) []Operation {
	seen := map[Operation]bool{}
	for _, counts := range all {
		for o := range counts {
			seen[o] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b Operation) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Call, b.Call), cmp.Compare(a.Of, b.Of))
	})
}
