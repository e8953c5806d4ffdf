package recovery

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/scratch"
)

const (
	// diskInterval is the time between two looks for recorders that have ended on this disk, and for what could not be
	// stored before.
	diskInterval = time.Minute
	// settleTime is how long nothing must have been written to a file to be taken for finished: ffmpeg outlives a recorder
	// that is killed by the moment that it takes to close its file.
	settleTime = 2 * time.Second
	// sweepInterval is the time between two looks for what nobody will come across.
	sweepInterval = 10 * time.Minute
)

// errGrowing says that a file may still be written to.
var errGrowing = errors.New("the file may still be written to")

// Run stores what recorders that have ended have left on this disk, until ctx is done, and sweeps the bucket.
func (r *Recovery) Run(ctx context.Context) {
	next := time.NewTimer(settleTime)
	defer next.Stop()
	sweeps := time.NewTicker(sweepInterval)
	defer sweeps.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweeps.C:
			if err := r.Storage.Sweep(ctx); err != nil && ctx.Err() == nil {
				r.Log.WithError(err).Warn("what recorders that are gone have left in the bucket stays for now")
			}
			continue
		case <-r.jobs.more: // soon, before another recorder makes files of what is in the bucket
			next.Reset(settleTime)
			continue
		case <-next.C:
		}

		pause := diskInterval
		if errors.Is(r.leftover(ctx), errGrowing) {
			pause = settleTime
		}
		err := scratch.Abandoned(r.Disk, r.Root, func(left *scratch.Owned) {
			if errors.Is(r.abandoned(ctx, left), errGrowing) {
				pause = settleTime
			}
		})
		if err != nil {
			r.Log.WithError(err).Error("what recorders that have ended have left cannot be read, will be tried again")
		}
		next.Reset(pause)
	}
}

// Later has files stored that an attempt of this recorder has left: it was cut off, or its recording was refused.
func (r *Recovery) Later(d scratch.Directory) {
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	r.jobs.later = append(r.jobs.later, d)

	select {
	case r.jobs.more <- struct{}{}:
	default:
	}
}

// leftover stores what this recorder's own attempts have left.
func (r *Recovery) leftover(ctx context.Context) error {
	r.jobs.mu.Lock()
	all := slices.Clone(r.jobs.later)
	r.jobs.mu.Unlock()

	done, err := r.attempts(ctx, all)
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	r.jobs.later = slices.DeleteFunc(r.jobs.later, func(d scratch.Directory) bool { return slices.Contains(done, d) })
	return err
}

// abandoned stores what one recorder has left. What could not be stored stays on the disk, and comes again.
func (r *Recovery) abandoned(ctx context.Context, left *scratch.Owned) error {
	log := r.Log.WithField("directory", left.Path)
	attempts, err := left.Attempts()
	if err != nil {
		log.WithError(err).Error("files of a recorder that has ended cannot be listed, will be tried again")
		return err
	}

	_, err = r.attempts(ctx, attempts)
	return err
}

// attempts stores the files of attempts that have ended. It returns the directories in which nothing is left.
func (r *Recovery) attempts(ctx context.Context, directories []scratch.Directory) (
	done []scratch.Directory, all error) {
	for _, directory := range directories {
		log := r.Log.WithField("directory", directory.Path)
		err := r.empty(ctx, directory, log)
		switch {
		case err == nil:
			done = append(done, directory)
		case ctx.Err() == nil && !errors.Is(err, errGrowing):
			log.WithError(err).Error("files that were left on the disk could not be stored, will be tried again")
		}
		all = errors.Join(all, err)
	}
	return done, all
}

// empty stores the files of one attempt, and removes its directory. A fault of the code costs no other attempt.
func (r *Recovery) empty(ctx context.Context, d scratch.Directory, log logrus.FieldLogger) (err error) {
	fault := guard.Run(log, "store files that were left on the disk", func() {
		if err = r.directory(ctx, d, log); err == nil {
			err = d.Clear()
		}
	})
	return cmp.Or(fault, err)
}

// directory stores the files of one attempt at a recording, and tells the recording's document, and those who want to
// know. It may be called again, wherever it was cut off before.
func (r *Recovery) directory(ctx context.Context, d scratch.Directory, log logrus.FieldLogger) error {
	files, err := d.Parts()
	if err != nil {
		return err
	}
	note, err := d.Note()
	switch {
	case len(files) == 0 && (err != nil || note.Epoch == 0):
		return nil // nothing had come of it
	case err != nil:
		return err
	}

	if len(files) > 0 {
		if err := r.settled(d); err != nil {
			return err
		}
		log.Warn("storing files that were left on the disk")
	}
	if note.Epoch == 0 {
		if err := r.claim(ctx, d, &note); err != nil {
			return err
		}
	}
	return r.attempt(ctx, d, note, files)
}
