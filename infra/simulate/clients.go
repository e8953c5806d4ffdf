package simulate

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	region = "us-east-1"
	// bucketName is the simulated bucket; directory is S3_DIRECTORY.
	bucketName = "bucket"
	directory  = "participants"
	// minimumPart is the least size of an uploaded part, in bytes: in proportion to frames of a hundred bytes, four a
	// second, what 5 MiB are to real video.
	minimumPart = 4 << 10
	// attemptTimeout bounds one attempt of a call of S3. A long poll of SQS takes up to 20 seconds.
	attemptTimeout = 20 * time.Second
	smallTimeout   = 3 * time.Second
	pollTimeout    = 30 * time.Second
)

// s3Client is the real SDK on a way to the simulated bucket. Addresses begin with https, as on AWS: the SDK then
// sends checksums behind the bodies. Nothing is signed, which would only take time.
func s3Client(c *client) *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: aws.String("https://s3.simulated"),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   c,
		UsePathStyle: true,
	})
}

// sqsClient is the real SDK on a way to the simulated queues.
func sqsClient(c *client) *awssqs.Client {
	return awssqs.New(awssqs.Options{
		Region:       region,
		BaseEndpoint: aws.String(queueAddress),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   c,
	})
}
