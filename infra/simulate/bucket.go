package simulate

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bucket is S3 in memory, with one bucket: what the product uses of it, with S3's own error codes. It remembers every
// write, so that what was overwritten can be looked at afterwards.
type bucket struct {
	name string
	// minimumPart is the least size of all parts of an upload but the last, in bytes.
	minimumPart int

	mu      sync.Mutex
	objects map[string]*object
	uploads map[string]*multipart // by upload id
	history []write
	nextID  int
}

// object is one version of an object. It is never changed.
type object struct {
	body []byte
	tag  string // with quotes, as in headers
	described
	modified time.Time
	writer   string // the process that wrote it
}

// multipart is an upload that is not completed.
type multipart struct {
	id, key string
	described
	begun  time.Time
	writer string
	parts  map[int]*object
}

// write is one change of an object.
type write struct {
	at          time.Time
	by          string // process
	operation   string
	key         string
	conditional bool    // If-Match or If-None-Match: made in the knowledge of what was there
	before      *object // nil: there was none
	after       *object // nil: removed
}

func newBucket(name string, minimumPart int) *bucket {
	return &bucket{
		name:        name,
		minimumPart: minimumPart,
		objects:     map[string]*object{},
		uploads:     map[string]*multipart{},
	}
}

// fault is an S3 error answer.
type fault struct {
	status        int
	code, message string
}

var (
	noSuchKey    = &fault{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."}
	noSuchUpload = &fault{http.StatusNotFound, "NoSuchUpload",
		"The specified multipart upload does not exist. The upload ID might be invalid, or the upload might have been " +
			"aborted or completed."}
	precondition = &fault{http.StatusPreconditionFailed, "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold"}
	invalidPart = &fault{http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found."}
	invalidSpan = &fault{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable"}
	malformed   = &fault{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed."}
	unknownCall = &fault{http.StatusNotImplemented, "NotImplemented", "The simulated bucket does not know this call."}
)

// call is one request, as far as it has been read.
type call struct {
	key   string
	query map[string]string
	body  []byte
	*http.Request
}

// answer is what a handler makes of a call: a fault, an XML document, or a body.
type answer struct {
	*fault
	status int
	header map[string]string
	xml    any
	body   []byte
}

func failed(f *fault) answer { return answer{fault: f} }

// ServeHTTP answers one S3 call, path-style.
func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name != b.name {
		failed(&fault{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}).write(w, r)
		return
	}

	body, err := io.ReadAll(r.Body)
	if err == nil {
		body, err = unchunk(r, body)
	}
	if err != nil {
		failed(&fault{http.StatusBadRequest, "IncompleteBody", err.Error()}).write(w, r)
		return
	}

	c := call{
		key:     key,
		query:   map[string]string{},
		body:    body,
		Request: r,
	}
	for parameter, values := range r.URL.Query() {
		c.query[parameter] = values[0]
	}
	b.mu.Lock()
	out := b.handle(c)
	b.mu.Unlock()
	out.write(w, r)
}

func (c call) has(parameter string) bool {
	_, ok := c.query[parameter]
	return ok
}

// handle finds out which operation a call is. The lock is held.
func (b *bucket) handle(c call) answer {
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return b.look(c)
	case http.MethodPut:
		switch {
		case c.has("partNumber"):
			return b.putPart(c)
		case c.Header.Get("X-Amz-Copy-Source") != "":
			return b.copyObject(c)
		}
		return b.putObject(c)

	case http.MethodPost:
		switch {
		case c.has("delete"):
			return b.deleteObjects(c)
		case c.has("uploads"):
			return b.createUpload(c)
		case c.has("uploadId"):
			return b.completeUpload(c)
		}

	case http.MethodDelete:
		if c.has("uploadId") {
			return b.abortUpload(c)
		}
		return b.deleteObject(c)
	}

	return failed(unknownCall)
}

func (b *bucket) look(c call) answer {
	switch {
	case c.has("uploads"):
		return b.listUploads(c)
	case c.has("uploadId"):
		return b.listParts(c)
	case c.key == "" && c.has("list-type"):
		return b.list(c)
	case c.key == "":
		return answer{status: http.StatusOK}
	}

	return b.get(c)
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amz-Request-Id", "SIMULATED")
	if a.fault != nil {
		a.status = a.fault.status
		a.xml = struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
			Message string
		}{Code: a.code, Message: a.message}
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.xml != nil && r.Method != http.MethodHead {
		body, _ := xml.Marshal(a.xml) // plain structs
		a.body = append([]byte(xml.Header), body...)
		w.Header().Set("Content-Type", "application/xml")
	}

	w.WriteHeader(max(a.status, http.StatusOK))
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // into memory
	}
}

// put makes a version of an object appear, and remembers it.
func (b *bucket) put(c call, operation, key string, o *object) {
	o.modified, o.writer = time.Now(), caller(c.Request)
	b.note(c, operation, key, o)
	b.objects[key] = o
}

func (b *bucket) note(c call, operation, key string, after *object) {
	b.history = append(b.history, write{
		at:          time.Now(),
		by:          caller(c.Request),
		operation:   operation,
		key:         key,
		conditional: c.Header.Get("If-Match") != "" || c.Header.Get("If-None-Match") != "",
		before:      b.objects[key],
		after:       after,
	})
}

// condition checks If-Match and If-None-Match of a write.
func (b *bucket) condition(c call) *fault {
	there := b.objects[c.key]
	if c.Header.Get("If-None-Match") == "*" && there != nil {
		return precondition
	}

	switch wanted := c.Header.Get("If-Match"); {
	case wanted == "":
		return nil
	case there == nil:
		return noSuchKey
	case !sameTag(wanted, there.tag):
		return precondition
	}

	return nil
}

func sameTag(a, b string) bool { return a == "*" || strings.Trim(a, `"`) == strings.Trim(b, `"`) }

func tagOf(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// snapshot returns the objects and uploads as they are, for whoever checks them.
func (b *bucket) snapshot() (objects map[string]*object, uploads []*multipart) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.objects), slices.Collect(maps.Values(b.uploads))
}

// written returns every change so far.
func (b *bucket) written() []write {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.history)
}

func (b *bucket) newID() string {
	b.nextID++
	return fmt.Sprintf("upload-%06d", b.nextID)
}

// number reads a query parameter.
func (c call) number(parameter string, otherwise int) int {
	n, err := strconv.Atoi(c.query[parameter])
	if err != nil {
		return otherwise
	}
	return n
}
