package keys

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/sirupsen/logrus"
)

// Source says where the keys are.
type Source struct {
	ARN  string // of a secret; empty: they are Keys
	Keys Set
}

// ReadSource reads it from environment variables: LIVEKIT_SECRET_ARN, or LIVEKIT_API_KEY, LIVEKIT_API_SECRET and, while
// they are changed, LIVEKIT_PREVIOUS_API_KEY and LIVEKIT_PREVIOUS_API_SECRET. It returns everything that is wrong.
func ReadSource(getenv func(string) string) (s Source, faults []error) {
	s.ARN = getenv("LIVEKIT_SECRET_ARN")
	s.Keys = Set{
		Current:  Key{getenv("LIVEKIT_API_KEY"), getenv("LIVEKIT_API_SECRET")},
		Previous: Key{getenv("LIVEKIT_PREVIOUS_API_KEY"), getenv("LIVEKIT_PREVIOUS_API_SECRET")},
	}
	if s.ARN != "" {
		return s, s.faultsOfSecret()
	}

	if s.Keys.Current.ID == "" {
		faults = append(faults, errors.New("LIVEKIT_API_KEY is not set, and neither is LIVEKIT_SECRET_ARN"))
	}
	if s.Keys.Current.Secret == "" {
		faults = append(faults, errors.New("LIVEKIT_API_SECRET is not set, and neither is LIVEKIT_SECRET_ARN"))
	}
	if (s.Keys.Previous.ID == "") != (s.Keys.Previous.Secret == "") {
		faults = append(faults, errors.New("LIVEKIT_PREVIOUS_API_KEY and LIVEKIT_PREVIOUS_API_SECRET must both "+
			"be set, or neither"))
	}
	return s, faults
}

func (s Source) faultsOfSecret() (faults []error) {
	if !secretARN.MatchString(s.ARN) {
		faults = append(faults, errors.New("LIVEKIT_SECRET_ARN is not the ARN of a secret: it must be like "+
			"arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME"))
	}
	if s.Keys != (Set{}) {
		faults = append(faults, errors.New("LIVEKIT_SECRET_ARN does not go with LIVEKIT_API_KEY, LIVEKIT_API_SECRET and "+
			"their LIVEKIT_PREVIOUS_ ones: set one or the other"))
	}
	return faults
}

// Open makes the keys. Nothing is read before they are needed.
func (s Source) Open(config aws.Config, log logrus.FieldLogger) *Keys {
	if s.ARN == "" {
		return Fixed(s.Keys.Current, s.Keys.Previous)
	}

	client := secretsmanager.NewFromConfig(config, func(o *secretsmanager.Options) {
		o.Region = secretARN.FindStringSubmatch(s.ARN)[1] // [ReadSource] has found nothing wrong with it
	})
	return changing(secret{client: client, arn: s.ARN, log: log}.read, log)
}

// Setting names what there is to change if the keys are wrong.
func (s Source) Setting() string {
	if s.ARN != "" {
		return "LIVEKIT_SECRET_ARN"
	}
	return "LIVEKIT_API_KEY, LIVEKIT_API_SECRET"
}

// String implements [fmt.Stringer].
func (s Source) String() string { return fmt.Sprintf("keys by %s", s.Setting()) }
