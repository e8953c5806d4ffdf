package mux

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// A recorder that comes back may have part 1 of a file and its end, and zeros between them (see package upload). ffmpeg
// itself finds a WebM file's next cluster behind any zeros, but takes the frame that they cut in two for a whole one;
// of Ogg it gives up after 64 KiB of them, and of MP4 at once. So what is torn goes through ffmpeg as something that it
// skips: everything else stays where it was in the file, which fragments of MP4 rely on.
const (
	// longestUnit bounds what is kept in memory to find out whether it is whole, and what is left out at one place beside
	// zeros, in bytes. A fragment of MP4 has a second of everything.
	longestUnit = 32 << 20
	// tornBlock is how much is searched at once, and tornOverlap what is searched again with what follows.
	tornBlock   = 256 << 10
	tornOverlap = 16
)

// errGarbage says that there is something else in a file than media and zeros.
var errGarbage = errors.New("the file has neither media nor zeros for long")

// layout is how a container's files are made: of units that can be left out.
type layout interface {
	// unit is the size of the unit with which the window begins: 0 if that is none, or one that is cut off by zeros.
	unit(*torn) int64
	// sync finds the first place in the window, from an offset on, where units go on; -1 if there is none.
	sync(t *torn, from int) int
	// instead is what stands for a range of the file that is left out.
	instead(start, length int64) []byte
	// resume is what goes before the first unit behind such a range, with which the window begins.
	resume(*torn) []byte
}

// torn reads a media file without what zeros have made of a part of it.
type torn struct {
	from   io.Reader
	layout layout

	window  []byte // what has been read and is not decided on
	offset  int64  // in the file, of the window
	ended   error  // why nothing follows the window
	ready   []byte // what is decided on
	plain   int64  // how many bytes are passed on as they are; all, if negative
	begun   bool   // there was a unit
	leaving bool   // units are searched for
	garbage int64  // bytes that have been left out since and are not zero
	tears   int    // ranges that were left out
}

// newTorn reads a media file of a container.
func newTorn(from io.Reader, container string) *torn {
	layouts := map[string]layout{"webm": &webmLayout{}, "mp4": &mp4Layout{}, "ogg": &oggLayout{}}
	t := &torn{from: from, layout: layouts[container]}
	if t.layout == nil {
		t.plain = -1
	}
	return t
}

// Read implements [io.Reader].
func (t *torn) Read(p []byte) (int, error) {
	for len(t.ready) == 0 {
		if err := t.next(); err != nil {
			return 0, err
		}
	}

	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	return n, nil
}

// peek returns the next bytes, or all that there are.
func (t *torn) peek(n int64) []byte {
	for int64(len(t.window)) < n && t.ended == nil {
		t.window = slices.Grow(t.window, tornBlock)
		length := len(t.window)
		read, err := t.from.Read(t.window[length:cap(t.window)])
		t.window, t.ended = t.window[:length+read], err
	}
	return t.window[:min(n, int64(len(t.window)))]
}

// take takes the next bytes out of the window.
func (t *torn) take(n int64) []byte {
	taken := t.peek(n)
	t.window, t.offset = t.window[len(taken):], t.offset+int64(len(taken))
	return taken
}

// next decides on what comes next.
func (t *torn) next() error {
	if len(t.peek(1)) == 0 {
		return t.ended
	}

	switch {
	case t.plain != 0:
		t.ready = t.take(tornBlock)
		if t.plain > 0 {
			t.plain -= int64(len(t.ready))
		}
		return nil
	case t.leaving:
		return t.search()
	}

	size := t.layout.unit(t)
	switch {
	case size > longestUnit:
		t.plain = size
	case size > 0:
		t.ready = t.take(size)
	case t.begun:
		t.leaving, t.garbage = true, 0
		return t.search()
	default: // that is for ffmpeg to say
		t.plain = -1
	}
	t.begun = true
	return nil
}

// search leaves out what is before the next unit. The first byte is where there is none.
func (t *torn) search() error {
	t.peek(tornBlock)
	if at := t.layout.sync(t, 1); at >= 0 {
		err := t.leave(at)
		t.leaving = false
		t.tears++
		t.ready = append(t.ready, t.layout.resume(t)...)
		return err
	}

	rest := 0
	if t.ended == nil {
		rest = tornOverlap // something may begin there
	}
	return t.leave(max(0, len(t.window)-rest))
}

// leave leaves bytes out.
func (t *torn) leave(n int) error {
	start := t.offset
	left := t.take(int64(n))
	t.garbage += int64(len(left) - bytes.Count(left, []byte{0}))
	if t.garbage > longestUnit {
		return errGarbage
	}
	t.ready = t.layout.instead(start, int64(len(left)))
	return nil
}

// cut says that a unit of that size is cut off by zeros: it ends with one, and more follow.
func (t *torn) cut(size int64) bool {
	const behind = 8
	if size > longestUnit {
		return false
	}
	b := t.peek(size + behind)
	return int64(len(b)) > size && zeros(b[size-1:])
}

func zeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
