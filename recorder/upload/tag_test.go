package upload

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

func TestLabelsAreTags(t *testing.T) {
	store, _, _ := bucket(t)
	key := store.Key("room/alice é.webm")
	_, err := store.Client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &store.Bucket,
		Key:    &key,
		Body:   strings.NewReader("media"),
	})
	require.NoError(t, err)

	for range 2 { // whoever does it once more changes nothing
		require.NoError(t, store.Tag(t.Context(), key, map[string]string{
			"tenant": "7", "cost-center": "a/b=c", "name": "R&D (50 %)", "Größe 1": "名前", "none": "",
		}))
	}
	out, err := store.Client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &store.Bucket, Key: &key})
	require.NoError(t, err)
	tags := map[string]string{}
	for _, tag := range out.TagSet {
		tags[*tag.Key] = aws.ToString(tag.Value)
	}
	require.Equal(t, map[string]string{
		"tenant": "7", "cost-center": "a/b=c", "name": "R_D _50 __", "Größe 1": "名前", "none": "",
	}, tags)

	require.ErrorIs(t, store.Tag(t.Context(), store.Key("nobody.webm"), map[string]string{"a": "b"}), ErrNotTagged)
}
