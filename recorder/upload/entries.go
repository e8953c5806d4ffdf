package upload

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
)

const (
	journalDirectory = ".journal/"
	markDirectory    = journalDirectory + "files/"
)

func (s *S3) entryPrefix(recorder string) string {
	return document.Join(s.Directory, journalDirectory+recorder+"/")
}

func (s *S3) entryKey(number int) string {
	return fmt.Sprintf("%s%09d", s.entryPrefix(s.Recorder), number)
}

func (s *S3) markPrefix(name string) string {
	return document.Join(s.Directory, markDirectory+name+"/")
}

// extract is what an entry is to have of one file.
type extract struct {
	*journaled
	start, end int64
}

// divide cuts so many bytes off a list, or all of them.
func divide(all []extract, most int64) (first, rest []extract) {
	for n, e := range all {
		if length := e.end - e.start; length > most {
			cut := extract{e.journaled, e.start + most, e.end}
			e.end = cut.start
			return append(first, e), slices.Concat([]extract{cut}, all[n+1:])
		}
		first = append(first, e)
		most -= e.end - e.start
	}
	return first, nil
}

// An entry begins with the length of its index, as a big-endian number of so many bytes, and the index in JSON. The
// bytes that this lists follow, in the same order.
const lengthOfLength = 4

// indexed is what an index says of one file.
type indexed struct {
	File   string `json:"file"`
	Start  int64  `json:"start"` // in the file, in bytes
	Length int64  `json:"length"`
}

// putEntry writes an entry, straight from the files.
func (s *S3) putEntry(ctx context.Context, key string, extracts []extract) error {
	var index []indexed
	for _, e := range extracts {
		index = append(index, indexed{e.name, e.start, e.end - e.start})
	}
	encoded, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("make index of the journal: %w", err)
	}

	head := append(binary.BigEndian.AppendUint32(nil, uint32(len(encoded))), encoded...)
	body := joined{{bytes.NewReader(head), 0, int64(len(head)), nil}}
	for _, e := range extracts {
		body = append(body, section{e.file, e.start, e.end - e.start, e.journaled})
	}
	size := body.size()
	_, err = s.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:        &s.Bucket,
		Key:           &key,
		Body:          io.NewSectionReader(body, 0, size),
		ContentLength: &size,
	})
	countedPut(err)
	if err != nil {
		return fmt.Errorf("put journal entry: %w", err)
	}
	return nil
}

func (s *S3) putMark(ctx context.Context, name string) error {
	_, err := s.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.Bucket,
		Key:    aws.String(s.markPrefix(name) + s.Recorder),
		Body:   bytes.NewReader(nil),
	})
	countedPut(err)
	if err != nil {
		return fmt.Errorf("put mark of the journal: %w", err)
	}
	return nil
}

// countedPut counts a request of the journal.
func countedPut(err error) {
	metrics.JournalPuts.Inc()
	if err != nil {
		metrics.JournalFailures.Inc()
	}
}

// joined are sections that follow each other, read as one.
type joined []section

// section is a range of something.
type section struct {
	from          io.ReaderAt
	start, length int64
	file          *journaled // nil: it is none
}

// unreadable says which file cannot be read.
type unreadable struct {
	file *journaled
	err  error
}

func (u *unreadable) Error() string { return fmt.Sprintf("read %s: %v", u.file.path, u.err) }

func (u *unreadable) Unwrap() error { return u.err }

func (j joined) size() (size int64) {
	for _, s := range j {
		size += s.length
	}
	return size
}

// ReadAt implements [io.ReaderAt].
func (j joined) ReadAt(p []byte, offset int64) (n int, err error) {
	for _, s := range j {
		if offset >= s.length {
			offset -= s.length
			continue
		}

		want := min(int64(len(p)-n), s.length-offset)
		read, err := s.from.ReadAt(p[n:n+int(want)], s.start+offset)
		n += read
		if int64(read) < want { // also of a file that has become shorter
			return n, &unreadable{s.file, err}
		}
		if n == len(p) {
			return n, nil
		}
		offset = 0
	}
	return n, io.EOF
}

// remove removes what the journal has put into the bucket.
func (s *S3) remove(ctx context.Context, keys []string) error {
	const most = 1000 // keys in one DeleteObjects call
	for batch := range slices.Chunk(keys, most) {
		in := &s3.DeleteObjectsInput{Bucket: &s.Bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
		for _, key := range batch {
			in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &key})
		}

		out, err := s.Client.DeleteObjects(ctx, in)
		if err != nil {
			return fmt.Errorf("delete from the journal: %w", err)
		}
		if len(out.Errors) > 0 {
			first := out.Errors[0]
			return fmt.Errorf("delete %s: %s", aws.ToString(first.Key), aws.ToString(first.Message))
		}
	}
	return nil
}
