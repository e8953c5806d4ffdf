// The Lambda behind the HTTP API: it verifies and validates REST calls and LiveKit's webhooks, and puts commands on the
// queues. It knows no media.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

func main() {
	log := logrus.New()
	log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	a, err := newAPI(context.Background(), log)
	if err != nil {
		log.WithError(err).Error("function cannot start")
		os.Exit(1)
	}
	lambda.Start(a.handle)
}

// newAPI reads the environment and names everything that is wrong with it.
func newAPI(ctx context.Context, log *logrus.Logger) (*api, error) {
	var missing []string
	required := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	key, secret := required("LIVEKIT_API_KEY"), required("LIVEKIT_API_SECRET")
	starts, controls := required("START_QUEUE_URL"), required("CONTROL_QUEUE_URL")
	if len(missing) > 0 {
		return nil, fmt.Errorf("read environment: %v not set", missing)
	}
	level, err := logrus.ParseLevel(orElse(os.Getenv("LOG_LEVEL"), "info"))
	if err != nil {
		return nil, fmt.Errorf("read environment: LOG_LEVEL must be debug, info, warn or error")
	}
	log.SetLevel(level)
	rules, err := parseRules(orElse(os.Getenv("AUTO_RECORD"), "all"))
	if err != nil {
		return nil, fmt.Errorf("read environment: AUTO_RECORD %w", err)
	}
	aws, err := config.LoadDefaultConfig(ctx, config.WithRegion(orElse(os.Getenv("S3_REGION"), os.Getenv("AWS_REGION"))),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)))
	if err != nil {
		return nil, fmt.Errorf("configure AWS SDK: %w", err)
	}
	client := sqs.NewFromConfig(aws)
	a := &api{
		keys: auth.NewSimpleKeyProvider(key, secret), rules: rules, log: log,
		starts:   &queue.Queue{Client: client, URL: starts},
		controls: &queue.Queue{Client: client, URL: controls},
	}
	if bucket := os.Getenv("S3_BUCKET"); bucket != "" {
		pathStyle := func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }
		a.documents = &ledger.Documents{
			Store: ledger.NewS3Store(s3.NewFromConfig(aws, pathStyle), bucket, os.Getenv("S3_DIRECTORY")),
		}
	}
	return a, nil
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
