// The Lambda behind the HTTP API: the handler of functions/api, made of what the environment says, and fed with API
// Gateway's events.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/functions/api"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// attemptTimeout bounds one attempt of a call to SQS or S3: a connection whose other end has gone, perhaps while the
// function was frozen, must leave time for another one.
const attemptTimeout = 3 * time.Second

func main() {
	log := logrus.New()
	log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})

	handler, err := build(context.Background(), log)
	if err != nil {
		log.WithError(err).Error("function cannot start")
		os.Exit(1)
	}
	lambda.Start(front{handler}.handle)
}

// build makes the handler that the environment asks for.
func build(ctx context.Context, log *logrus.Logger) (http.Handler, error) {
	s, err := readSettings()
	if err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	log.SetLevel(s.logLevel)

	aws, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(s.region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
	)
	if err != nil {
		return nil, fmt.Errorf("configure AWS SDK: %w", err)
	}

	var documents *ledger.Documents
	if s.bucket != "" {
		// Stand-ins for S3, which have an address of their own, have no host names for buckets.
		client := s3.NewFromConfig(aws, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
		documents = &ledger.Documents{Store: ledger.NewS3Store(client, s.bucket, s.directory)}
	}
	queues := sqs.NewFromConfig(aws)
	return api.New(api.Config{
		Keys:            auth.NewSimpleKeyProvider(s.apiKey, s.apiSecret),
		Starts:          &queue.Queue{Client: queues, URL: s.startQueue},
		Controls:        &queue.Queue{Client: queues, URL: s.controlQueue},
		Documents:       documents,
		AutoRecord:      s.autoRecord,
		PrivateWebhooks: s.privateWebhooks,
		Log:             log,
	}), nil
}
