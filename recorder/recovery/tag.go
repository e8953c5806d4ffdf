package recovery

import (
	"context"
	"time"

	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
)

// tagTimeout bounds the tagging of a recording's files: its end does not wait for it any longer.
const tagTimeout = time.Minute

// Tag gives files of a recording its labels, where they are kept. Whoever makes a document final does so before anybody
// is told; doing it again changes nothing. If it fails the recording is as good as without: that is logged.
func (r *Recovery) Tag(ctx context.Context, recording document.Recording, parts ...document.Part) {
	if len(recording.Labels) == 0 {
		return
	}
	log := r.Log.WithFields(recording.Trace())
	bounded, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	for _, part := range parts {
		if part.State != document.Completed {
			continue
		}
		err := retry.Until(bounded, log, "tag file", func(ctx context.Context) error {
			return r.Storage.Tag(ctx, part.Key, recording.Labels)
		}, upload.ErrNotTagged)
		if err != nil && ctx.Err() == nil {
			log.WithError(err).WithField("key", part.Key).Error("file has not got the recording's labels as tags")
		}
	}
}
