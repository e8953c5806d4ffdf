package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"livekit-recorder/recorder/mux"
)

// longest is how long media files are at most.
const longest = 24 * time.Hour

// repairPause is how long a simulated repair takes, beside its reading and writing.
const repairPause = 200 * time.Millisecond

// Repair copies what is whole of a file that nobody has closed into a closed one, record by record as they come, and
// returns its duration.
func (m *Muxer) Repair(ctx context.Context, from io.Reader, repaired, _ string) (mux.Repaired, error) {
	if err := pause(ctx, repairPause); err != nil {
		return mux.Repaired{}, err
	}
	out, err := m.disk.create(repaired)
	if err != nil {
		return mux.Repaired{}, fmt.Errorf("repair media file: %w", err)
	}
	if _, err := out.Write(header(0)); err != nil {
		return mux.Repaired{}, fmt.Errorf("repair media file: %w", err)
	}

	made, err := copyRecords(from, out)
	if err != nil {
		return mux.Repaired{}, fmt.Errorf("repair media file %s: %w", path.Base(repaired), err)
	}
	if _, err := out.Write([]byte{trailer}); err != nil {
		return mux.Repaired{}, fmt.Errorf("repair media file: %w", err)
	}
	return made, out.patch(header(made.Length))
}

// copyRecords copies records. As the recorder and ffmpeg do, it goes on behind a range of zeros, and otherwise as far as
// it understands the file; it only complains if that is nothing.
func copyRecords(from io.Reader, to io.Writer) (made mux.Repaired, err error) {
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(from, head); err != nil || !bytes.HasPrefix(head, []byte(magic)) {
		return made, errors.Join(errNoMedia, err)
	}

	var rest []byte
	block := make([]byte, 1<<10)
	understood := true
	for ended := false; !ended; {
		n, err := from.Read(block)
		if ended = errors.Is(err, io.EOF); err != nil && !ended {
			return made, err
		}
		rest = append(rest, block[:n]...)

		for understood && len(rest) > 0 && (ended || len(rest) > longestRecord+leastTear) {
			behind, torn := tear(rest, ended)
			if torn && behind == nil {
				break // it may end in the next block
			}
			if torn {
				rest, made.Torn = behind, true
			}

			r, size, broken := readRecord(rest)
			if size == 0 {
				understood = broken == nil // a trailer, too, is the end
				break
			}
			if _, err := to.Write(r.encode()); err != nil {
				return made, err
			}
			made.Length, rest = max(made.Length, r.at+frameInterval), rest[size:]
		}
	}

	if made.Length == 0 {
		return made, errNoMedia
	}
	return made, nil
}

const (
	// leastTear is how many zeros are a range of them, in bytes: more than there are in a record.
	leastTear     = 64
	longestRecord = recordSize + 2*stampSize
)

// tear says whether a range of zeros begins in the next record, and what comes behind it, from the next whole record
// on; nil if that is not to be seen yet.
func tear(rest []byte, ended bool) (behind []byte, torn bool) {
	_, size, _ := readRecord(rest)
	zeros := bytes.Index(rest, make([]byte, leastTear))
	if zeros < 0 || size > 0 && zeros >= size {
		return nil, false
	}

	for at := zeros + leastTear; at < len(rest); at++ {
		r, size, err := readRecord(rest[at:])
		whole := err == nil && size > 0 && size <= longestRecord && r.stream < 4 && r.at >= 0 && r.at < longest
		if whole || ended && at == len(rest)-1 && rest[at] == trailer {
			return rest[at:], true
		}
	}
	return nil, true
}
