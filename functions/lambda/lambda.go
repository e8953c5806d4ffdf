// The Lambda behind the HTTP API: the handler of functions/api, fed with API Gateway's events.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/sirupsen/logrus"

	"livekit-recorder/functions/environment"
	"livekit-recorder/shared/version"
)

func main() {
	log := environment.NewLog()
	handler, err := environment.Handler(context.Background(), log)
	if err != nil {
		log.WithError(err).Error("function cannot start")
		os.Exit(1)
	}
	log.WithFields(logrus.Fields{"version": version.Version(), "commit": version.Commit()}).Info("function starts")
	lambda.Start(front{handler}.handle)
}
