package stack

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Build compiles the recorder, both forms of the API, and the queue server of infra/compose.yaml into a directory.
func Build(ctx context.Context, module, directory string) error {
	for name, source := range map[string]string{
		"recorder":  "./recorder",
		"bootstrap": "./functions/lambda",
		"api":       "./functions/server",
		"queues":    "./infra/queues",
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(directory, name), source)
		cmd.Dir = module
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", source, err, said)
		}
	}
	return nil
}

func (s *Stack) credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")
}

// SQSClient speaks to the local SQS.
func (s *Stack) SQSClient() *awssqs.Client {
	return awssqs.New(awssqs.Options{Region: region, BaseEndpoint: &s.SQS, Credentials: s.credentials()})
}

// S3Client speaks to the local S3.
func (s *Stack) S3Client() *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: &s.S3,
		Credentials:  s.credentials(),
		UsePathStyle: true,
	})
}

// Path is where an object of the bucket lies as a plain file.
func (s *Stack) Path(key string) string {
	return filepath.Join(s.BucketRoot, cmp.Or(s.bucket, Bucket), filepath.FromSlash(key))
}
