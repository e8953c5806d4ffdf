// Package environment makes the handler of functions/api of what the environment says, for the Lambda
// (functions/lambda) and the plain HTTP server (functions/server) alike.
package environment

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/functions/api"
	"livekit-recorder/shared/ecs"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// attemptTimeout bounds one attempt of a call to SQS or S3: a connection whose other end has gone, perhaps while the
// function was frozen, must leave time for another one.
const attemptTimeout = 3 * time.Second

// NewLog is a log of JSON lines, as which CloudWatch and others read fields.
func NewLog() *logrus.Logger {
	log := logrus.New()
	log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	return log
}

// Handler makes the handler that the environment asks for.
func Handler(ctx context.Context, log *logrus.Logger) (http.Handler, error) {
	s, err := readSettings()
	if err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	log.SetLevel(s.logLevel)

	aws, err := config.LoadDefaultConfig(ctx,
		config.WithDefaultRegion(s.region), // AWS_REGION is that of everything but the bucket
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
	)
	if err != nil {
		return nil, fmt.Errorf("configure AWS SDK: %w", err)
	}

	var documents *ledger.Documents
	if s.bucket != "" {
		// Stand-ins for S3, which have an address of their own, have no host names for buckets.
		client := s3.NewFromConfig(aws, func(o *s3.Options) {
			o.UsePathStyle = o.BaseEndpoint != nil
			o.Region = cmp.Or(s.region, o.Region)
		})
		documents = &ledger.Documents{Store: ledger.NewS3Store(client, s.bucket, s.directory)}
	}
	var wake func(context.Context)
	if s.service != "" {
		recorders := &ecs.Service{
			Client:  awsecs.NewFromConfig(aws),
			Cluster: s.cluster,
			Name:    s.service,
		}
		wake = (&waking{recorders: recorders, log: log}).wake
	}
	return api.New(api.Config{
		Keys:            s.keys.Open(aws, log),
		Starts:          queue.Open(aws, s.startQueue),
		Controls:        queue.Open(aws, s.controlQueue),
		Documents:       documents,
		AutoRecord:      s.autoRecord,
		Kinds:           s.kinds,
		Targets:         s.targets,
		PrivateWebhooks: s.privateWebhooks,
		Wake:            wake,
		Log:             log,
	}), nil
}
