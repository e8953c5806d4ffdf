package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"livekit-recorder/shared/document"
)

const (
	// bucketTimeout bounds the check of a bucket, which takes 17 calls one after the other: a far one that answers each
	// after a second is well.
	bucketTimeout = 20 * time.Second
	// tidyTimeout bounds the removal of what a check has left.
	tidyTimeout = 2 * time.Second
)

// bucket is a bucket that is tried out with one object, which looks like a recorder's journal: only those may be
// deleted, and should it be left behind, it is removed as those are.
type bucket struct {
	client  *s3.Client
	name    string
	key     string
	upload  string // id of one that has not ended
	written bool
}

// Bucket finds out whether a bucket does what recorders need: above all, that it refuses writes on a condition that
// does not hold. Who owns a recording is decided by that.
func Bucket(client *s3.Client, name, directory string) Check {
	return Check{Name: "bucket", Timeout: bucketTimeout, Run: func(ctx context.Context) Finding {
		b := &bucket{
			client: client,
			name:   name,
			key:    document.Join(directory, ".journal/check-"+rand.Text()+"/probe"),
		}
		defer b.tidy(ctx)

		steps := []step{
			{"s3:PutObject", b.create},
			{"s3:GetObject", b.read},
			{"s3:PutObject", b.replace},
			{"s3:ListBucket", b.list},
			{"s3:PutObject", b.multipart},
			{"s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts", b.listUploads},
			{"s3:AbortMultipartUpload", b.abort},
			{"s3:DeleteObject on " + document.Join(directory, ".journal/*"), b.remove},
		}
		for n, s := range steps {
			if found, well := b.take(ctx, s); !well {
				found.Detail += fmt.Sprintf(" (at step %d of %d, which needs %s)", n+1, len(steps), s.right)
				return found
			}
		}
		return ok("%s in %s can be written to and read, and keeps conditions", name, client.Options().Region)
	}}
}

// step is one of what is tried out.
type step struct {
	right string // what has to be granted for it
	do    func(context.Context) error
}

// take tries a step, which may take as long as a whole check of another kind: whether a bucket is away is known then.
func (b *bucket) take(ctx context.Context, s step) (found Finding, well bool) {
	bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if err := s.do(bounded); err != nil {
		return b.finding(bounded, s.right, err), false
	}
	return Finding{}, true
}

// lenient says what a storage does that breaks a promise.
type lenient struct{ what string }

func (l lenient) Error() string { return l.what }

// mustRefuse takes the answer to a write on a condition that does not hold.
func mustRefuse(what string, err error) error {
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		return lenient{what}
	case errors.As(err, &response) && response.HTTPStatusCode() == http.StatusPreconditionFailed:
		return nil
	}
	return err
}

// body is what a try writes: no two are the same, and so are their tags.
func body(n int) string {
	return fmt.Sprintf("written by a recorder's check, try %d: it may be deleted\n", n)
}

func (b *bucket) put(ctx context.Context, n int, match, noneMatch *string) (tag *string, err error) {
	out, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:      &b.name,
		Key:         &b.key,
		Body:        strings.NewReader(body(n)),
		IfMatch:     match,
		IfNoneMatch: noneMatch,
	})
	if err != nil {
		return nil, err
	}
	return out.ETag, nil
}

func (b *bucket) create(ctx context.Context) error {
	b.written = true // should the answer get lost, it may be
	if _, err := b.put(ctx, 1, nil, aws.String("*")); err != nil {
		return err
	}
	_, err := b.put(ctx, 2, nil, aws.String("*"))
	return mustRefuse("it overwrites an object in spite of If-None-Match: *", err)
}

func (b *bucket) read(ctx context.Context) error {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &b.key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	read, err := io.ReadAll(out.Body)
	if err == nil && string(read) != body(1) {
		return lenient{"what was read is not what was written"}
	}
	return err
}

func (b *bucket) replace(ctx context.Context) error {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &b.key})
	if err != nil {
		return err
	}
	tag, err := b.put(ctx, 3, out.ETag, nil)
	if err != nil {
		return err
	}
	if aws.ToString(tag) == aws.ToString(out.ETag) {
		return lenient{"two versions of an object have the same ETag"}
	}
	_, err = b.put(ctx, 4, out.ETag, nil)
	return mustRefuse("it overwrites an object in spite of an If-Match that does not match", err)
}

func (b *bucket) list(ctx context.Context) error {
	out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &b.key})
	if err == nil && len(out.Contents) != 1 {
		return lenient{"its lists lack what has just been written"}
	}
	return err
}

// multipart brings an upload to its end twice: as an object that must not be there, and in place of the one that is.
func (b *bucket) multipart(ctx context.Context) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	sent, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:     &b.name,
		Key:        &b.key,
		UploadId:   &b.upload,
		PartNumber: aws.Int32(1),
		Body:       bytes.NewReader([]byte(body(5))),
	})
	if err != nil {
		return err
	}

	end := &s3.CompleteMultipartUploadInput{
		Bucket:   &b.name,
		Key:      &b.key,
		UploadId: &b.upload,
		MultipartUpload: &types.CompletedMultipartUpload{
			Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: sent.ETag}},
		},
		IfNoneMatch: aws.String("*"),
	}
	_, err = b.client.CompleteMultipartUpload(ctx, end)
	if err := mustRefuse("it completes an upload over an object in spite of If-None-Match: *", err); err != nil {
		return err
	}

	now, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &b.key})
	if err != nil {
		return err
	}
	end.IfMatch, end.IfNoneMatch = now.ETag, nil
	if _, err = b.client.CompleteMultipartUpload(ctx, end); err == nil {
		b.upload = ""
	}
	return err
}

func (b *bucket) begin(ctx context.Context) error {
	out, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: &b.key})
	if err == nil {
		b.upload = aws.ToString(out.UploadId)
	}
	return err
}

func (b *bucket) listUploads(ctx context.Context) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	_, err := b.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: &b.key})
	if err != nil {
		return err
	}
	_, err = b.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &b.name, Key: &b.key, UploadId: &b.upload})
	return err
}

func (b *bucket) abort(ctx context.Context) error {
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket:   &b.name,
		Key:      &b.key,
		UploadId: &b.upload,
	})
	if err == nil {
		b.upload = ""
	}
	return err
}

func (b *bucket) remove(ctx context.Context) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &b.key})
	if err == nil {
		b.written = false
	}
	return err
}

// tidy removes what is left after a failure, as far as that is possible: a lifecycle rule, or a recorder's sweeping,
// removes the rest.
func (b *bucket) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if b.upload != "" {
		_ = b.abort(ctx)
	}
	if b.written {
		_ = b.remove(ctx)
	}
}

// finding says what is to be done about an error.
func (b *bucket) finding(ctx context.Context, right string, err error) Finding {
	var broken lenient
	if errors.As(err, &broken) {
		return wrong("S3_BUCKET", "use a storage that honours If-Match and If-None-Match for PutObject and "+
			"CompleteMultipartUpload, as S3 does", "%s cannot be used: %v", b.name, err)
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "NotImplemented" {
		return wrong("S3_BUCKET", "use another storage", "the storage of %s lacks what %s is for", b.name, right)
	}

	f := faultOf(ctx, err)
	if region := regionOf(err); region != "" && region != b.client.Options().Region {
		return wrong("S3_REGION", "set it to "+region, "%s is in %s", b.name, region)
	}
	if f.State == Away {
		b.written = false // who does not answer need not be asked to delete
		return Finding{
			State:   Away,
			Setting: "S3_BUCKET",
			Remedy:  "see that this network leads to S3 in " + b.client.Options().Region,
			Detail:  f.text,
		}
	}
	setting, remedy := remedyOfS3(f, right)
	return wrong(setting, remedy, "%s: %s", b.name, f.text)
}
