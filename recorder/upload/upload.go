// Package upload puts a growing file into S3 while it grows.
//
// What it relies on (measured for ffmpeg's WebM, Ogg and hybrid MP4 muxers): such a file only ever grows, but for its
// first few hundred bytes, which are patched when it is closed. So each part of the file is uploaded as soon as it is
// written, and part 1 once more at the end: S3 replaces a part that is uploaded again under its number.
//
// A recorder may be taken for dead although it is not, and another one then makes an object of what it has uploaded. So
// media objects are only ever created, on the condition that there is none; and whoever fails looks at what is there.
// The one exception replaces exactly the object that it has looked at.
package upload

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
)

// What callers tell apart.
var (
	// ErrNotFound says that there is nothing in the bucket.
	ErrNotFound = errors.New("not found")
	// ErrChanged says that there is another object by now than the one that was to be replaced.
	ErrChanged = errors.New("changed by somebody else")
	// ErrGone says that somebody has thrown an upload away.
	ErrGone = errors.New("upload thrown away by somebody else")
	// ErrEmpty says that a file has no bytes, so that there is nothing to store.
	ErrEmpty = errors.New("nothing was written")
)

const (
	// pollInterval is how often the file's size is looked at.
	pollInterval = 500 * time.Millisecond
	// lostPause is how long an upload that somebody else has ended is left alone.
	lostPause = 5 * time.Second
)

// S3 uploads into a directory of a bucket.
type S3 struct {
	Client    *s3.Client
	Bucket    string
	Directory string
	Disk      scratch.Disk
	// Recorder is the name of this recorder's journal: no two ever have the same.
	Recorder string
	// PartSize is the size of the first parts in bytes, LeastPart that of the smallest ones that the bucket takes; 0 means
	// 16 and 5 MiB.
	PartSize, LeastPart int64
	Log                 logrus.FieldLogger

	keeping sync.Once
	journal *journal // once something has begun, see [S3.keeper]
	indexes indexes
}

// Upload is one file on its way into the bucket.
type Upload struct {
	s3    *S3
	name  string
	path  string
	while while
	log   logrus.FieldLogger

	mu    sync.Mutex // held by whoever moves the upload on: the goroutine of Begin, then Finish
	file  scratch.File
	parts multipart
	sent  progress
	left  []string // recorders whose journals may have something of the file, but this one's
	made  *made    // once the file is in the bucket; what remains then is to tidy up
}

// while is the storing of a file while it grows.
type while struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	broken atomic.Bool   // by a panic
}

// progress is what else is known of the parts.
type progress struct {
	first    int64  // length of part 1
	checksum uint64 // of part 1 as it was uploaded; 0 if that is not known
	released int64  // where the local file's bytes begin to be there again, after part 1; 0 if all are there
	detached bool   // the parts have to be listed before anything is uploaded
	strays   bool   // there may be uploads of this key that nobody knows of
	// lost is when it was seen that somebody else has ended the upload: it is left alone for a while.
	lost time.Time
}

// made is the object that has come of a file.
type made struct {
	name string
	size int64
	torn bool // it has zeros where the file had something
}

// contentTypes by extension.
var contentTypes = map[string]string{"webm": "video/webm", "mp4": "video/mp4", "ogg": "audio/ogg"}

// Key is where a file with that name goes in the bucket.
func (s *S3) Key(name string) string { return document.Join(s.Directory, name) }

// Begin starts to upload the file at path as name, while it grows. It returns at once; [Upload.Finish] must follow.
func (s *S3) Begin(path, name, container string) *Upload {
	return s.BeginFor(s.Log, path, name, container)
}

// BeginFor is [S3.Begin] with a log that says whose file it is.
func (s *S3) BeginFor(log logrus.FieldLogger, path, name, container string) *Upload {
	u := s.newUpload(log, path, name, container)
	s.keeper().add(name, path, s.partSize(1))

	var ctx context.Context
	ctx, u.while.cancel = context.WithCancel(context.Background())
	go u.run(ctx)

	return u
}

// keeper is the journal of this recorder.
func (s *S3) keeper() *journal {
	s.keeping.Do(func() { s.journal = newJournal(s) })
	return s.journal
}

// Broken says that a panic has ended the storing while the file grows. What is known of it may be wrong from then on:
// [Upload.Finish] fails, and whoever finds the file on the disk begins with what the bucket says.
func (u *Upload) Broken() bool { return u.while.broken.Load() }

// Leave ends the storing without an end of the file, in place of [Upload.Finish] or after that has failed: the file and
// its note stay on the disk.
func (u *Upload) Leave() {
	u.while.cancel()
	<-u.while.done
	u.s3.keeper().rest(u.name)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file != nil {
		_ = u.file.Close() // only read from
		u.file = nil
	}
}

func (s *S3) newUpload(log logrus.FieldLogger, path, name, container string) *Upload {
	return &Upload{
		s3:    s,
		name:  name,
		path:  path,
		while: while{cancel: func() {}, done: make(chan struct{})},
		log:   log.WithField("key", s.Key(name)),
		parts: multipart{object: s.object(name, container), s3: s},
	}
}

func (u *Upload) next() int32 { return int32(len(u.parts.parts)) + 1 }

// size opens the file, if it is not open yet, and returns its size in bytes.
func (u *Upload) size() (int64, error) {
	if u.file == nil {
		file, err := u.s3.Disk.Open(u.path)
		if err != nil {
			return 0, fmt.Errorf("open file to upload: %w", err)
		}
		u.file = file
	}

	size, err := u.file.Size()
	if err != nil {
		return 0, fmt.Errorf("look at file to upload: %w", err)
	}
	return size, nil
}

// uploadNext uploads the next bytes of the file as a part.
func (u *Upload) uploadNext(ctx context.Context, length int64) error {
	if u.parts.id == "" {
		err := u.parts.create(ctx)
		u.sent.strays = u.sent.strays || u.parts.strays
		if err != nil {
			return err
		}
	}

	n, offset := u.next(), u.parts.bytes
	if n == 1 {
		sum, err := u.checksum(length)
		if err != nil {
			return err
		}
		u.sent.first, u.sent.checksum = length, sum
	}

	tag, err := u.parts.send(ctx, n, io.NewSectionReader(u.file, offset, length), length)
	if err != nil {
		return err
	}
	u.parts.add(n, tag, length)
	return nil
}

// release gives back the disk space of the parts up to an offset, but for part 1, which is needed again. The last part
// stays too: that the next one has been taken says that nobody had ended the upload without the one before. What is
// released is noted first, so that whoever finds the file never takes it for a whole one.
func (u *Upload) release(end int64) {
	start := max(u.sent.first, u.sent.released)
	end = max(start, end)
	released := u.sent.released
	if end > start {
		released = end
	}

	if err := u.writeNote(released); err != nil {
		u.log.WithError(err).Warn("disk space of uploaded parts stays in use")
		return
	}
	if end > start {
		u.sent.released = end
		u.file.Release(start, end-start)
	}
}

// checksum is that of the first bytes of the file.
func (u *Upload) checksum(length int64) (uint64, error) {
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	if _, err := io.Copy(sum, io.NewSectionReader(u.file, 0, length)); err != nil {
		return 0, fmt.Errorf("read file to upload: %w", err)
	}
	return sum.Sum64(), nil
}

// forget begins anew, with a file of which nothing has been released.
func (u *Upload) forget() {
	u.parts = multipart{object: u.parts.object, s3: u.s3}
	u.sent = progress{strays: u.sent.strays}
	u.note(false)
}
