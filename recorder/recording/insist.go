package recording

import (
	"context"
	"errors"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/retry"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// hopelessErrors are those that trying again does not help against.
var hopelessErrors = []error{document.ErrSuperseded, document.ErrUnfinished, ledger.ErrCorrupt, ledger.ErrNoDocument}

// insist repeats what has to succeed until it does, or ctx is done, but not what is hopeless.
func insist(ctx context.Context, log logrus.FieldLogger, what string, do func(context.Context) error) error {
	return retry.Until(ctx, log, what, do, hopelessErrors...)
}

func hopeless(err error) bool {
	for _, target := range hopelessErrors {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
