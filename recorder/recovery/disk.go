package recovery

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

const (
	// diskInterval is how often it is looked whether a recorder has ended on this disk, or whether what could not be
	// stored before can be stored now.
	diskInterval = time.Minute
	// settleTime is how long nothing must have been written to a file to be taken for finished: ffmpeg outlives a recorder
	// that is killed by the moment that it takes to close its file.
	settleTime = 2 * time.Second
	// directoryTimeout bounds the work on the files of one recorder; what is left then comes next time.
	directoryTimeout = 30 * time.Minute
)

// errGrowing says that a file may still be written to.
var errGrowing = errors.New("the file may still be written to")

// Run stores what recorders that have ended have left on this disk, until ctx is done.
func (r *Recovery) Run(ctx context.Context) {
	next := time.NewTimer(settleTime)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}

		pause := diskInterval
		err := scratch.Abandoned(r.Disk, r.Root, func(left *scratch.Owned) {
			if errors.Is(r.abandoned(ctx, left), errGrowing) {
				pause = settleTime
			}
		})
		if err != nil {
			r.Log.WithError(err).Error("scratch directory cannot be read, will be tried again")
		}
		next.Reset(pause)
	}
}

// abandoned stores what one recorder has left. What could not be stored stays on the disk, and comes again.
func (r *Recovery) abandoned(ctx context.Context, left *scratch.Owned) (all error) {
	ctx, cancel := context.WithTimeout(ctx, directoryTimeout)
	defer cancel()
	log := r.Log.WithField("directory", left.Path)
	attempts, err := left.Attempts()
	if err != nil {
		log.WithError(err).Error("files of a recorder that has ended cannot be listed, will be tried again")
		return err
	}

	for _, directory := range attempts {
		log := r.Log.WithField("directory", directory.Path)
		err := r.directory(ctx, directory, log)
		if err == nil {
			err = directory.Clear()
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errGrowing) {
			log.WithError(err).Error("files of a recorder that has ended could not be stored, will be tried again")
		}
		all = errors.Join(all, err)
	}
	return all
}

// directory stores the files of one attempt at a recording, and tells the recording's document.
func (r *Recovery) directory(ctx context.Context, d scratch.Directory, log logrus.FieldLogger) error {
	files, err := d.Parts()
	if err != nil || len(files) == 0 {
		return err
	}
	if err := r.settled(d); err != nil {
		return err
	}
	note, err := d.Note()
	if err != nil {
		return err
	}

	log.Warn("a recorder has ended here before everything was stored: storing what it has left")
	closes := false
	if note.Epoch == 0 {
		if closes, err = r.claim(ctx, d, &note); err != nil {
			return err
		}
	}
	recording, err := r.Documents.ByID(ctx, note.Start.Recording)
	if err != nil {
		return fmt.Errorf("find document: %w", err)
	}
	for _, file := range files {
		if err := r.file(ctx, d, note, file, recording); err != nil {
			return err
		}
	}
	if !closes {
		return nil
	}
	return r.conclude(ctx, recording, note)
}

// claim gets a number and a file name for what was recorded before the bucket had answered. It says whether the
// recording is to be closed by us: it is not wanted, and nobody has it.
func (r *Recovery) claim(ctx context.Context, d scratch.Directory, note *scratch.Note) (closes bool, err error) {
	attempt := "disk " + filepath.Base(filepath.Dir(d.Path)) + "/" + filepath.Base(d.Path)
	recording, file := r.New(note.Start)
	grant, err := r.Ledger.Bid(ctx, ledger.Bid{
		Start:    note.Start,
		Owner:    recording.Recorder,
		Attempt:  attempt,
		Recorded: true,
		Leaving:  true,
		At:       time.Now().UTC(),
	})
	if err != nil {
		return false, fmt.Errorf("claim recording: %w", err)
	}
	if grant.Verdict == ledger.Extra { // the document belongs to whoever owns the recording
		recording = recording.Owned("", recording.Bucket, 0)
	} else {
		recording = recording.Owned(recording.Recorder, recording.Bucket, grant.Epoch)
	}
	reserved, err := r.Documents.Reserve(ctx, recording, file)
	if err != nil {
		return false, fmt.Errorf("reserve file name: %w", err)
	}

	note.File, note.Epoch = reserved.File, grant.Epoch
	return grant.Verdict == ledger.Close, d.Make(*note)
}

// settled says so if nothing is written to the files any more.
func (r *Recovery) settled(d scratch.Directory) error {
	entries, err := r.Disk.List(d.Path)
	if err != nil {
		return fmt.Errorf("list scratch directory: %w", err)
	}
	for _, e := range entries {
		if _, media := scratch.ParseLocalName(e.Name); media && time.Since(e.Modified) < settleTime {
			return errGrowing
		}
	}
	return nil
}

// file stores one file.
func (r *Recovery) file(ctx context.Context, d scratch.Directory, note scratch.Note, file scratch.LocalName,
	recording document.Recording) error {
	release, err := r.one(ctx)
	if err != nil {
		return err
	}
	name := document.PartName(note.File, note.Epoch, file.Number, file.Container)
	part, written, err := r.store(ctx, d, name, file, recording)
	release()
	if err != nil {
		return err
	}

	r.index(ctx, &part, name)
	if part.StartedAt == nil { // no document knew of it
		began := written.Add(-time.Duration(part.Duration * float64(time.Second))).UTC()
		part.StartedAt = &began
	}
	amended, err := r.Documents.Amend(ctx, recording, []document.Part{part})
	if err != nil {
		return fmt.Errorf("amend document: %w", err)
	}
	r.Log.WithFields(logrus.Fields{
		"recording": recording.ID,
		"key":       part.Key,
		"bytes":     part.Size,
	}).Info("file of a recorder that has ended is stored")
	if amended.Final() && r.Tell != nil {
		return r.Tell(ctx, amended)
	}
	return nil
}

// store brings a file into the bucket, and returns what the document is to say of it.
func (r *Recovery) store(ctx context.Context, d scratch.Directory, name string, file scratch.LocalName,
	recording document.Recording) (part document.Part, written time.Time, err error) {
	path := d.File(file.String())
	part = document.Part{Key: r.Storage.Key(name), Container: file.Container, Tracks: []document.TrackReport{}}
	for _, known := range recording.Parts {
		if known.Key == part.Key {
			part = known
		}
	}
	entries, err := r.Disk.List(d.Path)
	if err != nil {
		return part, written, fmt.Errorf("list scratch directory: %w", err)
	}
	for _, e := range entries {
		if e.Name == file.String() {
			written = e.Modified
		}
	}

	resumed, err := r.Storage.Resume(ctx, path, name, file.Container)
	if err != nil {
		return part, written, err
	}
	stored, size, err := resumed.Finish(ctx)
	if err != nil {
		return part, written, err
	}
	part.Key, part.Size = r.Storage.Key(stored), size
	part.State, part.Reason, part.Recovered = document.Completed, reasonKilled, true
	return part, written, nil
}

// index gives the file an index, if it can.
func (r *Recovery) index(ctx context.Context, part *document.Part, name string) {
	stored := filepath.Join(filepath.Dir(name), filepath.Base(part.Key))
	if err := r.Index(ctx, part, stored); err != nil {
		r.Log.WithError(err).WithField("key", part.Key).Warn("recovered file could not be given an index, it stays as it is")
	}
}

// conclude brings a recording to its end that nobody else will.
func (r *Recovery) conclude(ctx context.Context, recording document.Recording, note scratch.Note) error {
	owned := recording.Owned(recording.Recorder, recording.Bucket, note.Epoch)
	final, err := r.Documents.Conclude(ctx, owned, reasonKilled, "")
	if err != nil {
		return fmt.Errorf("conclude recording: %w", err)
	}
	if _, err := r.Ledger.Close(ctx, final, nil); err != nil {
		return fmt.Errorf("close recording: %w", err)
	}
	if r.Tell == nil {
		return nil
	}
	return r.Tell(ctx, final)
}
