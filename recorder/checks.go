package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/check"
	"livekit-recorder/shared/keys"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
	"livekit-recorder/shared/version"
)

// checks are what has to be well for this recorder to do its work.
func checks(s settings, all *keys.Keys, aws aws.Config) []check.Check {
	starts, controls := queue.Open(aws, s.startQueue), queue.Open(aws, s.controlQueue)
	client := s3.NewFromConfig(aws, pathStyle, s.storage.ofBucket)
	store := smallStore(s, client)
	storage := check.Directory(s.storage.recordings)
	if s.storage.bucket != "" {
		storage = check.Bucket(client, s.storage.bucket, s.storage.directory)
	}
	seen := func(c check.Check, setting, value string) check.Check {
		c.Seen = &check.Seen{Store: store, Setting: setting, Value: value}
		return c
	}

	source := s.liveKit.keys
	list := []check.Check{
		check.FFmpeg(s.ffmpeg),
		check.Scratch(s.scratchDir, s.limits.scratchLimit),
		seen(check.Keys(source.Setting(), all), "LIVEKIT_SECRET_ARN", source.ARN),
		seen(check.LiveKit(s.liveKit.url, source.Setting(), all), "LIVEKIT_URL", s.liveKit.url),
		check.Distinct(s.startQueue, s.controlQueue),
		seen(check.Queue("start queue", "START_QUEUE_URL", starts, s.limits.hold), "START_QUEUE_URL", addressOf(starts)),
		seen(check.Queue("control queue", "CONTROL_QUEUE_URL", controls, 0), "CONTROL_QUEUE_URL", addressOf(controls)),
		storage,
	}
	for _, hook := range s.notices.webhooks {
		list = append(list, check.Webhook(hook))
	}
	return list
}

// addressOf is where a queue is asked for, and its URL.
func addressOf(q *queue.Queue) string {
	o := q.Client.Options()
	return fmt.Sprintf("%s %s %s", aws.ToString(o.BaseEndpoint), o.Region, q.URL)
}

// smallStore is where entries and documents are.
func smallStore(s settings, client *s3.Client) ledger.Store {
	if s.storage.bucket == "" {
		return &ledger.DirStore{Root: s.storage.recordings}
	}
	return ledger.NewS3Store(client, s.storage.bucket, s.storage.directory)
}

// report is what `recorder check --json` prints.
type report struct {
	OK      bool            `json:"ok"`
	Version string          `json:"version"`
	Checks  []check.Finding `json:"checks"`
}

// runChecks does all checks once, and prints what has come of each in one line, or as JSON. It says whether all is
// well.
func runChecks(ctx context.Context, args []string, out io.Writer) (well bool, err error) {
	flags := flag.NewFlagSet("recorder check", flag.ContinueOnError)
	flags.SetOutput(out)
	inJSON := flags.Bool("json", false, "print JSON")
	flags.Usage = func() {
		fmt.Fprintln(out, "usage: recorder check [-json]")
		fmt.Fprintln(out, "Tries out whether a recorder with this environment can do its work.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if flags.NArg() > 0 {
		return false, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}

	r := report{OK: true, Version: version.String(), Checks: findings(ctx)}
	for _, f := range r.Checks {
		r.OK = r.OK && !f.Failed()
		if !*inJSON {
			fmt.Fprintln(out, f)
		}
	}
	if *inJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r)
	}
	return r.OK, err
}

// findings are what is wrong with the environment, or what has come of the checks.
func findings(ctx context.Context) (all []check.Finding) {
	s, err := readSettings()
	if err != nil {
		for _, fault := range faults(err) {
			all = append(all, check.Finding{Check: "settings", State: check.Wrong, Detail: fault.Error()})
		}
		return all
	}
	aws, err := loadAWS(ctx, s)
	if err != nil {
		return []check.Finding{{Check: "settings", State: check.Wrong, Setting: "AWS configuration", Detail: err.Error()}}
	}

	log := logrus.New()
	log.SetOutput(io.Discard) // the findings say all
	return check.Run(ctx, checks(s, s.liveKit.keys.Open(aws, log), aws))
}

// faults are the errors that were joined to one.
func faults(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
