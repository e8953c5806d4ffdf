package mux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// longestIndex is the largest index of an MP4 file that is read into memory: that of a week or so.
const longestIndex = 1 << 30

// forward is a file as a reader gets it that cannot go back. The index of an MP4 file that has been closed is at its
// end: it comes first here, and says where everything is then (ISO/IEC 14496-12, sections 8.2.1 and 8.7.5).
func forward(file Media) (io.Reader, error) {
	all := io.NewSectionReader(file.Body, 0, file.Size)
	if file.Container != "mp4" {
		return all, nil
	}

	var index span
	data := false
	for at := int64(0); at < file.Size; {
		head := make([]byte, 2*boxHeader)
		n, err := file.Body.ReadAt(head, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		size, kind := largeBox(head[:n])
		if size == 0 || size > file.Size-at {
			return nil, fmt.Errorf("%w: it has no box at %d", ErrNoMedia, at)
		}
		if kind == "moof" || kind == "moov" && !data {
			return all, nil // it has been written to be read as it comes
		}
		data = data || kind == "mdat"
		if kind == "moov" {
			index = span{at, size}
		}
		at += size
	}
	if index.size == 0 || index.size > longestIndex {
		return nil, fmt.Errorf("%w: its index has %d bytes", ErrNoMedia, index.size)
	}

	moov := make([]byte, index.size)
	if _, err := file.Body.ReadAt(moov, index.at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head := make([]byte, boxHeader)
	if _, err := file.Body.ReadAt(head, 0); err != nil {
		return nil, err
	}
	first, _ := largeBox(head) // the file's type goes before the index
	if err := displace(moov[boxHeader:], index.size); err != nil {
		return nil, err
	}
	return io.MultiReader(
		io.NewSectionReader(file.Body, 0, first),
		bytes.NewReader(moov),
		io.NewSectionReader(file.Body, first, index.at-first),
	), nil
}

// span is where something is in a file.
type span struct{ at, size int64 }

// holders are the boxes that have those in them which say where chunks are.
var holders = map[string]bool{"trak": true, "mdia": true, "minf": true, "stbl": true}

// displace adds to all offsets of chunks in boxes.
func displace(boxes []byte, by int64) error {
	for len(boxes) > 0 {
		size, kind := largeBox(boxes)
		if size == 0 || size > int64(len(boxes)) {
			return fmt.Errorf("%w: its index is broken", ErrNoMedia)
		}
		body := boxes[boxHeader:size]
		switch {
		case holders[kind]:
			if err := displace(body, by); err != nil {
				return err
			}
		case kind == "stco":
			for at := 8; at+4 <= len(body); at += 4 {
				moved := int64(binary.BigEndian.Uint32(body[at:])) + by
				if moved>>32 != 0 {
					return fmt.Errorf("%w: its index is for files of less than 4 GiB", ErrNoMedia)
				}
				binary.BigEndian.PutUint32(body[at:], uint32(moved))
			}
		case kind == "co64":
			for at := 8; at+8 <= len(body); at += 8 {
				binary.BigEndian.PutUint64(body[at:], binary.BigEndian.Uint64(body[at:])+uint64(by))
			}
		}
		boxes = boxes[size:]
	}
	return nil
}
