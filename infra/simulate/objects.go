package simulate

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timeFormat is how S3's XML documents write times.
const timeFormat = "2006-01-02T15:04:05.000Z"

func (b *bucket) putObject(c call) answer {
	if f := b.condition(c); f != nil {
		return failed(f)
	}

	o := &object{body: c.body, tag: tagOf(c.body), described: description(c)}
	b.put(c, "PutObject", c.key, o)
	return answer{header: map[string]string{"ETag": o.tag}}
}

// described is what whoever writes an object says of it: its content type and metadata, by headers.
type described map[string]string

func description(c call) described {
	d := described{"Content-Type": c.Header.Get("Content-Type")}
	for name := range c.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			d[name] = c.Header.Get(name)
		}
	}
	return d
}

// source reads what a copy copies: the object, and a part of its bytes.
func (b *bucket) source(c call) (*object, []byte, *fault) {
	path, err := url.PathUnescape(strings.TrimPrefix(c.Header.Get("X-Amz-Copy-Source"), "/"))
	key, ok := strings.CutPrefix(path, b.name+"/")
	from := b.objects[key]
	if err != nil || !ok || from == nil {
		return nil, nil, noSuchKey
	}
	if wanted := c.Header.Get("X-Amz-Copy-Source-If-Match"); wanted != "" && !sameTag(wanted, from.tag) {
		return nil, nil, precondition
	}

	span := c.Header.Get("X-Amz-Copy-Source-Range")
	if span == "" {
		return from, from.body, nil
	}
	start, end, ok := byteRange(span, len(from.body))
	if !ok {
		return nil, nil, invalidSpan
	}
	return from, from.body[start:end], nil
}

func (b *bucket) copyObject(c call) answer {
	from, body, f := b.source(c)
	if f == nil {
		f = b.condition(c)
	}
	if f != nil {
		return failed(f)
	}

	o := &object{body: body, tag: tagOf(body), described: from.described}
	b.put(c, "CopyObject", c.key, o)
	return answer{xml: struct {
		XMLName      xml.Name `xml:"CopyObjectResult"`
		ETag         string
		LastModified string
	}{ETag: o.tag, LastModified: o.modified.UTC().Format(timeFormat)}}
}

func (b *bucket) get(c call) answer {
	o := b.objects[c.key]
	if o == nil {
		return failed(noSuchKey)
	}
	if wanted := c.Header.Get("If-Match"); wanted != "" && !sameTag(wanted, o.tag) {
		return failed(precondition)
	}

	header := map[string]string{
		"ETag":           o.tag,
		"Last-Modified":  o.modified.UTC().Format(http.TimeFormat),
		"Content-Length": strconv.Itoa(len(o.body)),
		"Accept-Ranges":  "bytes",
	}
	maps.Copy(header, o.described)

	span := c.Header.Get("Range")
	if span == "" {
		return answer{header: header, body: o.body}
	}

	start, end, ok := byteRange(span, len(o.body))
	if !ok {
		return failed(invalidSpan)
	}

	header["Content-Length"] = strconv.Itoa(end - start)
	header["Content-Range"] = fmt.Sprintf("bytes %d-%d/%d", start, end-1, len(o.body))
	return answer{status: http.StatusPartialContent, header: header, body: o.body[start:end]}
}

// byteRange reads a Range header (RFC 9110, section 14.1.2) with one range: "bytes=2-5", "bytes=2-", "bytes=-5".
func byteRange(header string, size int) (start, end int, ok bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if !ok {
		return 0, 0, false
	}
	if first == "" {
		n, err := strconv.Atoi(last)
		return max(0, size-n), size, err == nil && n > 0 && size > 0
	}

	start, err := strconv.Atoi(first)
	if err != nil || start >= size {
		return 0, 0, false
	}
	if last == "" {
		return start, size, true
	}
	end, err = strconv.Atoi(last)
	return start, min(end+1, size), err == nil && end >= start
}

func (b *bucket) deleteObject(c call) answer {
	if wanted := c.Header.Get("If-Match"); wanted != "" {
		if f := b.condition(c); f != nil {
			return failed(f)
		}
	}
	b.remove(c, "DeleteObject", c.key)
	return answer{status: http.StatusNoContent}
}

func (b *bucket) remove(c call, operation, key string) {
	if b.objects[key] == nil {
		return
	}
	b.note(c, operation, key, nil)
	delete(b.objects, key)
}

type deleted struct{ Key string }

func (b *bucket) deleteObjects(c call) answer {
	var in struct {
		Quiet  bool
		Object []deleted
	}
	if xml.Unmarshal(c.body, &in) != nil || len(in.Object) > 1000 {
		return failed(malformed)
	}

	out := struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []deleted
	}{}
	for _, o := range in.Object {
		b.remove(c, "DeleteObjects", o.Key)
		if !in.Quiet {
			out.Deleted = append(out.Deleted, o)
		}
	}
	return answer{xml: out}
}

// listed is one object of a list.
type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
	StorageClass string
}

type prefix struct{ Prefix string }

func (b *bucket) list(c call) answer {
	limit := min(c.number("max-keys", 1000), 1000)
	after := max(c.query["start-after"], c.query["continuation-token"])
	out := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		KeyCount, MaxKeys     int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []listed
		CommonPrefixes        []prefix
	}{Name: b.name, Prefix: c.query["prefix"], MaxKeys: limit}

	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		rest, ok := strings.CutPrefix(key, c.query["prefix"])
		if !ok || key <= after || strings.HasSuffix(after, "/") && c.has("delimiter") && strings.HasPrefix(key, after) {
			continue
		}
		if out.KeyCount == limit {
			out.IsTruncated = true
			break
		}

		common := commonPrefix(c.query["prefix"], rest, c.query["delimiter"])
		switch n := len(out.CommonPrefixes); {
		case common == "":
			o := b.objects[key]
			out.Contents = append(out.Contents, listed{
				Key:          key,
				LastModified: o.modified.UTC().Format(timeFormat),
				ETag:         o.tag,
				Size:         len(o.body),
				StorageClass: "STANDARD",
			})
			out.NextContinuationToken = key
		case n > 0 && out.CommonPrefixes[n-1].Prefix == common:
			continue
		default:
			out.CommonPrefixes = append(out.CommonPrefixes, prefix{common})
			out.NextContinuationToken = common
		}
		out.KeyCount++
	}
	if !out.IsTruncated {
		out.NextContinuationToken = ""
	}
	return answer{xml: out}
}

// commonPrefix is under what a list with a delimiter puts a key together with others; empty if it is listed itself.
func commonPrefix(prefix, rest, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	head, _, ok := strings.Cut(rest, delimiter)
	if !ok {
		return ""
	}
	return prefix + head + delimiter
}

// unchunk takes the body out of the frames of "aws-chunked" (S3 API reference, "Signature calculations for the
// Authorization header: Transferring payload in multiple chunks"), in which the SDK sends checksums as trailers.
func unchunk(r *http.Request, body []byte) ([]byte, error) {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") &&
		!strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return body, nil
	}

	var plain []byte
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		if !ok {
			return nil, fmt.Errorf("chunk without an end after %d bytes", len(plain))
		}
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || size > int64(len(rest)) {
			return nil, fmt.Errorf("chunk of odd size %q", digits)
		}
		if size == 0 {
			return plain, nil // what follows are trailers
		}
		plain = append(plain, rest[:size]...)
		body = bytes.TrimPrefix(rest[size:], []byte("\r\n"))
	}
}

// age is how long ago something was, for messages.
func age(t time.Time) string { return time.Since(t).Round(time.Second).String() }
