package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"livekit-recorder/recorder/scratch"
)

// write puts what has come since the last time into the bucket.
func (j *journal) write(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	}

	defer j.secured(time.Now())

	j.rewriteOldest()
	for rest := j.news(); len(rest) > 0; {
		var now []extract
		now, rest = divide(rest, largestEntry)
		if err := j.put(ctx, now); err != nil {
			return err
		}
	}
	return j.removeUseless(ctx, removeTogether)
}

// known is what is known of all files.
func (j *journal) known() map[*journaled]filed {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := make(map[*journaled]filed, len(j.files))
	for _, f := range j.files {
		known[f] = f.progress
	}
	return known
}

// change changes what is known of a file.
func (j *journal) change(f *journaled, change func(*filed)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&f.progress)
}

// rewriteOldest has files written again that keep entries from being removed.
func (j *journal) rewriteOldest() {
	known := j.known()
	var kept []entry
	var total, needed int64
	for _, e := range j.entries {
		if !useless(e, known) {
			kept, total = append(kept, e), total+e.size
		}
	}
	for f, now := range known {
		needed += max(0, f.entries.end-max(f.entries.start, now.uploaded))
	}
	if len(kept) <= mostEntries && total <= mostNeeded*needed+mostSpare {
		return
	}

	for f, now := range known {
		if now.growing && f.needs(kept[0], now) {
			j.change(f, func(p *filed) { p.again = true })
		}
	}
}

// useless says whether nobody needs anything of an entry any more.
func useless(e entry, known map[*journaled]filed) bool {
	for f := range e.ends {
		if now, ok := known[f]; ok && f.needs(e, now) {
			return false
		}
	}
	return true
}

// removeUseless removes the entries that nobody needs any more, if there are so many of them.
func (j *journal) removeUseless(ctx context.Context, least int) error {
	known := j.known()
	var keys []string
	for _, e := range j.entries {
		if useless(e, known) {
			keys = append(keys, e.key)
		}
	}
	if len(keys) < least {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	if err := j.s3.remove(ctx, keys); err != nil {
		return err
	}
	j.entries = slices.DeleteFunc(j.entries, func(e entry) bool { return useless(e, known) })
	j.weigh()
	return nil
}

// news is what has come since the last entry, of every file that grows.
func (j *journal) news() (news []extract) {
	for f, now := range j.known() {
		if !now.growing {
			f.close()
			continue
		}
		size, err := f.size(j.s3.Disk)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // ffmpeg has not made it yet
			j.s3.Log.WithError(err).WithField("file", f.path).Error("file cannot be read for the journal")
		}
		if err == nil {
			j.change(f, func(p *filed) { p.size = size })
		}
		if start := f.begin(now, size); err == nil && start < size {
			news = append(news, extract{f, start, size})
		}
	}
	slices.SortFunc(news, func(a, b extract) int { return strings.Compare(a.name, b.name) })
	return news
}

func (f *journaled) size(disk scratch.Disk) (int64, error) {
	if f.file == nil {
		file, err := disk.Open(f.path)
		if err != nil {
			return 0, fmt.Errorf("open file for the journal: %w", err)
		}
		f.file = file
	}
	return f.file.Size()
}

// begin is from where on the bytes of a file of that size are to be written.
func (f *journaled) begin(now filed, size int64) int64 {
	refuses := now.refusals >= enoughRefusals
	start := max(now.uploaded, f.entries.end)
	if now.again || refuses && f.entries.start > now.uploaded {
		start = now.uploaded
	}

	// What has piled up, as in an outage, is not written twice: the parts that it fills come soon.
	if !refuses && size-start >= now.next {
		start = max(start, now.uploaded+(size-now.uploaded)/now.next*now.next)
	}
	return start
}

// put writes an entry, without those files of which nobody would look for it, or that cannot be read. One that may have
// failed only by its answer is useless: the next one has the same again.
func (j *journal) put(ctx context.Context, news []extract) error {
	news, unmarked := j.mark(ctx, news)
	if len(news) == 0 {
		return unmarked
	}

	j.number++
	e := entry{number: j.number, key: j.s3.entryKey(j.number)}
	for _, p := range news {
		e.size += p.end - p.start
	}
	bounded, cancel := context.WithTimeout(ctx, entryTimeout+time.Duration(e.size/leastRate)*time.Second)
	defer cancel()
	err := j.s3.putEntry(bounded, e.key, news)
	var bad *unreadable
	if errors.As(err, &bad) {
		others := slices.DeleteFunc(slices.Clone(news), func(p extract) bool { return p.journaled == bad.file })
		return errors.Join(err, j.put(ctx, others))
	}
	if err == nil {
		e.ends = map[*journaled]int64{}
		for _, p := range news {
			p.entries.extend(p, e.number)
			e.ends[p.journaled] = p.end
			j.change(p.journaled, func(f *filed) { f.again = f.again && p.start > f.uploaded })
		}
		j.written.Add(1)
	}
	j.entries = append(j.entries, e)
	j.weigh()
	return errors.Join(err, unmarked)
}

// extend takes in what an entry has.
func (r *run) extend(e extract, number int) {
	if e.start != r.end || r.first == 0 {
		r.first, r.start = number, e.start
	}
	r.end = e.end
}

// mark marks the files that have no mark, or may have lost it. It leaves those out for which that fails.
func (j *journal) mark(ctx context.Context, news []extract) (marked []extract, failed error) {
	known := j.known()
	for _, p := range news {
		if !p.findable || known[p.journaled].unmarked {
			p.marked = true
			err := j.s3.putMark(ctx, p.name)
			if p.findable = err == nil; err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			j.change(p.journaled, func(f *filed) { f.unmarked = false })
		}
		marked = append(marked, p)
	}
	return marked, failed
}
