package environment

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/sirupsen/logrus"

	"livekit-recorder/functions/api"
	"livekit-recorder/shared/keys"
)

// settings are what the environment says.
type settings struct {
	keys                     keys.Source // of LiveKit
	startQueue, controlQueue string      // URLs
	bucket, directory        string      // no bucket: recordings cannot be looked at
	region                   string
	cluster, service         string // of the recorders, if the service may have none; or empty
	autoRecord               api.Rules
	kinds                    api.Kinds
	targets                  api.Targets
	privateWebhooks          bool
	logLevel                 logrus.Level
}

// readSettings names everything that is wrong at once.
func readSettings() (settings, error) {
	var faults []error
	required := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			faults = append(faults, fmt.Errorf("%s is not set", name))
		}
		return value
	}

	s := settings{
		startQueue:   required("START_QUEUE_URL"),
		controlQueue: required("CONTROL_QUEUE_URL"),
		bucket:       os.Getenv("S3_BUCKET"),
		directory:    os.Getenv("S3_DIRECTORY"),
		region:       cmp.Or(os.Getenv("S3_REGION"), os.Getenv("AWS_REGION")),
		cluster:      os.Getenv("ECS_CLUSTER"),
		service:      os.Getenv("ECS_SERVICE"),
	}
	if (s.cluster == "") != (s.service == "") {
		faults = append(faults, errors.New("ECS_CLUSTER and ECS_SERVICE go together: set both or neither"))
	}

	var wrong []error
	s.keys, wrong = keys.ReadSource(os.Getenv)
	faults = append(faults, wrong...)
	var err error
	if s.autoRecord, err = api.ParseRules(cmp.Or(os.Getenv("AUTO_RECORD"), "all")); err != nil {
		faults = append(faults, fmt.Errorf("AUTO_RECORD %w", err))
	}
	if s.kinds, err = api.ParseKinds(cmp.Or(os.Getenv("AUTO_RECORD_KINDS"), "standard,ingress,sip,agent")); err != nil {
		faults = append(faults, fmt.Errorf("AUTO_RECORD_KINDS %w", err))
	}
	if s.targets, err = api.ParseTargets(cmp.Or(os.Getenv("AUTO_RECORD_TARGETS"), "av")); err != nil {
		faults = append(faults, fmt.Errorf("AUTO_RECORD_TARGETS %w", err))
	}
	switch os.Getenv("WEBHOOK_PRIVATE") {
	case "", "off":
	case "on":
		s.privateWebhooks = true
	default:
		faults = append(faults, errors.New("WEBHOOK_PRIVATE must be on or off"))
	}
	s.logLevel, err = logrus.ParseLevel(cmp.Or(os.Getenv("LOG_LEVEL"), "info"))
	if err != nil || s.logLevel < logrus.ErrorLevel || s.logLevel > logrus.DebugLevel {
		faults = append(faults, errors.New("LOG_LEVEL must be debug, info, warn or error"))
	}
	return s, errors.Join(faults...)
}
