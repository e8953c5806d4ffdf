package simulate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// stamp says which frame a payload is: what a file has can be checked by its contents alone.
type stamp struct {
	person string
	track  string // SID
	number int64
	at     time.Time // of capture
}

// stampSize is how large every payload is, in bytes.
const stampSize = 96

// payload writes the stamp, with dots behind it.
func (s stamp) payload() []byte {
	text := fmt.Sprintf("@%s|%s|%d|%d|", s.person, s.track, s.number, s.at.UnixMilli())
	return append([]byte(text), bytes.Repeat([]byte("."), max(0, stampSize-len(text)))...)
}

// readStamp reads a payload; no for what is none of ours, such as silence that the recorder has filled in.
func readStamp(data []byte) (s stamp, ok bool) {
	fields := strings.Split(string(data), "|")
	if len(fields) != 5 || !strings.HasPrefix(fields[0], "@") {
		return s, false
	}
	number, err := strconv.ParseInt(fields[2], 10, 64)
	ms, other := strconv.ParseInt(fields[3], 10, 64)
	return stamp{fields[0][1:], fields[1], number, time.UnixMilli(ms)}, err == nil && other == nil
}

// A simulated media file is a header with the duration (0 until it is closed), a record for each frame, and a
// trailer.
const (
	magic      = "SIMMEDIA"
	headerSize = len(magic) + 8
	recordMark = 'F'
	trailer    = 'E'
	recordSize = 1 + 1 + 1 + 8 + 4 // mark, stream, key, time in microseconds, length
)

var (
	errNoMedia = errors.New("no simulated media file")
	errBroken  = errors.New("broken record")
)

func header(duration time.Duration) []byte {
	return binary.BigEndian.AppendUint64([]byte(magic), uint64(duration.Microseconds()))
}

// record is one frame in a file.
type record struct {
	stream int
	key    bool
	at     time.Duration
	data   []byte
}

func (r record) encode() []byte {
	key := byte(0)
	if r.key {
		key = 1
	}
	out := []byte{recordMark, byte(r.stream), key}
	out = binary.BigEndian.AppendUint64(out, uint64(r.at.Microseconds()))
	out = binary.BigEndian.AppendUint32(out, uint32(len(r.data)))
	return append(out, r.data...)
}

// media is what a file has.
type media struct {
	records  []record
	duration time.Duration // by its header
	closed   bool          // it has a trailer
}

// length is the time behind the last frame: frames are half a second apart.
func (m media) length() (end time.Duration) {
	for _, r := range m.records {
		end = max(end, r.at+frameInterval)
	}
	return end
}

// readMedia reads whole records. It returns what it has read before an error: [errBroken] for bytes that are no
// record (a hole), nil for a record that is cut off at the end.
func readMedia(body []byte) (m media, err error) {
	if len(body) < headerSize || string(body[:len(magic)]) != magic {
		return m, errNoMedia
	}

	m.duration = time.Duration(binary.BigEndian.Uint64(body[len(magic):])) * time.Microsecond

	for rest := body[headerSize:]; len(rest) > 0; {
		if rest[0] == trailer {
			m.closed = true
			if len(rest) > 1 {
				return m, errBroken
			}
			return m, nil
		}

		r, size, err := readRecord(rest)
		if err != nil || size == 0 {
			return m, err
		}
		m.records = append(m.records, r)
		rest = rest[size:]
	}

	return m, nil
}

// readRecord reads a record, and returns its size in bytes: 0 if it is cut off.
func readRecord(rest []byte) (r record, size int, err error) {
	if rest[0] != recordMark {
		return r, 0, errBroken
	}
	if len(rest) < recordSize {
		return r, 0, nil
	}

	size = recordSize + int(binary.BigEndian.Uint32(rest[11:]))
	if len(rest) < size {
		return r, 0, nil
	}
	return record{
		stream: int(rest[1]),
		key:    rest[2] == 1,
		data:   rest[recordSize:size],
		at:     time.Duration(binary.BigEndian.Uint64(rest[3:])) * time.Microsecond,
	}, size, nil
}
