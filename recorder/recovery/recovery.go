// Package recovery finishes the parts of recorders that are gone: from what they have put into the bucket, or from
// their disk.
package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
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
	// Begin stores a file while it grows. The log says whose it is.
	Begin(log logrus.FieldLogger, path, name, container string) parts.Upload
	// Resume goes on with the storing of a file that does not grow any more.
	Resume(ctx context.Context, log logrus.FieldLogger, path, name, container string) (parts.Upload, error)
	// Recover makes a file appear from what a recorder had put into the bucket, or [upload.ErrNotFound].
	Recover(ctx context.Context, name, container string) (upload.Recovered, error)
	// Begun lists the names of parts of a recording of which something is in the bucket that is no object yet.
	Begun(ctx context.Context, file string) (names []string, err error)
	// Stored lists the names of parts of a recording that are objects, with their sizes in bytes.
	Stored(ctx context.Context, file string) (sizes map[string]int64, err error)
	// Read fills p with the bytes of the file with that tag, from an offset on.
	Read(ctx context.Context, name, tag string, p []byte, offset int64) error
	// Replace begins to put a repaired file, which will grow at path, in the place of the one with that tag.
	Replace(ctx context.Context, path, name, container, tag string) (Replacement, error)
	// Tidy throws away what repairs that were cut off have left beside a file.
	Tidy(ctx context.Context, name string) error
	// Tag gives the file with that key labels. [upload.ErrNotTagged] says that it cannot be done.
	Tag(ctx context.Context, key string, labels map[string]string) error
	// Sweep removes what recorders that are gone have left, and nobody will come across.
	Sweep(ctx context.Context) error
}

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
	// Repair copies a media file that nobody has closed, as it comes, into one that has a duration and an index. It
	// returns the reader's errors.
	Repair func(ctx context.Context, from io.Reader, repaired, container string) (mux.Repaired, error)
	// New is the document of a recording of which only the start is known, and the file name that it should have.
	New func(command.Command) (r document.Recording, file string)
	// Send puts a start on the queue, once more.
	Send func(context.Context, command.Command) error
	// Tell sends notices of a recording's beginning on their way, and of its end if it has ended, even if they were sent
	// before: its document has changed since.
	Tell func(context.Context, document.Recording) error
	Log  logrus.FieldLogger

	jobs *jobs
}

// jobs are what is being done, and what is to be done later.
type jobs struct {
	busy chan struct{} // has one item while a part is being finished

	mu    sync.Mutex
	later []scratch.Directory // of attempts of this recorder itself that have ended, and have left files
	more  chan struct{}       // readable when there is one more
}

// Init must be called before anything else.
func (r *Recovery) Init() *Recovery {
	r.jobs = &jobs{busy: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	return r
}

// For is the same with a log that says for what.
func (r *Recovery) For(log logrus.FieldLogger) *Recovery {
	same := *r
	same.Log = log
	return &same
}

// one waits until nothing else is being finished, or ctx is done.
func (r *Recovery) one(ctx context.Context) (release func(), err error) {
	select {
	case r.jobs.busy <- struct{}{}:
		return func() { <-r.jobs.busy }, nil
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
	r = r.For(r.Log.WithFields(recording.Trace()))
	log := r.Log.WithField("key", part.Key)
	found, err := r.Storage.Recover(ctx, name, part.Container)
	switch {
	case err == nil && found.Whole && part.State == document.Completed && part.Size == found.Size:
		return part, r.Storage.Tidy(ctx, name) // only what is not needed beside it had been left
	case errors.Is(err, upload.ErrNotFound):
		part.State, part.Reason = document.Failed, reasonVanished+" before anything of it was stored"
		log.Warn("part is lost: " + part.Reason)
		metrics.PartsRecovered.With("lost").Inc()
		return part, nil
	case err != nil:
		return part, fmt.Errorf("recover part: %w", err)
	}

	interrupted := part
	// The file may be whole: its recorder had finished it, or another one has repaired it, and came no further. To look at
	// it costs as much as to repair it once more.
	part.State, part.Reason, part.Size, part.Recovered = document.Completed, reasonVanished, found.Size, true
	if err := r.indexed(ctx, &part, name, found); err != nil {
		return interrupted, err
	}
	if part.StartedAt == nil && !found.Written.IsZero() { // no document knew of it
		began := found.Written.Add(-time.Duration(part.Duration * float64(time.Second))).UTC()
		part.StartedAt = &began
	}
	log.WithFields(logrus.Fields{"bytes": part.Size,
		"seconds": part.Duration}).Warn("part recovered: its recorder disappeared")
	metrics.PartsRecovered.With("recovered").Inc()
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

// indexed gives a file an index, or says why it has to stay without one. The error says that it should be tried again.
func (r *Recovery) indexed(ctx context.Context, part *document.Part, name string, found upload.Recovered) error {
	before, log := *part, r.Log.WithField("key", part.Key)
	var err error
	fault := guard.Run(log, "index a file", func() { err = r.replace(ctx, part, name, found) })
	if fault != nil {
		*part = before
	}
	if err = cmp.Or(fault, err); err == nil {
		return nil
	}
	if ctx.Err() != nil || errors.Is(err, errStuck) {
		*part = before
		return fmt.Errorf("repair part: %w", err)
	}

	log.WithError(err).Warn("file could not be given an index, it stays as it is")
	return r.insist(ctx, *part, "tidy up", func(ctx context.Context) error { return r.Storage.Tidy(ctx, name) })
}

// Index gives a stored file that ffmpeg could not finish a duration and an index, if it can. The error says that it
// should be tried again.
func (r *Recovery) Index(ctx context.Context, part *document.Part, name string) error {
	release, err := r.one(ctx)
	if err != nil {
		return err
	}
	defer release()

	found, err := r.look(ctx, *part, name)
	if errors.Is(err, upload.ErrNotFound) { // it is not in a bucket, but a directory
		r.Log.WithField("key", part.Key).Warn("file is given no index, it stays as it is")
		return nil
	}
	if err != nil {
		return err
	}
	return r.indexed(ctx, part, name, found)
}
