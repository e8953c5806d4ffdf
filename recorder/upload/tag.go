package upload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ErrNotTagged says that an object cannot be tagged, and will not be: there is no right to (s3:PutObjectTagging), it
// has gone, or the store has no tags.
var ErrNotTagged = errors.New("the object cannot be tagged")

// noTag is what the values of tags must not have, which labels may.
var noTag = regexp.MustCompile(`[^\p{L}\p{N}\p{Z}_.:/=+\-@]`)

// Tag gives an object the labels of its recording as tags, in the place of those that it has. Characters that S3 does
// not allow in their values become "_"; keys are as they are. It is done when the object is there, not with its
// upload: whatever is wrong with tags must not stand in the way of a file.
func (s *S3) Tag(ctx context.Context, key string, labels map[string]string) error {
	tagging := &types.Tagging{}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		tagging.TagSet = append(tagging.TagSet, types.Tag{
			Key:   aws.String(label),
			Value: aws.String(noTag.ReplaceAllString(labels[label], "_")),
		})
	}

	_, err := s.Client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket:  &s.Bucket,
		Key:     &key,
		Tagging: tagging,
	})
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && hopelessStatus(answer.HTTPStatusCode()):
		return fmt.Errorf("tag object: %w: %w", ErrNotTagged, err)
	}
	return fmt.Errorf("tag object: %w", err)
}

// hopelessStatus says that the same request would get the same answer again.
func hopelessStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented:
		return true
	}
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError
}
