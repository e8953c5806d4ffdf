package queue_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/queue"
)

// The bucket may be in another region than the queues: asked for in the wrong one, a queue does not exist.
func TestAQueueIsAskedForWhereItIs(t *testing.T) {
	for address, region := range map[string]string{
		"https://sqs.eu-central-1.amazonaws.com/123456789012/starts":    "eu-central-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/starts":   "cn-north-1",
		"https://sqs-fips.us-west-2.amazonaws.com/123456789012/starts":  "us-west-2",
		"https://sqs.us-east-1.api.aws/123456789012/starts":             "us-east-1",
		"http://127.0.0.1:9324/000000000000/starts":                     "here-1",
		"https://sqs.example.com/000000000000/starts":                   "here-1",
		"https://sqs.eu-central-1.amazonaws.com.example.com/0/starts":   "here-1",
		"https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/0000/starts":   "here-1",
		"https://sqs.eu-central-1.amazonaws.com:443/123456789012/other": "eu-central-1",
	} {
		q := queue.Open(aws.Config{Region: "here-1"}, address)
		require.Equal(t, region, q.Client.Options().Region, address)
		require.Equal(t, address, q.URL)
	}
}
