package recovery

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// attempt stores the files of an attempt that has a number.
func (r *Recovery) attempt(ctx context.Context, d scratch.Directory, note scratch.Note,
	files []scratch.LocalName) error {
	recording, err := r.Documents.ByID(ctx, note.Start.Recording)
	switch {
	case errors.Is(err, ledger.ErrNotFound) && len(files) == 0:
		return nil
	case err != nil:
		return fmt.Errorf("find document: %w", err)
	}

	r = r.For(r.Log.WithFields(note.Start.Trace()))
	for _, file := range files {
		if err := r.file(ctx, d, note, file, recording); err != nil {
			return err
		}
	}
	recording, err = r.unlisted(ctx, recording, note.Epoch)
	if err != nil {
		return err
	}

	if note.Orphan {
		if err := r.resume(ctx, recording, note); err != nil {
			return err
		}
	}
	if !recording.Final() {
		return nil
	}
	return r.Tell(ctx, recording) // perhaps once more: of this state, or of an earlier one
}

// resume has a recorder go on with a recording that is nobody's but ours, or bring it to its end.
func (r *Recovery) resume(ctx context.Context, recording document.Recording, note scratch.Note) error {
	ours := recording.Owned(recording.Recorder, recording.Bucket, note.Epoch)
	standing, err := r.Ledger.Standing(ctx, ours)
	if err != nil || standing.Holding == ledger.Lost {
		return err // somebody does already
	}

	for _, part := range recording.Parts {
		if document.EpochOf(recording.File, part.Key) == note.Epoch && part.StartedAt != nil {
			if err := r.Tell(ctx, ours); err != nil { // of what the ledger knows, nobody is told
				return err
			}
			if err := r.Ledger.Seen(ctx, ours, "", *part.StartedAt); err != nil {
				return err
			}
			break
		}
	}
	return r.Send(ctx, note.Start)
}

// unlisted adds the parts of an attempt to the document that are in the bucket, and of which its recorder has not said
// so before it ended. It returns the document as it is then.
func (r *Recovery) unlisted(ctx context.Context, recording document.Recording, epoch int) (document.Recording, error) {
	recording, err := r.Documents.ByID(ctx, recording.ID)
	if err != nil {
		return recording, fmt.Errorf("find document: %w", err)
	}
	parts, err := r.Unlisted(ctx, recording)
	if err != nil {
		return recording, err
	}

	for _, part := range parts {
		if document.EpochOf(recording.File, part.Key) != epoch {
			continue // another recorder's
		}
		if part, err = r.Part(ctx, recording, part); err != nil {
			return recording, err
		}
		if recording, err = r.Documents.Amend(ctx, recording, []document.Part{part}); err != nil {
			return recording, fmt.Errorf("amend document: %w", err)
		}
		r.Tag(ctx, recording, part)
	}
	return recording, nil
}

// claim gets a number and a file name for what was recorded before the bucket had answered, and notes them.
func (r *Recovery) claim(ctx context.Context, d scratch.Directory, note *scratch.Note) error {
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
		return fmt.Errorf("claim recording: %w", err)
	}
	if grant.Verdict == ledger.Extra { // the document belongs to whoever owns the recording
		recording = recording.Owned("", recording.Bucket, 0)
	} else {
		recording = recording.Owned(recording.Recorder, recording.Bucket, grant.Epoch)
	}
	reserved, err := r.Documents.Reserve(ctx, recording, file)
	if err != nil {
		return fmt.Errorf("reserve file name: %w", err)
	}

	note.File, note.Epoch = reserved.File, grant.Epoch
	note.Orphan = grant.Verdict != ledger.Extra
	return d.Make(*note)
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
	name := document.PartName(note.File, note.Epoch, file.Number, file.Container)
	part, written, err := r.store(ctx, d, name, file, recording)
	if err != nil {
		return err
	}

	// If it is cut off here, the part is found in the bucket the next time, or by another recorder.
	if err := r.Index(ctx, &part, path.Join(path.Dir(name), path.Base(part.Key))); err != nil {
		return err
	}
	if part.StartedAt == nil { // no document knew of it
		began := written.Add(-time.Duration(part.Duration * float64(time.Second))).UTC()
		part.StartedAt = &began
	}
	amended, err := r.Documents.Amend(ctx, recording, []document.Part{part})
	if err != nil {
		return fmt.Errorf("amend document: %w", err)
	}
	r.Tag(ctx, amended, part)
	r.Log.WithFields(logrus.Fields{"key": part.Key, "bytes": part.Size}).
		Info("file that was left on the disk is stored")
	metrics.PartsRecovered.With("recovered").Inc()
	return nil
}

// store brings a file into the bucket, and returns what the document is to say of it.
func (r *Recovery) store(ctx context.Context, d scratch.Directory, name string, file scratch.LocalName,
	recording document.Recording) (part document.Part, written time.Time, err error) {
	release, err := r.one(ctx)
	if err != nil {
		return part, written, err
	}
	defer release()

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

	resumed, err := r.Storage.Resume(ctx, r.Log, d.File(file.String()), name, file.Container)
	if err != nil {
		return part, written, err
	}
	defer resumed.Leave() // if it is not stored

	stored, size, err := resumed.Finish(ctx)
	if err != nil {
		return part, written, err
	}
	part.Key, part.Size = r.Storage.Key(stored), size
	part.State, part.Reason, part.Recovered = document.Completed, reasonKilled, true
	return part, written, nil
}
