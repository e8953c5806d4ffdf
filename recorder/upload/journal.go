package upload

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/scratch"
)

const (
	// journalInterval is the time between two entries of the journal. With the seconds that frames wait for each other,
	// and in ffmpeg, at most 10 seconds are lost with a machine.
	journalInterval = 5 * time.Second
	// largestEntry is how many bytes of files an entry has at most: what has piled up goes into several.
	largestEntry = 16 << 20
	// entryTimeout bounds the writing of an entry, beside its size by leastRate, in bytes a second: others wait.
	entryTimeout = 8 * time.Second
	leastRate    = 512 << 10
	// removeTogether is how many entries that nobody needs any more are removed at once, and removeTimeout bounds that.
	removeTogether = 50
	removeTimeout  = 10 * time.Second
	// An entry stays while one file needs something of it. When there are more than mostEntries, or more bytes than
	// mostNeeded times what is needed and mostSpare, what the oldest one is needed for is written once more.
	mostEntries = 500
	mostNeeded  = 3
	mostSpare   = 64 << 20
	// enoughRefusals is how many parts of a file the bucket must have refused, while it took entries of the journal, for
	// the journal to take what these parts should have.
	enoughRefusals = 2
)

// journal puts what is in no uploaded part yet, of all files of a recorder that grow, into the bucket: one entry with
// the bytes of all of them every few seconds. It runs while there is such a file.
//
//	.journal/RECORDER/NUMBER       an entry: its index, and the bytes of files that this speaks of
//	.journal/files/FILE/RECORDER   a mark, which is empty: that recorder's journal has something of that file
//
// An entry goes when nobody needs a byte of it any more, and a file's mark goes behind the last entry that only this
// file has needed. So what a recorder leaves behind when it vanishes is found by the names of files, and goes with the
// last of them that is recovered.
type journal struct {
	s3 *S3

	mu    sync.Mutex // guards these, and what is known of files; held for moments only
	files map[string]*journaled
	stop  context.CancelFunc // nil if it does not run
	ended chan struct{}

	turn    chan struct{} // has room for whoever writes or removes entries, who owns these:
	entries []entry       // in the bucket, or perhaps there
	number  int           // of the last one

	written atomic.Int64 // how many
	bytes   atomic.Int64 // of those that are in the bucket
	newest  atomic.Int64 // when the last one was written, or was not needed, in nanoseconds
}

// journaled is one file as the journal knows it.
type journaled struct {
	name, path string
	progress   filed

	// These belong to whoever has the turn.
	file     scratch.File
	entries  run
	marked   bool // there may be a mark
	findable bool // there is one: without it nobody looks for the file's bytes
}

// run says which bytes of a file are in entries, without a hole.
type run struct {
	first      int // number of the entry that it begins with
	start, end int64
}

// needs says whether a file's journal needs what an entry has of it.
func (f *journaled) needs(e entry, now filed) bool {
	end, ok := e.ends[f]
	return ok && !now.stored && end > now.uploaded && e.number >= f.entries.first
}

// filed is what its upload says of a file.
type filed struct {
	growing   bool  // its bytes are to be kept
	stored    bool  // nobody needs what the journal has of it
	uploaded  int64 // bytes that are in parts
	next      int64 // size of the next part in bytes
	refusals  int   // parts that were refused, each although an entry had been written since the one before
	refusedAt int64 // how many entries had been written by then
	again     bool  // what is in no part has to be written again
	unmarked  bool  // somebody may have removed the mark
	size      int64 // of the file in bytes when it was last looked at
	// safe is when everything was in parts or entries that the file had then.
	safe time.Time
}

// entry is one object of the journal.
type entry struct {
	number int
	key    string
	size   int64
	ends   map[*journaled]int64 // up to which byte it has something of a file
}

func newJournal(s *S3) *journal {
	return &journal{
		s3:    s,
		files: map[string]*journaled{},
		turn:  make(chan struct{}, 1),
	}
}

// add has the journal keep a file that grows.
func (j *journal) add(name, path string, next int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.files[name] = &journaled{
		name:     name,
		path:     path,
		progress: filed{growing: true, next: next, safe: time.Now()},
	}
	if j.stop != nil {
		return
	}
	j.newest.Store(time.Now().UnixNano())

	var ctx context.Context
	ctx, j.stop = context.WithCancel(context.Background())
	ended := make(chan struct{})
	j.ended = ended
	go func() { // until no file grows any more: whoever ends the last one waits
		defer close(ended)
		j.run(ctx)
	}()
}

// run writes entries until ctx is done. A fault costs one of them.
func (j *journal) run(ctx context.Context) {
	ticker := time.NewTicker(journalInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}

		_ = guard.Run(j.s3.Log, "write the journal", func() { // has been logged
			if err := j.write(ctx); err != nil && ctx.Err() == nil {
				j.s3.Log.WithError(err).Warn("journal is behind, will be tried again")
			}
		})
	}
}

// note takes down how far the parts of a file have come, how large the next one will be, and whether it was refused.
func (j *journal) note(name string, uploaded, next int64, refused bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := j.files[name]
	if f == nil {
		return
	}

	p := &f.progress
	p.again = p.again || uploaded < p.uploaded // it begins anew
	p.uploaded, p.next = uploaded, next
	switch written := j.written.Load(); {
	case !refused:
		p.refusals, p.refusedAt = 0, written
	case written > p.refusedAt:
		p.refusals, p.refusedAt = p.refusals+1, written
	}
}

// lost says that somebody else has made a file of what there was of this one, and may have removed its mark.
func (j *journal) lost(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f := j.files[name]; f != nil {
		f.progress.unmarked = true
	}
}

// rest ends the keeping of a file, which does not grow any more. What the journal has of it stays in the bucket.
func (j *journal) rest(name string) {
	j.mu.Lock()
	if f := j.files[name]; f != nil {
		f.progress.growing = false
	}
	stop, ended := j.stop, j.ended
	for _, f := range j.files {
		if f.progress.growing {
			stop = nil
		}
	}
	if stop != nil {
		j.stop = nil
	}
	j.mu.Unlock()

	if stop != nil {
		stop()
		<-ended
	}
}

// drop removes what the journal has of a file that is stored, as far as nobody else needs it. It may be called again if
// it fails.
func (j *journal) drop(ctx context.Context, name string) error {
	j.rest(name)
	marked, err := j.dropEntries(ctx, name)
	if err != nil {
		return err
	}
	if marked {
		if err := j.s3.remove(ctx, []string{j.s3.markPrefix(name) + j.s3.Recorder}); err != nil {
			return err
		}
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.files, name)
	return nil
}

// dropEntries says whether the file has a mark.
func (j *journal) dropEntries(ctx context.Context, name string) (marked bool, err error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	}

	j.mu.Lock()
	f := j.files[name]
	if f != nil {
		f.progress.stored = true
	}
	j.mu.Unlock()
	if f == nil {
		return false, nil
	}

	f.close()
	return f.marked, j.removeUseless(ctx, 1)
}

func (f *journaled) close() {
	if f.file != nil {
		_ = f.file.Close() // only read from
		f.file = nil
	}
}
