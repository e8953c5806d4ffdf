package sqs

import (
	"context"
	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Local serves queues of those names on a free port, for tests. Stop must be called.
func Local(ctx context.Context, names ...string) (client *awssqs.Client, urls []string, stop func(), err error) {
	handler := New("")
	server := httptest.NewServer(handler)
	handler.URL = server.URL
	client = awssqs.New(awssqs.Options{
		Region:           region,
		BaseEndpoint:     &server.URL,
		RetryMaxAttempts: 1,
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
	})

	for _, name := range names {
		out, err := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			server.Close()
			return nil, nil, nil, err
		}
		urls = append(urls, aws.ToString(out.QueueUrl))
	}

	return client, urls, server.Close, nil
}
