package mux

import (
	"bytes"
	"encoding/binary"
)

// mp4Layout: a unit is a box of a file that is not closed yet (see unclosed.go), or a fragment: a box moof with its
// mdat. Free boxes stand for what is left out.
type mp4Layout struct{}

// mfhd is how what a moof box has begins: with a box of 16 bytes (ISO/IEC 14496-12, section 8.8.5).
var mfhd = []byte("\x00\x00\x00\x10mfhd")

// largeBox reads the header of a box, also of one whose size is in 64 bits.
func largeBox(b []byte) (size int64, kind string) {
	if len(b) < boxHeader {
		return 0, ""
	}
	size, kind = box(b)
	if size == 1 && len(b) >= 2*boxHeader {
		size = int64(binary.BigEndian.Uint64(b[boxHeader:]))
	}
	for _, c := range []byte(kind) {
		if c < ' ' || c > '~' {
			return 0, ""
		}
	}
	if size < boxHeader {
		return 0, ""
	}
	return size, kind
}

func (l mp4Layout) unit(t *torn) int64 {
	size, kind := largeBox(t.peek(2 * boxHeader))
	switch {
	case !t.begun && kind != "ftyp":
		return 0
	case kind != "moof":
		return size
	}

	if size = l.fragment(t, 0); size == 0 || t.cut(size) {
		return 0
	}
	return size
}

// fragment is the size of the one that begins at an offset in the window, 0 if none does.
func (mp4Layout) fragment(t *torn, at int64) int64 {
	head := t.peek(at + 2*boxHeader)[at:]
	size, kind := largeBox(head)
	if kind != "moof" || size > longestUnit || !bytes.HasSuffix(head, mfhd) {
		return 0
	}

	next := t.peek(at + size + 2*boxHeader)[at:]
	if int64(len(next)) < size {
		return 0
	}
	data, kind := largeBox(next[size:])
	if kind != "mdat" {
		return 0
	}
	return size + data
}

func (l mp4Layout) sync(t *torn, from int) int {
	for at := from; ; at++ {
		if at+4 > len(t.window) {
			return -1
		}
		n := bytes.Index(t.window[at+4:], []byte("moof"))
		if n < 0 {
			return -1
		}
		at += n
		if l.fragment(t, int64(at)) > 0 {
			return at
		}
	}
}

func (mp4Layout) instead(_, length int64) []byte {
	all := make([]byte, length)
	if length >= boxHeader {
		binary.BigEndian.PutUint32(all, uint32(length))
		copy(all[4:], "free")
	}
	return all
}

func (mp4Layout) resume(*torn) []byte { return nil }
