package mux

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// While it grows, a hybrid MP4 file is fragmented: ftyp, an empty box, moov, mdat, and moof and mdat for each further
// fragment, which can be read as they come. When it is closed, the empty box and the header of moov become the header
// of one large mdat that has everything so far, and an index follows, without which nobody can read it. Here is that
// undone.
const (
	boxHeader   = 8 // size (32 bits) and type of a box (ISO/IEC 14496-12, section 4.2)
	longestHead = 64 << 10
)

// box reads the header of a box.
func box(header []byte) (size int64, kind string) {
	return int64(binary.BigEndian.Uint32(header)), string(header[4:boxHeader])
}

// unclosedMP4 reads a hybrid MP4 file as it was before it was closed. Any other file is left as it is.
func unclosedMP4(file io.Reader) io.Reader {
	r := bufio.NewReaderSize(file, longestHead)
	head, _ := r.Peek(longestHead) // a file that is shorter, or cannot be read, is so for whoever reads it next
	if len(head) < boxHeader {
		return r
	}
	start, kind := box(head)
	inside := start + 2*boxHeader // of what was moov
	if kind != "ftyp" || start < boxHeader || inside > int64(len(head)) {
		return r
	}

	var length int64 // of mdat behind its header
	switch size, kind := box(head[start:]); {
	case kind == "mdat" && size == 1: // then its size is in the next 64 bits
		length = int64(binary.BigEndian.Uint64(head[start+boxHeader:])) - 2*boxHeader
	case kind == "free" && size == boxHeader:
		if size, kind = box(head[start+boxHeader:]); kind == "mdat" {
			length = size - boxHeader
		}
	}
	moov := moovSize(head[inside:])
	if length <= 0 || moov == 0 {
		return r
	}

	begin := append(bytes.Clone(head[:start]), "\x00\x00\x00\x08free"...)
	begin = append(binary.BigEndian.AppendUint32(begin, uint32(moov)), "moov"...)
	_, _ = r.Discard(len(begin)) // they have been looked at
	return io.MultiReader(bytes.NewReader(begin), io.LimitReader(r, length))
}

// moovSize is the size of the box that had the boxes that come first, up to the first samples; 0 if they are no such
// boxes.
func moovSize(inside []byte) int64 {
	for at := int64(0); at+boxHeader <= int64(len(inside)); {
		size, kind := box(inside[at:])
		switch {
		case at > 0 && (kind == "moof" || kind == "mdat"):
			return at + boxHeader
		case at == 0 && kind != "mvhd" || size < boxHeader:
			return 0
		}
		at += size
	}
	return 0
}
