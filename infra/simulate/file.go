package simulate

import (
	"io"
	"slices"
	"time"
)

// opened is a file that a process has open, to read or to write.
type opened struct {
	mount
	file *file
	name string
}

// Size implements [scratch.File].
func (o *opened) Size() (int64, error) {
	leave, err := o.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	return int64(len(o.file.data)), nil
}

// ReadAt implements [io.ReaderAt].
func (o *opened) ReadAt(p []byte, offset int64) (int, error) {
	leave, err := o.enter()
	if err != nil {
		return 0, err
	}
	defer leave()

	if offset >= int64(len(o.file.data)) {
		return 0, io.EOF
	}
	n := copy(p, o.file.data[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write appends to the file.
func (o *opened) Write(p []byte) (int, error) {
	leave, err := o.enter()
	if err != nil {
		return 0, err
	}
	defer leave()

	if o.full {
		return 0, noSpace(o.name)
	}
	o.file.data, o.file.modified = append(o.file.data, p...), time.Now()
	return len(p), nil
}

// patch writes over the file's beginning, as media files' headers are when they are closed. The simulated ffmpeg does
// it.
func (o *opened) patch(p []byte) error {
	leave, err := o.enter()
	if err != nil {
		return err
	}
	defer leave()
	copy(o.file.data, p)
	return nil
}

// Release implements [scratch.File]: the range reads as zeros from now on.
func (o *opened) Release(offset, length int64) {
	leave, err := o.enter()
	if err != nil {
		return
	}
	defer leave()

	end := min(offset+length, int64(len(o.file.data)))
	if offset >= end {
		return
	}
	clear(o.file.data[offset:end])
	o.file.free(span{offset, end})
}

// Close implements [io.Closer].
func (o *opened) Close() error { return o.process.alive() }

// free notes a hole, together with those that it touches.
func (f *file) free(hole span) {
	f.freed = slices.DeleteFunc(f.freed, func(s span) bool {
		if s.end < hole.start || s.start > hole.end {
			return false
		}
		hole.start, hole.end = min(hole.start, s.start), max(hole.end, s.end)
		return true
	})
	f.freed = append(f.freed, hole)
}

// allocated is how much of the disk a file takes, in bytes.
func (f *file) allocated() int64 {
	n := int64(len(f.data))
	for _, hole := range f.freed {
		n -= hole.end - hole.start
	}
	return n
}
