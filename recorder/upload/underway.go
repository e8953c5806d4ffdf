package upload

import "time"

// Underway is how far everything is on its way into the bucket that is not there yet.
type Underway struct {
	Files   int   // that are in no finished object
	Pending int64 // bytes of them that are in no uploaded part
	// Lag is the age of the oldest byte that is in no object, neither in a part nor in the journal.
	Lag time.Duration
	// Journal is how many bytes this recorder's journal has in the bucket, JournalAge how old its newest entry is; 0 while
	// no file grows.
	Journal    int64
	JournalAge time.Duration
}

// Underway tells how far everything is. File sizes may be as old as the newest entry of the journal.
func (s *S3) Underway() (u Underway) {
	j, now := s.keeper(), time.Now()
	u.Journal = j.bytes.Load()

	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.files {
		p := f.progress
		if p.stored || p.size == 0 { // of an empty file there is nothing to be lost
			continue
		}
		u.Files++
		u.Pending += max(0, p.size-p.uploaded)
		u.Lag = max(u.Lag, now.Sub(p.safe))
	}
	if j.stop != nil {
		u.JournalAge = now.Sub(time.Unix(0, j.newest.Load()))
	}
	return u
}

// secured notes which files have nothing that was there at some time and is neither in a part nor in an entry. It is
// for whoever has the turn.
func (j *journal) secured(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	current := true
	for _, f := range j.files {
		p := &f.progress
		if !p.growing { // it may have grown since it was looked at, and is on its way as a whole
			continue
		}
		end := p.uploaded
		if f.entries.start <= end {
			end = max(end, f.entries.end)
		}
		if end >= p.size {
			p.safe = at
		} else {
			current = false
		}
	}
	if current {
		j.newest.Store(at.UnixNano())
	}
}

// weigh notes how many bytes all entries have. It is for whoever has the turn, when they have changed.
func (j *journal) weigh() {
	var bytes int64
	for _, e := range j.entries {
		if e.ends != nil { // or it may not be there
			bytes += e.size
		}
	}
	j.bytes.Store(bytes)
}
