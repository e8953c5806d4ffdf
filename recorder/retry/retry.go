// Package retry repeats what has to succeed.
package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sirupsen/logrus"
)

// maxPause is the longest pause between two attempts, give or take half of it. The first pause is half a second.
const maxPause = 10 * time.Second

// Until repeats do until it succeeds, or ctx is done, but not if its error is one of the hopeless ones: trying again
// does not help against those. What it is about is for the log and for the error.
func Until(ctx context.Context, log logrus.FieldLogger, what string, do func(context.Context) error,
	hopeless ...error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = maxPause

	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do(ctx)
		for _, target := range hopeless {
			if errors.Is(err, target) {
				return struct{}{}, backoff.Permanent(err)
			}
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error,
		after time.Duration) {
		log.WithError(err).WithField("retryIn", after.String()).Warn("could not " + what)
	}))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
