package queue

import (
	"net/url"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// hosts are the names of SQS's own endpoints; the first group is the region (AWS general reference, "Amazon SQS
// endpoints and quotas").
var hosts = regexp.MustCompile(`^sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$`)

// Open makes a queue of its URL. If the URL says in which region the queue is, it is asked for there: the bucket, whose
// region the configuration has, may be in another one.
func Open(config aws.Config, address string) *Queue {
	client := sqs.NewFromConfig(config, func(o *sqs.Options) {
		if region := Region(address); region != "" {
			o.Region = region
		}
	})
	return &Queue{Client: client, URL: address}
}

// Region is the region that a queue's URL names; empty if it names none, as those of other services that speak SQS's
// protocol.
func Region(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if found := hosts.FindStringSubmatch(u.Hostname()); found != nil {
		return found[1]
	}
	return ""
}
