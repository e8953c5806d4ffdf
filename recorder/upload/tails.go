package upload

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"livekit-recorder/shared/document"
)

// tailInterval is how often what is in no part of the upload yet is put into the bucket, as objects of its own beside
// the files: .tails/FILE/OFFSET. With the seconds that frames wait for each other, and in ffmpeg, at most 10 seconds
// are lost with a machine.
const tailInterval = 5 * time.Second

// tailDirectory is where they are.
const tailDirectory = ".tails/"

// tails are such objects of one file.
type tails struct {
	stored []chunk // in order of their starts
	unsure []chunk // those that may be in the bucket: storing them has failed
}

// chunk is one of them, or its end: the file's bytes from start to end.
type chunk struct {
	key   string
	skip  int64 // bytes of the object before start
	start int64
	end   int64
	// written is when it came into the bucket.
	written time.Time
}

// length is how many bytes some that follow each other have.
func length(chain []chunk) (bytes int64) {
	for _, c := range chain {
		bytes += c.end - c.start
	}
	return bytes
}

func (s *S3) tailPrefix(name string) string {
	return document.Join(s.Directory, tailDirectory+name+"/")
}

// block is the most that one tail object has, and that is kept of them in memory, in bytes.
func (s *S3) block() int64 { return 2 * s.least() }

// putTail puts what has been written since the last time into the bucket, but for what fills a part, and is uploaded as
// such at the next opportunity; unless the bucket refuses parts.
func (u *Upload) putTail(ctx context.Context) error {
	if u.sent.lost {
		u.sent.lost = false // that is for parts to find out again
		return nil
	}

	size, err := u.size()
	if err != nil {
		return err
	}
	start := u.parts.bytes
	if !u.sent.behind {
		start = u.wholeParts(size)
	}
	if chain := follow(u.tails.stored, start); len(chain) > 0 {
		start = chain[len(chain)-1].end
	}

	for start < size {
		end := min(size, start+u.s3.block())
		if err := u.putChunk(ctx, start, end); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// wholeParts is where the parts that can be uploaded end, if the file has that size.
func (u *Upload) wholeParts(size int64) int64 {
	end := u.parts.bytes
	for n := u.next(); n < maximumPart && size-end >= u.s3.partSize(n); n++ {
		end += u.s3.partSize(n)
	}
	return end
}

func (u *Upload) putChunk(ctx context.Context, start, end int64) error {
	c := chunk{key: fmt.Sprintf("%s%015d", u.s3.tailPrefix(u.name), start), start: start, end: end}
	size := end - start
	_, err := u.s3.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:        &u.s3.Bucket,
		Key:           &c.key,
		Body:          io.NewSectionReader(u.file, start, size),
		ContentLength: &size,
	})
	if err != nil {
		u.tails.unsure = append(u.tails.unsure, c) // only the answer may have been lost
		return fmt.Errorf("put tail: %w", err)
	}

	u.tails.stored = append(u.tails.stored, c)
	slices.SortStableFunc(u.tails.stored, func(a, b chunk) int { return cmp.Compare(a.start, b.start) })
	return nil
}

// dropTails removes the tail objects that the parts up to an offset have made superfluous; below 0: all.
func (u *Upload) dropTails(ctx context.Context, uploaded int64) error {
	needed := func(c chunk) bool { return uploaded >= 0 && c.end > uploaded }
	stored := slices.DeleteFunc(slices.Clone(u.tails.stored), func(c chunk) bool { return !needed(c) })
	unsure := slices.DeleteFunc(slices.Clone(u.tails.unsure), func(c chunk) bool { return !needed(c) })

	var drop []chunk
	for _, c := range slices.Concat(u.tails.stored, u.tails.unsure) {
		if !needed(c) && !slices.ContainsFunc(stored, func(n chunk) bool { return n.key == c.key }) {
			drop = append(drop, c)
		}
	}
	if err := u.s3.remove(ctx, drop); err != nil {
		return err
	}
	u.tails = tails{stored: stored, unsure: unsure}
	return nil
}

func (s *S3) remove(ctx context.Context, chunks []chunk) error {
	const most = 1000 // keys in one DeleteObjects call
	for batch := range slices.Chunk(chunks, most) {
		in := &s3.DeleteObjectsInput{Bucket: &s.Bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
		for _, c := range batch {
			in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &c.key})
		}

		out, err := s.Client.DeleteObjects(ctx, in)
		if err != nil {
			return fmt.Errorf("delete tail objects: %w", err)
		}
		if len(out.Errors) > 0 {
			first := out.Errors[0]
			return fmt.Errorf("delete tail object %s: %s", aws.ToString(first.Key), aws.ToString(first.Message))
		}
	}
	return nil
}

// listTails lists the tail objects of a file, in order.
func (s *S3) listTails(ctx context.Context, name string) (chunks []chunk, err error) {
	prefix := s.tailPrefix(name)
	pages := s3.NewListObjectsV2Paginator(s.Client, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list tail objects: %w", err)
		}
		for _, object := range page.Contents {
			key := aws.ToString(object.Key)
			start, err := strconv.ParseInt(strings.TrimPrefix(key, prefix), 10, 64)
			if err != nil {
				continue // not one of ours
			}
			chunks = append(chunks, chunk{
				key:     key,
				start:   start,
				end:     start + aws.ToInt64(object.Size),
				written: aws.ToTime(object.LastModified),
			})
		}
	}
	return chunks, nil
}

// follow picks the tail objects, or the ends of them, that go on from an offset without a hole.
func follow(chunks []chunk, from int64) (chain []chunk) {
	for _, c := range chunks { // in order of their starts
		if c.start <= from && c.end > from {
			chain = append(chain, chunk{key: c.key, skip: from - c.start, start: from, end: c.end})
			from = c.end
		}
	}
	return chain
}

// blocks reads what [follow] has picked, and hands it on in blocks, of which only the last one may be smaller.
func (s *S3) blocks(ctx context.Context, chain []chunk, hand func([]byte) error) error {
	var block bytes.Buffer
	for _, c := range chain {
		err := s.readChunk(ctx, c, func(r io.Reader) error {
			for {
				_, err := io.CopyN(&block, r, s.block()-int64(block.Len()))
				if errors.Is(err, io.EOF) {
					return nil // the block goes on with the next one
				}
				if err == nil {
					err = hand(block.Bytes())
				}
				if err != nil {
					return err
				}
				block.Reset()
			}
		})
		if err != nil {
			return err
		}
	}

	if block.Len() == 0 {
		return nil
	}
	return hand(block.Bytes())
}

func (s *S3) readChunk(ctx context.Context, c chunk, read func(io.Reader) error) error {
	bytes := fmt.Sprintf("bytes=%d-%d", c.skip, c.skip+c.end-c.start-1)
	out, err := s.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &c.key, Range: &bytes})
	if err != nil {
		return fmt.Errorf("get tail object: %w", err)
	}
	defer out.Body.Close()

	if err := read(out.Body); err != nil {
		return fmt.Errorf("read tail object: %w", err)
	}
	return nil
}
