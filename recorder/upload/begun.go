package upload

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"livekit-recorder/shared/document"
)

// Begun lists the names of all parts of a recording with that file name of which something is in the bucket that is not
// an object of its own yet: a recorder may have vanished before it could say that it had begun one.
func (s *S3) Begun(ctx context.Context, file string) (names []string, err error) {
	found := func(key, directory string) {
		name := strings.TrimPrefix(key, document.Join(s.Directory, directory))
		if document.IsPart(file, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}

	uploads := s3.NewListMultipartUploadsPaginator(s.Client, &s3.ListMultipartUploadsInput{
		Bucket: &s.Bucket,
		Prefix: aws.String(s.Key(file + ".")),
	})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list multipart uploads: %w", err)
		}
		for _, u := range page.Uploads {
			found(aws.ToString(u.Key), "")
		}
	}

	_, marks, err := s.list(ctx, markDirectory+file+".")
	for _, m := range marks {
		found(strings.TrimSuffix(aws.ToString(m.Prefix), "/"), markDirectory)
	}
	return names, err
}

// Stored lists the names of all parts of a recording with that file name that are objects, with their sizes in bytes.
func (s *S3) Stored(ctx context.Context, file string) (sizes map[string]int64, err error) {
	objects, _, err := s.list(ctx, file+".")
	sizes = map[string]int64{}
	for _, o := range objects {
		if name := strings.TrimPrefix(aws.ToString(o.Key), s.Key("")); document.IsPart(file, name) {
			sizes[name] = aws.ToInt64(o.Size)
		}
	}
	return sizes, err
}

// list lists the objects whose names begin with a prefix, and the directories below it.
func (s *S3) list(ctx context.Context, prefix string) (
	objects []types.Object, directories []types.CommonPrefix, err error) {
	pages := s3.NewListObjectsV2Paginator(s.Client, &s3.ListObjectsV2Input{
		Bucket:    &s.Bucket,
		Prefix:    aws.String(document.Join(s.Directory, prefix)),
		Delimiter: aws.String("/"),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("list objects: %w", err)
		}
		objects = append(objects, page.Contents...)
		directories = append(directories, page.CommonPrefixes...)
	}
	return objects, directories, nil
}
