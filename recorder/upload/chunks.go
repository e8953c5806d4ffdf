package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// chunk is what an entry has of a file, or the end of that: the file's bytes from start to end.
type chunk struct {
	key   string
	skip  int64 // bytes of the entry before start
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

// follow picks the chunks, or the ends of them, that go on from an offset without a hole.
func follow(chunks []chunk, from int64) (chain []chunk) {
	for _, c := range chunks { // in order of their starts
		if c.start <= from && c.end > from {
			chain = append(chain, chunk{key: c.key, skip: c.skip + from - c.start, start: from, end: c.end})
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
		return fmt.Errorf("get journal entry: %w", err)
	}
	defer out.Body.Close()

	counted := &counting{Reader: out.Body}
	if err := read(counted); err != nil {
		return fmt.Errorf("read journal entry: %w", err)
	}
	if counted.bytes != c.end-c.start {
		return fmt.Errorf("read journal entry: %d bytes, not %d: %w", counted.bytes, c.end-c.start, io.ErrUnexpectedEOF)
	}
	return nil
}

// counting counts what is read.
type counting struct {
	io.Reader
	bytes int64
}

func (c *counting) Read(p []byte) (n int, err error) {
	n, err = c.Reader.Read(p)
	c.bytes += int64(n)
	return n, err
}
