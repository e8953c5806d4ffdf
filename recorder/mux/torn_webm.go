package mux

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Identifiers of elements (RFC 9559, section 5.1; RFC 8794, sections 11.2 and 11.3.2).
const (
	idEBML      = 0x1a45dfa3
	idSegment   = 0x18538067
	idCluster   = 0x1f43b675
	idTimestamp = 0xe7
	idVoid      = 0xec
)

// webmLayout: a unit is an element, but of segments and clusters, which have others in them, only the header. Void
// elements stand for what is left out.
type webmLayout struct {
	end int64 // in the file, of the cluster that is being read
}

// element reads the header of an element, and returns its identifier, the size of the header, and that of what it
// has: negative if that is not known. The header's size is 0 if that is none.
func element(b []byte) (id uint64, header, size int64) {
	id, n, _ := number(b, 4)
	if n == 0 {
		return 0, 0, 0
	}
	size64, m, unknown := number(b[n:], 8)
	if m == 0 {
		return 0, 0, 0
	}

	size = int64(size64 &^ (1 << (7 * m)))
	if unknown {
		size = -1
	}
	return id, int64(n + m), size
}

// number reads one of variable length (RFC 8794, section 4), with its marker; the length is 0 if there is none.
func number(b []byte, longest int) (value uint64, length int, ones bool) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0, false
	}
	length = bits.LeadingZeros8(b[0]) + 1
	if length > longest || length > len(b) {
		return 0, 0, false
	}

	for _, x := range b[:length] {
		value = value<<8 | uint64(x)
	}
	return value, length, value == 1<<(7*length+1)-1
}

func (w *webmLayout) unit(t *torn) int64 {
	id, header, size := element(t.peek(12))
	switch {
	case header == 0, !t.begun && id != idEBML:
		return 0
	case id == idCluster:
		w.end = t.offset + header + size
		return header
	case id == idSegment:
		return header
	case size < 0 || t.cut(header+size):
		return 0
	}
	return header + size
}

func (*webmLayout) sync(t *torn, from int) int {
	for at := from; ; at++ {
		n := bytes.Index(t.window[at:], binary.BigEndian.AppendUint32(nil, idCluster))
		if n < 0 {
			return -1
		}
		at += n

		b := t.peek(int64(at) + 24)[at:]
		if _, header, _ := element(b); header > 0 {
			if id, timestamp, size := element(b[header:]); id == idTimestamp && timestamp > 0 && size > 0 && size <= 8 {
				return at
			}
		}
	}
}

func (w *webmLayout) instead(start, length int64) []byte {
	if inside := w.end - start; inside > 0 && inside < length {
		return append(void(inside), void(length-inside)...)
	}
	return void(length)
}

func (*webmLayout) resume(*torn) []byte { return nil }

// void makes a Void element of so many bytes.
func void(length int64) []byte {
	all := make([]byte, length)
	switch {
	case length >= 9:
		binary.BigEndian.PutUint64(all[1:], 1<<56|uint64(length-9))
		all[0] = idVoid
	case length >= 2:
		all[0], all[1] = idVoid, 0x80|byte(length-2)
	}
	return all
}
