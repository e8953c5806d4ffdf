package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"livekit-recorder/recorder/worker"
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

// createQueues makes a queue, and its dead-letter queue, which has "-dead" after its name. The redrive policy is the
// one of template.yaml.
func createQueues(ctx context.Context, client *awssqs.Client, name string) (url string, err error) {
	dead, err := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String(Dead(name))})
	if err != nil {
		return "", fmt.Errorf("create dead-letter queue: %w", err)
	}

	attributes, err := client.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{
		QueueUrl:       dead.QueueUrl,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", fmt.Errorf("read dead-letter queue: %w", err)
	}

	policy, err := json.Marshal(map[string]any{
		"deadLetterTargetArn": attributes.Attributes["QueueArn"],
		"maxReceiveCount":     worker.MaxReceives,
	})
	if err != nil {
		return "", fmt.Errorf("encode redrive policy: %w", err)
	}

	out, err := client.CreateQueue(ctx, &awssqs.CreateQueueInput{
		QueueName:  &name,
		Attributes: map[string]string{"RedrivePolicy": string(policy)},
	})
	if err != nil {
		return "", fmt.Errorf("create queue: %w", err)
	}
	return aws.ToString(out.QueueUrl), nil
}
