package recovery

import (
	"context"
	"time"

	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
)

// copied fetches a stored file and repairs it, on the disk, and returns its duration; once more if the disk became too
// full for it meanwhile.
func (r *Recovery) copied(ctx context.Context, part document.Part,
	name, broken, repaired string) (time.Duration, error) {
	log := r.Log.WithField("key", part.Key)
	for {
		if err := r.awaitSpace(ctx, 2*part.Size); err != nil {
			return 0, err
		}
		err := retry.Until(ctx, log, "fetch file", func(ctx context.Context) error {
			return r.Storage.Fetch(ctx, name, broken)
		}, upload.ErrNotFound)
		if err != nil {
			return 0, err
		}

		length, err := r.repair(ctx, broken, repaired, part.Container)
		if err == nil || ctx.Err() != nil {
			return length, err
		}
		_, _ = r.Disk.Remove(broken), r.Disk.Remove(repaired) // so that the space is there that they have taken
		usage, measuring := r.Disk.Measure(r.Work)
		if measuring != nil || usage.Free >= 2*part.Size {
			return 0, err
		}
		log.WithError(err).Warn("could not repair file: the disk is too full, it will be tried again")
	}
}
