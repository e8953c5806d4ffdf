package stack

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// isState says whether an object is one of those that stay: entries, the index, and what recorders have reached once.
func isState(key string) bool {
	for _, directory := range []string{".ledger", ".recordings", ".reached"} {
		if strings.HasPrefix(key, Directory+"/"+directory+"/") {
			return true
		}
	}
	return false
}

// Leftovers lists what is in the bucket beside the files of these recordings, their documents, and the ledger:
// objects, and uploads that nobody has completed.
func (s *Stack) Leftovers(ctx context.Context, recordings ...document.Recording) (left []string, err error) {
	expected := map[string]bool{}
	for _, r := range recordings {
		expected[Directory+"/"+ledger.DocumentKey(r.File)] = true
		for _, part := range r.Parts {
			expected[part.Key] = true
		}
	}

	client := s.S3Client()
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(Bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list objects: %w", err)
		}
		for _, object := range page.Contents {
			key := aws.ToString(object.Key)
			if !isState(key) && !expected[key] {
				left = append(left, key)
			}
		}
	}

	uploads, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: aws.String(Bucket)})
	if err != nil {
		return nil, fmt.Errorf("list multipart uploads: %w", err)
	}

	for _, u := range uploads.Uploads {
		left = append(left, "the upload of "+aws.ToString(u.Key))
	}
	return left, nil
}
