package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/sirupsen/logrus"
)

// Versions of a secret, by the labels that Secrets Manager moves when it is changed (user guide, "What's in a Secrets
// Manager secret?").
const currentVersion, previousVersion = "AWSCURRENT", "AWSPREVIOUS"

// errContent says that a version of the secret is not as it must be. What is in it is not told.
var errContent = errors.New("its text must be a JSON object with LIVEKIT_API_KEY and LIVEKIT_API_SECRET, which are " +
	"strings that are not empty")

// secretARN is the address of a secret; the first group is its region.
var secretARN = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:.+$`)

// secret is a secret in Secrets Manager.
type secret struct {
	client *secretsmanager.Client
	arn    string
	log    logrus.FieldLogger
}

// read reads the current version and the previous one. A previous one that cannot be understood is as good as none.
func (s secret) read(ctx context.Context) (set Set, err error) {
	current, err := s.version(ctx, currentVersion)
	if err != nil {
		return set, fmt.Errorf("read current version of secret: %w", err)
	}
	if set.Current, err = parse(current); err != nil {
		return set, fmt.Errorf("read current version of secret: %w", err)
	}
	if current.CreatedDate != nil {
		set.Since = *current.CreatedDate
	}

	previous, err := s.version(ctx, previousVersion)
	var none *types.ResourceNotFoundException // it has never been changed, or somebody has taken the label away
	switch {
	case errors.As(err, &none):
		return set, nil
	case err != nil:
		return set, fmt.Errorf("read previous version of secret: %w", err)
	}
	if set.Previous, err = parse(previous); err != nil {
		s.log.WithError(err).Debug("the previous version of the secret has no API key")
	}
	return set, nil
}

func (s secret) version(ctx context.Context, stage string) (*secretsmanager.GetSecretValueOutput, error) {
	return s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     &s.arn,
		VersionStage: &stage,
	})
}

func parse(version *secretsmanager.GetSecretValueOutput) (Key, error) {
	var content struct {
		ID     string `json:"LIVEKIT_API_KEY"`
		Secret string `json:"LIVEKIT_API_SECRET"`
	}
	err := json.Unmarshal([]byte(aws.ToString(version.SecretString)), &content)
	if err != nil || content.ID == "" || content.Secret == "" {
		return Key{}, errContent // the decoder's error may quote what it has read
	}
	return Key{content.ID, content.Secret}, nil
}
