package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"livekit-recorder/recorder/scratch"
)

// write puts what has come since the last time into the bucket.
func (j *journal) write(ctx context.Context) error {
	j.turn <- struct{}{} // nobody has it for long
	defer func() { <-j.turn }()
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

// removeUseless removes the entries that nobody needs any more, if there are so many of them.
func (j *journal) removeUseless(ctx context.Context, least int) error {
	known := j.known()
	useless := func(e entry) bool {
		for f, end := range e.ends {
			if now, ok := known[f]; ok && !now.stored && end > now.uploaded {
				return false
			}
		}
		return true
	}

	var keys []string
	for _, e := range j.entries {
		if useless(e) {
			keys = append(keys, e.key)
		}
	}
	if len(keys) < least {
		return nil
	}
	if err := j.s3.remove(ctx, keys); err != nil {
		return err
	}
	j.entries = slices.DeleteFunc(j.entries, useless)
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
	start := max(now.uploaded, f.end)
	if refuses && f.start > now.uploaded {
		start = now.uploaded
	}

	// What has piled up, as in an outage, is not written twice: the parts that it fills come soon.
	if !refuses && size-start >= now.next {
		start = max(start, now.uploaded+(size-now.uploaded)/now.next*now.next)
	}
	return start
}

// put writes an entry. One that may have failed only by its answer is useless: the next one has the same again.
func (j *journal) put(ctx context.Context, news []extract) error {
	for _, p := range news {
		if p.marked {
			continue
		}
		p.marked = true
		if err := j.s3.putMark(ctx, p.name); err != nil {
			return err
		}
	}

	j.number++
	e := entry{key: j.s3.entryKey(j.number)}
	err := j.s3.putEntry(ctx, e.key, news)
	if err == nil {
		e.ends = map[*journaled]int64{}
		for _, p := range news {
			if p.start != p.journaled.end {
				p.journaled.start = p.start
			}
			p.journaled.end, e.ends[p.journaled] = p.end, p.end
		}
		j.written.Add(1)
	}
	j.entries = append(j.entries, e)
	return err
}
