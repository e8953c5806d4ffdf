// Package recovery finishes the parts of recorders that are gone: from what they have put into the bucket, or from
// their disk.
package recovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// Storage is where media files are kept.
type Storage interface {
	// Key is where a file with that name is.
	Key(name string) string
	// Begin stores a file while it grows.
	Begin(path, name, container string) parts.Upload
	// Resume goes on with the storing of a file that does not grow any more.
	Resume(ctx context.Context, path, name, container string) (parts.Upload, error)
	// Recover makes a file appear from what a recorder had put into the bucket, or [upload.ErrNotFound].
	Recover(ctx context.Context, name, container string) (upload.Recovered, error)
	// Begun lists the names of parts of a recording of which something is in the bucket that is no object yet.
	Begun(ctx context.Context, file string) (names []string, err error)
	// Stored lists the names of parts of a recording that are objects, with their sizes in bytes.
	Stored(ctx context.Context, file string) (sizes map[string]int64, err error)
	// Fetch copies a file to the disk.
	Fetch(ctx context.Context, name, path string) error
	// Replace puts a repaired file in the place of the one with that tag.
	Replace(ctx context.Context, path, name, container, tag string) (size int64, err error)
}

const (
	// repairTimeout bounds the reading and writing of one file.
	repairTimeout = 10 * time.Minute
	// spaceInterval is how often it is looked whether there is space.
	spaceInterval = 5 * time.Second
	// maxRepair is the largest file that is repaired, in bytes: it needs twice that on the scratch disk.
	maxRepair = 4 << 30
)

// Reasons why parts ended.
const (
	reasonVanished = "its recorder disappeared"
	reasonKilled   = "its recorder ended before it was stored, and the file was finished from its disk"
)

// Recovery finishes parts, one at a time.
type Recovery struct {
	Storage   Storage
	Documents ledger.Documents
	Ledger    *ledger.Ledger
	Disk      scratch.Disk
	// Root is the scratch directory of all recorders on this disk, Work is this one's own.
	Root, Work string
	// Repair copies a media file that nobody has closed into one that has a duration and an index, and returns the
	// duration.
	Repair func(ctx context.Context, path, repaired, container string) (time.Duration, error)
	// New is the document of a recording of which only the start is known, and the file name that it should have.
	New func(command.Command) (r document.Recording, file string)
	// Send puts a start on the queue, once more.
	Send func(context.Context, command.Command) error
	// Tell sends notices of a recording's end on their way, also if its document has changed since the last ones.
	Tell func(ctx context.Context, recording string) error
	Log  logrus.FieldLogger

	work *work
}

// work is what is being done, and what is to be done later.
type work struct {
	busy chan struct{} // has one item while a part is being finished

	mu    sync.Mutex
	later []scratch.Directory // of attempts of this recorder itself that have ended, and have left files
	more  chan struct{}       // readable when there is one more
}

// Init must be called before anything else.
func (r *Recovery) Init() *Recovery {
	r.work = &work{busy: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	return r
}

// one waits until nothing else is being finished, or ctx is done.
func (r *Recovery) one(ctx context.Context) (release func(), err error) {
	select {
	case r.work.busy <- struct{}{}:
		return func() { <-r.work.busy }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Part makes a file of what a recorder that is gone has put into the bucket of a part, and returns what the document is
// to say of it. What is left beside a part that is complete goes. An error means that it should be tried again.
func (r *Recovery) Part(ctx context.Context, recording document.Recording, part document.Part) (document.Part, error) {
	release, err := r.one(ctx)
	if err != nil {
		return part, err
	}
	defer release()

	name := path.Join(path.Dir(recording.File), path.Base(part.Key))
	log := r.Log.WithFields(logrus.Fields{"recording": recording.ID, "key": part.Key})
	found, err := r.Storage.Recover(ctx, name, part.Container)
	switch {
	case err == nil && found.Whole && part.State == document.Completed && part.Size == found.Size:
		return part, nil // only what is not needed beside it had been left
	case errors.Is(err, upload.ErrNotFound):
		part.State, part.Reason = document.Failed, reasonVanished+" before anything of it was stored"
		log.Warn("part is lost: " + part.Reason)
		return part, nil
	case err != nil:
		return part, fmt.Errorf("recover part: %w", err)
	}

	// The file may be whole: its recorder had finished it, or another one has repaired it, and came no further. To look at
	// it costs as much as to repair it once more.
	part.State, part.Reason, part.Size, part.Recovered = document.Completed, reasonVanished, found.Size, true
	if err := r.replace(ctx, &part, name, found.Tag); err != nil {
		log.WithError(err).Warn("recovered file could not be given an index, it stays as it is")
	}
	if part.StartedAt == nil && !found.Written.IsZero() { // no document knew of it
		began := found.Written.Add(-time.Duration(part.Duration * float64(time.Second))).UTC()
		part.StartedAt = &began
	}
	log.WithFields(logrus.Fields{"bytes": part.Size,
		"seconds": part.Duration}).Warn("part recovered: its recorder disappeared")
	return part, nil
}

// Unlisted finds the parts of a recording that are in the bucket, at least the beginning of them, and that its document
// does not say to be complete, or not of that size: whoever has stored them has vanished before it could say so. Of
// parts that are complete it finds those beside which something has been left.
func (r *Recovery) Unlisted(ctx context.Context, recording document.Recording) (unlisted []document.Part, err error) {
	names, err := r.Storage.Begun(ctx, recording.File)
	if err != nil {
		return nil, err
	}
	stored, err := r.Storage.Stored(ctx, recording.File)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		complete := slices.ContainsFunc(recording.Parts, func(p document.Part) bool {
			return p.Key == r.Storage.Key(name) && p.State == document.Completed && p.Size == stored[name]
		})
		if !complete && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}

	for _, name := range names {
		part := document.Part{
			Key:       r.Storage.Key(name),
			Container: strings.TrimPrefix(path.Ext(name), "."),
			State:     document.Active,
			Tracks:    []document.TrackReport{},
		}
		for _, known := range recording.Parts {
			switch known.Key {
			case part.Key:
				part = known
			case r.Storage.Key(document.RestOf(name)): // the same from its beginning on, and more
				part.StartedAt, part.Tracks, part.Duration = known.StartedAt, known.Tracks, known.Duration
			}
		}
		unlisted = append(unlisted, part)
	}
	return unlisted, nil
}

// Index gives a stored file that ffmpeg could not finish a duration and an index.
func (r *Recovery) Index(ctx context.Context, part *document.Part, name string) error {
	release, err := r.one(ctx)
	if err != nil {
		return err
	}
	defer release()

	var found upload.Recovered // it is there
	err = retry.Until(ctx, r.Log.WithField("key", part.Key), "look at file", func(ctx context.Context) (err error) {
		found, err = r.Storage.Recover(ctx, name, part.Container)
		return err
	}, upload.ErrNotFound)
	if err != nil {
		return err
	}
	return r.replace(ctx, part, name, found.Tag)
}

// replace repairs a stored file: the one with that tag. What cannot be reached is tried again for as long as ctx lasts.
func (r *Recovery) replace(ctx context.Context, part *document.Part, name, tag string) error {
	if part.Size > maxRepair {
		return errors.New("it is too large")
	}
	log := r.Log.WithField("key", part.Key)
	broken := filepath.Join(r.Work, "broken-"+filepath.Base(name))
	repaired := filepath.Join(r.Work, "repaired-"+filepath.Base(name))
	defer func() {
		_, _ = r.Disk.Remove(broken), r.Disk.Remove(repaired) // whatever has become of them
	}()

	length, err := r.copied(ctx, *part, name, broken, repaired)
	if err != nil {
		return err
	}
	var size int64
	err = retry.Until(ctx, log, "replace file", func(ctx context.Context) (err error) {
		size, err = r.Storage.Replace(ctx, repaired, name, part.Container, tag)
		return err
	}, upload.ErrChanged, upload.ErrNotFound, upload.ErrEmpty)
	switch {
	case err == nil:
		part.Size, part.Duration = size, length.Seconds()
	case errors.Is(err, upload.ErrChanged): // another recorder has repaired it, of the same frames
		part.Duration = length.Seconds()
		return r.resize(ctx, part, name)
	}
	return err
}

// spacePatience is how long a file waits for space to be repaired in: a disk that is full is so because files cannot be
// stored for the moment.
const spacePatience = 10 * time.Minute

// awaitSpace waits until there are so many bytes on the disk.
func (r *Recovery) awaitSpace(ctx context.Context, bytes int64) error {
	ctx, cancel := context.WithTimeout(ctx, spacePatience)
	defer cancel()
	for {
		usage, err := r.Disk.Measure(r.Work)
		if err != nil || usage.Free >= bytes {
			return err
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d bytes on the disk: %w", bytes, ctx.Err())
		case <-time.After(spaceInterval):
		}
	}
}

// resize corrects the size of a file that another recorder has repaired.
func (r *Recovery) resize(ctx context.Context, part *document.Part, name string) error {
	return retry.Until(ctx, r.Log.WithField("key", part.Key), "look at file", func(ctx context.Context) error {
		found, err := r.Storage.Recover(ctx, name, part.Container)
		if err == nil {
			part.Size = found.Size
		}
		return err
	}, upload.ErrNotFound)
}

// repair makes a whole file of one that nobody has closed, on the disk, and returns its duration.
func (r *Recovery) repair(ctx context.Context, broken, repaired, container string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	return r.Repair(ctx, broken, repaired, container)
}
