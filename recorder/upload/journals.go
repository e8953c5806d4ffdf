package upload

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"livekit-recorder/shared/document"
)

const (
	// headSize is how many bytes of an entry are read for its index: enough for some 50 files.
	headSize = 8 << 10
	// readTogether is how many entries are read at once, and mostIndexes how many indexes are remembered.
	readTogether = 8
	mostIndexes  = 4096
	// largestIndex is more than any index of ours has, in bytes: that of 1,000 files with the longest names.
	largestIndex = 2 << 20
)

// backlog is what journals have of a file.
type backlog struct {
	recorders []string // whose journals
	chunks    []chunk  // in order of their starts
}

// journaled finds what journals have of a file.
func (s *S3) journaled(ctx context.Context, name string) (b backlog, err error) {
	if b.recorders, err = s.journalsWith(ctx, name); err != nil {
		return b, err
	}
	for _, recorder := range b.recorders {
		chunks, err := s.chunks(ctx, name, recorder)
		if err != nil {
			return b, err
		}
		b.chunks = append(b.chunks, chunks...)
	}
	slices.SortStableFunc(b.chunks, func(a, b chunk) int { return cmp.Compare(a.start, b.start) })
	return b, nil
}

// journalsWith finds the recorders whose journals have something of a file.
func (s *S3) journalsWith(ctx context.Context, name string) (recorders []string, err error) {
	prefix := s.markPrefix(name)
	return recorders, s.each(ctx, prefix, func(o listed) {
		recorders = append(recorders, strings.TrimPrefix(o.key, prefix))
	})
}

// listed is an object in a list.
type listed struct {
	key     string
	size    int64
	written time.Time
}

// each lists the objects below a prefix, those in its directories included.
func (s *S3) each(ctx context.Context, prefix string, found func(listed)) error {
	pages := s3.NewListObjectsV2Paginator(s.Client, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list journals: %w", err)
		}
		for _, o := range page.Contents {
			found(listed{aws.ToString(o.Key), aws.ToInt64(o.Size), aws.ToTime(o.LastModified)})
		}
	}
	return nil
}

// chunks finds what one recorder's journal has of a file.
func (s *S3) chunks(ctx context.Context, name, recorder string) (chunks []chunk, err error) {
	var entries []listed
	if err := s.each(ctx, s.entryPrefix(recorder), func(o listed) { entries = append(entries, o) }); err != nil {
		return nil, err
	}

	indexes := make([]index, len(entries))
	var reading errgroup.Group
	reading.SetLimit(readTogether)
	for n, e := range entries {
		reading.Go(func() (err error) {
			indexes[n], err = s.index(ctx, e)
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}

	for n, index := range indexes {
		at := index.length
		for _, i := range index.files {
			if i.File == name {
				chunks = append(chunks, chunk{
					key:     entries[n].key,
					skip:    at,
					start:   i.Start,
					end:     i.Start + i.Length,
					written: entries[n].written,
				})
			}
			at += i.Length
		}
	}
	return chunks, nil
}

// index is what an entry has.
type index struct {
	length int64 // of the index itself, in bytes: the files' bytes follow
	files  []indexed
}

// indexes remembers the indexes of entries, which never change: a recorder that has vanished had many recordings.
type indexes struct {
	mu    sync.Mutex
	known map[string]index
}

func (i *indexes) get(key string) (index, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.known[key]
	return known, ok
}

func (i *indexes) put(key string, read index) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known == nil || len(i.known) >= mostIndexes {
		i.known = map[string]index{}
	}
	i.known[key] = read
}

// index reads the index of an entry. That of one which has been removed meanwhile, or is none of ours, is empty.
func (s *S3) index(ctx context.Context, e listed) (index, error) {
	if known, ok := s.indexes.get(e.key); ok {
		return known, nil
	}

	read, err := s.readIndex(ctx, e)
	switch {
	case isCode(err, "NoSuchKey"):
		return index{}, nil
	case errors.Is(err, errNoIndex):
		s.Log.WithError(err).WithField("key", e.key).Error("journal entry cannot be understood, what it has is left out")
		read = index{}
	case err != nil:
		return index{}, fmt.Errorf("read index of %s: %w", e.key, err)
	}
	s.indexes.put(e.key, read)
	return read, nil
}

// errNoIndex says that an object is no entry of a journal.
var errNoIndex = errors.New("it has no index")

func (s *S3) readIndex(ctx context.Context, e listed) (index, error) {
	if e.size < lengthOfLength {
		return index{}, errNoIndex
	}
	head, err := s.readHead(ctx, e.key, headSize)
	if err != nil {
		return index{}, err
	}
	if len(head) < lengthOfLength {
		return index{}, errNoIndex
	}

	length := lengthOfLength + int64(binary.BigEndian.Uint32(head))
	if length > min(e.size, largestIndex) {
		return index{}, fmt.Errorf("%w: its length would be %d", errNoIndex, length)
	}
	if length > int64(len(head)) {
		if head, err = s.readHead(ctx, e.key, length); err != nil {
			return index{}, err
		}
	}
	if length > int64(len(head)) {
		return index{}, fmt.Errorf("%w: it is cut off", errNoIndex)
	}
	return parseIndex(head[lengthOfLength:length], e.size-length)
}

// parseIndex reads an index, behind which there are so many bytes.
func parseIndex(encoded []byte, size int64) (index, error) {
	read := index{length: lengthOfLength + int64(len(encoded))}
	if err := json.Unmarshal(encoded, &read.files); err != nil {
		return index{}, fmt.Errorf("%w: %w", errNoIndex, err)
	}

	for _, f := range read.files {
		if f.Start < 0 || f.Length <= 0 || f.Length > size || f.Start+f.Length < f.Start {
			return index{}, fmt.Errorf("%w: bytes %d+%d of %s", errNoIndex, f.Start, f.Length, f.File)
		}
		size -= f.Length
	}
	return read, nil
}

func (s *S3) readHead(ctx context.Context, key string, size int64) ([]byte, error) {
	out, err := s.Client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.Bucket,
		Key:    &key,
		Range:  aws.String(fmt.Sprintf("bytes=0-%d", size-1)),
	})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(io.LimitReader(out.Body, size))
}

// discard removes what journals have of a file that is recovered, as far as nobody else needs it: the marks, and the
// entries of recorders that no other file has a mark of.
func (s *S3) discard(ctx context.Context, name string, recorders []string) error {
	for _, recorder := range recorders {
		mark := s.markPrefix(name) + recorder
		gone, err := s.discardEntries(ctx, recorder, mark)
		if err == nil {
			err = s.remove(ctx, []string{mark})
		}
		if err == nil && !gone { // whoever recovers another file may have seen this one's mark
			_, err = s.discardEntries(ctx, recorder, mark)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// discardEntries removes the entries of a recorder, unless there is another mark of it than that one. They are listed
// before the marks are: of a recorder that lives, none goes then that has something of a file which it has begun since.
func (s *S3) discardEntries(ctx context.Context, recorder, mark string) (gone bool, err error) {
	var keys []string
	if err := s.each(ctx, s.entryPrefix(recorder), func(o listed) { keys = append(keys, o.key) }); err != nil {
		return false, err
	}

	needed := false
	err = s.each(ctx, document.Join(s.Directory, markDirectory), func(o listed) {
		needed = needed || o.key != mark && strings.HasSuffix(o.key, "/"+recorder)
	})
	if err != nil || needed {
		return false, err
	}
	return true, s.remove(ctx, keys)
}

// sweepAge is how old the newest entry of a recorder must be that nobody can find, for all of them to be removed: more
// than clocks differ by, and than an entry and its marks may be apart.
const sweepAge = 10 * time.Minute

// Sweep removes the entries of recorders of whom no file has a mark, and that have written none for long. They are of
// files that were recovered while their recorder lived, or whoever recovered the last one has vanished before this.
func (s *S3) Sweep(ctx context.Context) error {
	entries, newest, marked := map[string][]string{}, map[string]time.Time{}, map[string]bool{}
	root, marks := document.Join(s.Directory, journalDirectory), document.Join(s.Directory, markDirectory)
	err := s.each(ctx, root, func(o listed) {
		if strings.HasPrefix(o.key, marks) {
			marked[o.key[strings.LastIndex(o.key, "/")+1:]] = true
			return
		}
		recorder, _, _ := strings.Cut(strings.TrimPrefix(o.key, root), "/")
		entries[recorder] = append(entries[recorder], o.key)
		newest[recorder] = later(newest[recorder], o.written)
	})
	if err != nil {
		return err
	}

	for recorder, keys := range entries {
		if marked[recorder] || time.Since(newest[recorder]) < sweepAge {
			continue
		}
		if err := s.remove(ctx, keys); err != nil {
			return err
		}
		s.Log.WithFields(logrus.Fields{"of": recorder, "entries": len(keys)}).Info("journal that nobody needs removed")
	}
	return nil
}
