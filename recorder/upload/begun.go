package upload

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

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

	tails := s3.NewListObjectsV2Paginator(s.Client, &s3.ListObjectsV2Input{
		Bucket:    &s.Bucket,
		Prefix:    aws.String(document.Join(s.Directory, tailDirectory+file+".")),
		Delimiter: aws.String("/"),
	})
	for tails.HasMorePages() {
		page, err := tails.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list tail objects: %w", err)
		}
		for _, p := range page.CommonPrefixes {
			found(strings.TrimSuffix(aws.ToString(p.Prefix), "/"), tailDirectory)
		}
	}
	return names, nil
}
