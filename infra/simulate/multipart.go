package simulate

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (b *bucket) createUpload(c call) answer {
	u := &multipart{
		id:        b.newID(),
		key:       c.key,
		described: description(c),
		begun:     time.Now(),
		writer:    caller(c.Request),
		parts:     map[int]*object{},
	}

	b.uploads[u.id] = u
	return answer{xml: struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadId string
	}{Bucket: b.name, Key: u.key, UploadId: u.id}}
}

func (b *bucket) upload(c call) *multipart {
	if u := b.uploads[c.query["uploadId"]]; u != nil && u.key == c.key {
		return u
	}
	return nil
}

// putPart uploads or copies a part. One that comes again under its number replaces the first.
func (b *bucket) putPart(c call) answer {
	u, number := b.upload(c), c.number("partNumber", 0)
	if u == nil {
		return failed(noSuchUpload)
	}
	if number < 1 || number > 10_000 {
		return failed(&fault{http.StatusBadRequest, "InvalidArgument",
			"Part number must be an integer between 1 and 10000, inclusive"})
	}

	body, copied := c.body, c.Header.Get("X-Amz-Copy-Source") != ""
	if copied {
		var f *fault
		if _, body, f = b.source(c); f != nil {
			return failed(f)
		}
	}

	part := &object{
		body:     body,
		tag:      tagOf(body),
		modified: time.Now(),
		writer:   caller(c.Request),
	}

	u.parts[number] = part
	if !copied {
		return answer{header: map[string]string{"ETag": part.tag}}
	}

	return answer{xml: struct {
		XMLName      xml.Name `xml:"CopyPartResult"`
		ETag         string
		LastModified string
	}{ETag: part.tag, LastModified: part.modified.UTC().Format(timeFormat)}}
}

type listedPart struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int
}

func (b *bucket) listParts(c call) answer {
	u := b.upload(c)
	if u == nil {
		return failed(noSuchUpload)
	}

	limit := min(c.number("max-parts", 1000), 1000)
	out := struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		Bucket               string
		Key                  string
		UploadId             string
		PartNumberMarker     int
		NextPartNumberMarker int
		MaxParts             int
		IsTruncated          bool
		Part                 []listedPart
	}{
		Bucket:           b.name,
		Key:              u.key,
		UploadId:         u.id,
		PartNumberMarker: c.number("part-number-marker", 0),
		MaxParts:         limit,
	}

	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n <= out.PartNumberMarker {
			continue
		}
		if len(out.Part) == limit {
			out.IsTruncated = true
			break
		}
		p := u.parts[n]
		out.Part = append(out.Part, listedPart{n, p.modified.UTC().Format(timeFormat), p.tag, len(p.body)})
		out.NextPartNumberMarker = n
	}
	return answer{xml: out}
}

type listedUpload struct {
	Key       string
	UploadId  string
	Initiated string
}

func (b *bucket) listUploads(c call) answer {
	limit := min(c.number("max-uploads", 1000), 1000)
	out := struct {
		XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket             string
		Prefix             string
		MaxUploads         int
		IsTruncated        bool
		NextKeyMarker      string `xml:",omitempty"`
		NextUploadIdMarker string `xml:",omitempty"`
		Upload             []listedUpload
	}{Bucket: b.name, Prefix: c.query["prefix"], MaxUploads: limit}

	all := slices.SortedFunc(maps.Values(b.uploads), func(x, y *multipart) int {
		if n := strings.Compare(x.key, y.key); n != 0 {
			return n
		}
		return strings.Compare(x.id, y.id)
	})

	key, id := c.query["key-marker"], c.query["upload-id-marker"]
	for _, u := range all {
		seen := u.key < key || u.key == key && (id == "" || u.id <= id)
		if !strings.HasPrefix(u.key, c.query["prefix"]) || key != "" && seen {
			continue
		}
		if len(out.Upload) == limit {
			out.IsTruncated = true
			break
		}
		out.Upload = append(out.Upload, listedUpload{u.key, u.id, u.begun.UTC().Format(timeFormat)})
		out.NextKeyMarker, out.NextUploadIdMarker = u.key, u.id
	}

	return answer{xml: out}
}

func (b *bucket) abortUpload(c call) answer {
	if b.upload(c) == nil {
		return failed(noSuchUpload)
	}
	delete(b.uploads, c.query["uploadId"])
	return answer{status: http.StatusNoContent}
}

// completion is the body of CompleteMultipartUpload.
type completion struct {
	Part []struct {
		PartNumber int
		ETag       string
	}
}

func (b *bucket) completeUpload(c call) answer {
	u := b.upload(c)
	if u == nil {
		return failed(noSuchUpload)
	}

	var in completion
	if xml.Unmarshal(c.body, &in) != nil || len(in.Part) == 0 {
		return failed(malformed)
	}

	body, tag, f := b.assemble(u, in)
	if f == nil {
		f = b.condition(c)
	}
	if f != nil {
		return failed(f)
	}

	o := &object{body: body, tag: tag, described: u.described}
	b.put(c, "CompleteMultipartUpload", u.key, o)
	delete(b.uploads, u.id)

	return answer{xml: struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket  string
		Key     string
		ETag    string
	}{Bucket: b.name, Key: u.key, ETag: o.tag}}
}

// assemble puts the named parts together. The tag is that of the parts' sums, with their number behind it.
func (b *bucket) assemble(u *multipart, in completion) (body []byte, tag string, f *fault) {
	sums := md5.New()
	last := 0
	for i, wanted := range in.Part {
		part := u.parts[wanted.PartNumber]
		switch {
		case wanted.PartNumber <= last:
			return nil, "", &fault{http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order."}
		case part == nil || !sameTag(wanted.ETag, part.tag):
			return nil, "", invalidPart
		case i < len(in.Part)-1 && len(part.body) < b.minimumPart:
			return nil, "", &fault{http.StatusBadRequest, "EntityTooSmall",
				"Your proposed upload is smaller than the minimum allowed size"}
		}

		sum := md5.Sum(part.body)
		sums.Write(sum[:])
		body, last = append(body, part.body...), wanted.PartNumber
	}

	return body, fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(sums.Sum(nil)), len(in.Part)), nil
}
