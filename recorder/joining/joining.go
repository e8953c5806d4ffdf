// Package joining makes one file of a recording's parts, when the recording has ended: without transcoding, by one
// clock, and streamed, so that it may have any length.
package joining

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// Storage is where media files are kept.
type Storage interface {
	// Key is where a file with that name is.
	Key(name string) string
	// Look finds a file, or says [upload.ErrNotFound].
	Look(ctx context.Context, name string) (size int64, tag string, err error)
	// Read fills p with the bytes of the file with that tag, from an offset on.
	Read(ctx context.Context, name, tag string, p []byte, offset int64) error
	// Create begins to store a file that will grow at path, and have about that size.
	Create(path, name, container string, size int64) Upload
	// Leftovers lists the names of files, and of uploads, that begin with a prefix.
	Leftovers(ctx context.Context, prefix string) (names []string, err error)
	// RemovePart removes a file, if it has that size.
	RemovePart(ctx context.Context, name string, size int64) error
	// Remove removes a file, and what has been uploaded of it.
	Remove(ctx context.Context, name string) error
}

// Upload is a file on its way to where it is kept: [upload.Replacement].
type Upload interface {
	// PartSize is how many bytes are uploaded at once.
	PartSize() int64
	// Advance uploads what the file has by now, but for less than a part, and gives its disk space back.
	Advance(ctx context.Context) error
	// Finish stores the file, which nobody writes to any more, and returns its size.
	Finish(ctx context.Context) (size int64, err error)
	// Close gives up what is not stored.
	Close(ctx context.Context, done bool) error
}

// Media reads and makes media files: ffmpeg does, at the lowest priority.
type Media interface {
	Demux(ctx context.Context, file mux.Media, began func([]mux.Stream) error, each func(mux.Packet) error) error
	OpenIdle(path string, streams []mux.Stream) (parts.File, error)
}

// Joiner joins the parts of recordings.
type Joiner struct {
	Storage   Storage
	Documents ledger.Documents
	Media     Media
	Disk      scratch.Disk
	// Work is this recorder's own directory on the disk.
	Work string
	Log  logrus.FieldLogger
}

const (
	// mostAttempts is how often the joining of a recording is begun: then its parts stay.
	mostAttempts = 10
	// closeTimeout bounds the finishing of a file: an index is written.
	closeTimeout = 10 * time.Minute
)

// errCounted says that a file has not what it was made of.
var errCounted = errors.New("the joined file has not what its parts had")

// Join makes one file of the parts of a recording that has ended, or as few as possible, and removes the parts when the
// file is stored and has been read again. What is done already is not done again: it may be called as often as one
// likes, and by several recorders at once. An error means that it should be tried again; parts that cannot be joined
// are none: the document says why.
func (j *Joiner) Join(ctx context.Context, recording document.Recording) (err error) {
	recording, err = j.Documents.BeginJoin(ctx, recording)
	switch {
	case errors.Is(err, document.ErrUnjoinable): // there is nothing to do, or not any more
		return j.Tidy(ctx, recording)
	case err != nil:
		return fmt.Errorf("begin to join parts: %w", err)
	}

	log := j.Log.WithFields(logrus.Fields{"recording": recording.ID, "attempt": recording.Join.Attempts})
	if recording.Join.Unended > document.MostUnended {
		return j.leave(ctx, recording, errors.New("recorders have died of it, or seem to have"), log)
	}
	began := time.Now()
	fault := guard.Run(log, "join parts", func() { recording, err = j.attempt(ctx, recording, log) })
	err = cmp.Or(fault, err)
	switch {
	case err == nil:
		log.WithFields(logrus.Fields{"parts": len(recording.Parts), "took": time.Since(began).String()}).Info("parts joined")
		return j.Tidy(ctx, recording)
	case errors.Is(err, document.ErrUnjoinable): // another recorder has begun meanwhile
		return fmt.Errorf("join parts: %w", err)
	case ctx.Err() == nil && (errors.Is(err, errCounted) || recording.Join.Attempts >= mostAttempts):
		return j.leave(ctx, recording, err, log)
	}

	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	_, ended := j.Documents.EndJoin(ending, recording, "")
	return fmt.Errorf("join parts: %w", errors.Join(err, ended))
}

// endTimeout bounds the noting that an attempt has ended, which may be because everything has to end.
const endTimeout = 5 * time.Second

// leave leaves the parts as they are, for good.
func (j *Joiner) leave(ctx context.Context, r document.Recording, why error, log logrus.FieldLogger) error {
	log.WithError(why).Error("parts stay as they are: they cannot be joined")
	if _, err := j.Documents.EndJoin(ctx, r, "the parts could not be joined: "+why.Error()); err != nil {
		return fmt.Errorf("note that parts stay: %w", err)
	}
	return nil
}

// attempt joins the parts, and returns the document as it is then.
func (j *Joiner) attempt(ctx context.Context, r document.Recording, log logrus.FieldLogger) (_ document.Recording,
	err error) {
	if err := j.clear(ctx, r); err != nil {
		return r, err
	}
	all, err := j.scanAll(ctx, r)
	if err != nil {
		return r, err
	}

	var files []document.Part
	defer func() {
		if err != nil {
			j.giveUp(ctx, r, files, log)
		}
	}()
	separate := map[string]string{}
	for _, g := range plan(all) {
		if len(g.pieces) == 1 {
			separate[all[g.pieces[0].n].part.Key] = g.separate
			continue
		}
		name := document.JoinedName(r.File, r.Join.Attempts, len(files)+1, string(mux.ContainerOf(g.header(all))))
		made, err := j.make(ctx, g, all, name)
		files = append(files, made) // should it fail, what is stored of it goes
		if err != nil {
			return r, err
		}
	}
	joined, err := j.Documents.Joined(ctx, r, files, separate)
	if err != nil {
		return r, fmt.Errorf("write joined document: %w", err)
	}
	return joined, nil
}

// giveUp removes the files of an attempt of which nothing has come. A write of the document that names them may still
// be on its way: so the document is written first, on the condition of what it is now, which that write then does not
// meet. If that fails, nothing is removed: the next attempt does it.
func (j *Joiner) giveUp(ctx context.Context, r document.Recording, files []document.Part, log logrus.FieldLogger) {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	now, err := j.Documents.EndJoin(ending, r, "")
	if err == nil && listed(now, files) {
		return // the answer to the writing of the document got lost
	}
	for _, f := range files {
		if err == nil && f.Size > 0 { // what has no size is not stored, and there may be something else in its place
			err = j.Storage.Remove(ending, name(r, f.Key))
		}
	}
	if err != nil {
		log.WithError(err).Warn("what there is of a joined file stays until the next attempt")
	}
}

func listed(r document.Recording, files []document.Part) bool {
	return slices.ContainsFunc(r.Parts, func(p document.Part) bool {
		return slices.ContainsFunc(files, func(f document.Part) bool { return f.Key == p.Key })
	})
}

// name is the name of a part, by its key.
func name(r document.Recording, key string) string {
	return path.Join(path.Dir(r.File), path.Base(key))
}

// clear removes what earlier attempts have left that were cut off. A newer one's files are none of its business, and
// neither are those of recordings whose names are alike.
func (j *Joiner) clear(ctx context.Context, r document.Recording) error {
	left, err := j.Storage.Leftovers(ctx, r.File+document.JoinedMark)
	if err != nil {
		return fmt.Errorf("look for what earlier attempts have left: %w", err)
	}
	for _, name := range left {
		attempt, ours := document.JoinedBy(r.File, name)
		if !ours || attempt >= r.Join.Attempts || listed(r, []document.Part{{Key: j.Storage.Key(name)}}) {
			continue
		}
		taken, err := j.Documents.Taken(ctx, document.JoinedFile(r.File, attempt))
		if err != nil {
			return fmt.Errorf("look for a recording of that name: %w", err)
		}
		if taken {
			continue // an older version gave a recording that name
		}
		if err := j.Storage.Remove(ctx, name); err != nil {
			return fmt.Errorf("remove what an earlier attempt has left: %w", err)
		}
	}
	return nil
}

// errNotStored says that the file that parts are said to be in is not there as the document says.
var errNotStored = errors.New("the joined file is not stored as its document says")

// Tidy removes the files of parts that are in others now: a recorder that was taken for dead may have stored its own
// once more. Whatever the document says, no part goes while the file is not there that it is in.
func (j *Joiner) Tidy(ctx context.Context, r document.Recording) error {
	for _, joined := range r.Parts {
		gone := r.GoneInto(joined)
		if len(gone) == 0 {
			continue
		}
		size, _, err := j.Storage.Look(ctx, name(r, joined.Key))
		if err == nil && size != joined.Size {
			err = fmt.Errorf("%w: it has %d bytes, not %d", errNotStored, size, joined.Size)
		}
		if err != nil {
			return fmt.Errorf("parts stay: look at %s: %w", joined.Key, err)
		}
		for _, part := range gone {
			if err := j.Storage.RemovePart(ctx, name(r, part.Key), part.Size); err != nil {
				return fmt.Errorf("remove a part that has been joined: %w", err)
			}
		}
	}
	return nil
}

// scanAll finds out what all parts of a recording have that have a file.
func (j *Joiner) scanAll(ctx context.Context, r document.Recording) (all []scanned, err error) {
	began := origin(r.Parts)
	for _, part := range r.Parts {
		if part.State != document.Completed {
			continue // there is no file of it
		}
		s := scanned{part: part, file: stored{name: name(r, part.Key)}}
		err := j.insist(ctx, "look at "+part.Key, func(ctx context.Context) (err error) {
			s.file.size, s.file.tag, err = j.Storage.Look(ctx, s.file.name)
			return err
		})
		if errors.Is(err, upload.ErrNotFound) {
			s.problem = "its file is gone"
			all = append(all, s)
			continue
		}
		if err != nil {
			return nil, err
		}

		if part.StartedAt != nil {
			s.start = part.StartedAt.Sub(began)
		}
		if err := j.scan(ctx, &s); err != nil {
			return nil, fmt.Errorf("scan %s: %w", part.Key, err)
		}
		all = append(all, s)
	}
	// Of those that begin together, the one that ends first has something that the others may have a hole for. Those that
	// cannot be joined keep no others from it.
	slices.SortStableFunc(all, func(a, b scanned) int {
		if separate := a.problem != ""; separate != (b.problem != "") {
			if separate {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.start.Truncate(time.Millisecond), b.start.Truncate(time.Millisecond)),
			cmp.Compare(a.end(), b.end()))
	})
	return all, nil
}

// make makes the file of a group, and returns what the document is to say of it.
func (j *Joiner) make(ctx context.Context, g group, all []scanned, name string) (part document.Part, err error) {
	streams := g.header(all)
	container := string(mux.ContainerOf(streams))
	local := filepath.Join(j.Work, "joined."+container) // there is one at a time
	defer func() { _ = j.Disk.Remove(local) }()         // whatever has become of it

	var size int64
	for _, p := range g.pieces {
		size += all[p.n].file.size
	}
	into := j.Storage.Create(local, name, container, size)
	defer func() {
		if closing := into.Close(ctx, err == nil); closing != nil {
			j.Log.WithError(closing).WithField("key", j.Storage.Key(name)).Warn("upload of a joined file stays for now")
		}
	}()

	file, err := j.Media.OpenIdle(local, streams)
	if err != nil {
		return part, err
	}
	w := newWeave(file, all[g.pieces[0].n].start, streams)
	cuts, err := j.weave(ctx, w, g, all, into)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err = errors.Join(err, file.Close(closing)); err != nil {
		return part, err
	}

	err = j.insist(ctx, "store joined file", func(ctx context.Context) (err error) {
		size, err = into.Finish(ctx)
		return err
	})
	if err != nil {
		return part, err
	}
	part = describe(w, g, all, cuts)
	part.Key, part.Container, part.Size = j.Storage.Key(name), container, size
	return part, j.verify(ctx, w, part, name)
}

// weave writes the pieces of a group, and returns how many packets of each part have been left out.
func (j *Joiner) weave(ctx context.Context, w *weave, g group, all []scanned, into Upload) (cuts []int64, err error) {
	pace := func(ctx context.Context) error {
		if err := j.insist(ctx, "store what is joined", into.Advance); err != nil {
			return err
		}
		return j.awaitSpace(ctx, 2*into.PartSize()+chunkSize)
	}
	for _, p := range g.pieces {
		s := &all[p.n]
		w.begin(s, p)
		var kept, cut int64
		err := j.read(ctx, s, pace, func([]mux.Stream) error { return nil }, func(packet mux.Packet) error {
			in, err := w.write(s.streams[packet.Stream].Codec.Kind, packet)
			if in {
				kept++
			} else {
				cut++
			}
			return err
		})
		if err == nil && kept+cut != s.packets() {
			err = fmt.Errorf("%w: %s had %d packets, and then %d", errCounted, s.part.Key, s.packets(), kept+cut)
		}
		if err != nil {
			return nil, fmt.Errorf("join %s: %w", s.part.Key, err)
		}
		cuts = append(cuts, cut)
	}
	return cuts, w.covered()
}

// verify reads the file from where it is stored, and counts: whoever removes the parts must be sure of it.
func (j *Joiner) verify(ctx context.Context, w *weave, part document.Part, name string) error {
	made := scanned{part: part, file: stored{name: name}}
	err := j.insist(ctx, "look at joined file", func(ctx context.Context) (err error) {
		made.file.size, made.file.tag, err = j.Storage.Look(ctx, name)
		return err
	})
	if err != nil {
		return err
	}
	if err := j.scan(ctx, &made); err != nil {
		return fmt.Errorf("read joined file again: %w", err)
	}
	if made.problem != "" {
		return fmt.Errorf("%w: %s", errCounted, made.problem)
	}
	for kind, s := range w.strands {
		if n := made.extents[kind].packets; n != s.count.packets {
			return fmt.Errorf("%w: %d packets of its %s have been written, it has %d", errCounted, s.count.packets, kind, n)
		}
	}
	return nil
}
