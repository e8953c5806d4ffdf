package upload

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"livekit-recorder/shared/ledger"
)

// tailInterval is how often what is in no part of the upload yet is put into the bucket, as objects of its own beside the
// files: .tails/FILE/OFFSET. With the seconds that frames wait for each other, and in ffmpeg, at most 10 seconds are lost
// with a machine.
const tailInterval = 5 * time.Second

// chunk is one such object: the file's bytes from start to end.
type chunk struct {
	key        string
	start, end int64
}

func (s *S3) tailPrefix(name string) string { return ledger.Join(s.Directory, ".tails/"+name+"/") }

// putTail puts what has been written since the last time into the bucket.
func (u *Upload) putTail(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	size, err := u.size()
	if err != nil {
		return err
	}
	start := u.uploaded
	if n := len(u.chunks); n > 0 {
		start = max(start, u.chunks[n-1].end)
	}
	if size <= start {
		return nil
	}
	c := chunk{key: fmt.Sprintf("%s%015d", u.s3.tailPrefix(u.name), start), start: start, end: size}
	length := size - start
	_, err = u.s3.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.s3.Bucket, Key: &c.key, Body: io.NewSectionReader(u.file, start, length), ContentLength: &length,
	})
	if err != nil {
		u.unsure = append(u.unsure, c) // only the answer may have been lost
		return fmt.Errorf("put tail: %w", err)
	}
	u.chunks = append(u.chunks, c)
	return nil
}

// dropTails removes the tail objects that the parts up to an offset have made superfluous.
func (u *Upload) dropTails(ctx context.Context, uploaded int64) error {
	superfluous := func(c chunk) bool { return c.end <= uploaded }
	needed := slices.DeleteFunc(slices.Clone(u.chunks), superfluous)
	unsure := slices.DeleteFunc(slices.Clone(u.unsure), superfluous)
	if len(needed) == len(u.chunks) && len(unsure) == len(u.unsure) {
		return nil
	}
	var drop []chunk
	for _, c := range slices.Concat(u.chunks, u.unsure) {
		if superfluous(c) && !slices.ContainsFunc(needed, func(n chunk) bool { return n.key == c.key }) {
			drop = append(drop, c)
		}
	}
	if err := u.s3.remove(ctx, drop); err != nil {
		return err
	}
	u.chunks, u.unsure = needed, unsure
	return nil
}

func (s *S3) remove(ctx context.Context, chunks []chunk) error {
	const most = 1000 // keys in one DeleteObjects call
	for len(chunks) > 0 {
		batch := chunks[:min(most, len(chunks))]
		chunks = chunks[len(batch):]
		in := &s3.DeleteObjectsInput{Bucket: &s.Bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
		for _, c := range batch {
			in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &c.key})
		}
		out, err := s.Client.DeleteObjects(ctx, in)
		if err != nil {
			return fmt.Errorf("delete tail objects: %w", err)
		}
		if len(out.Errors) > 0 {
			return fmt.Errorf("delete tail object %s: %s", aws.ToString(out.Errors[0].Key), aws.ToString(out.Errors[0].Message))
		}
	}
	return nil
}

// tails lists the tail objects of a file, in order.
func (s *S3) tails(ctx context.Context, name string) (chunks []chunk, err error) {
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
			chunks = append(chunks, chunk{key: key, start: start, end: start + aws.ToInt64(object.Size)})
		}
	}
	return chunks, nil
}

// follow picks the tail objects, or pieces of them, that go on from an offset without a hole.
func follow(chunks []chunk, from int64) (chain []chunk) {
	for _, c := range chunks { // in order of their starts
		if c.start <= from && c.end > from {
			chain = append(chain, chunk{c.key, from, c.end})
			from = c.end
		}
	}
	return chain
}

// readChain reads what [follow] has picked.
func (s *S3) readChain(ctx context.Context, chunks, chain []chunk, to io.Writer) error {
	starts := map[string]int64{}
	for _, c := range chunks {
		starts[c.key] = c.start
	}
	for _, c := range chain {
		out, err := s.Client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &s.Bucket, Key: &c.key, Range: aws.String(fmt.Sprintf("bytes=%d-", c.start-starts[c.key])),
		})
		if err != nil {
			return fmt.Errorf("get tail object: %w", err)
		}
		_, err = io.Copy(to, out.Body)
		_ = out.Body.Close() // it has been read
		if err != nil {
			return fmt.Errorf("get tail object: %w", err)
		}
	}
	return nil
}
