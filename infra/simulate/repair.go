package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"
)

// repairPause is how long a simulated repair takes, beside its reading and writing.
const repairPause = 200 * time.Millisecond

// Repair copies what is whole of a file that nobody has closed into a closed one, record by record as they come, and
// returns its duration.
func (m *Muxer) Repair(ctx context.Context, from io.Reader, repaired, _ string) (time.Duration, error) {
	if err := pause(ctx, repairPause); err != nil {
		return 0, err
	}
	out, err := m.disk.create(repaired)
	if err != nil {
		return 0, fmt.Errorf("repair media file: %w", err)
	}
	if _, err := out.Write(header(0)); err != nil {
		return 0, fmt.Errorf("repair media file: %w", err)
	}

	end, err := copyRecords(from, out)
	if err != nil {
		return 0, fmt.Errorf("repair media file %s: %w", path.Base(repaired), err)
	}
	if _, err := out.Write([]byte{trailer}); err != nil {
		return 0, fmt.Errorf("repair media file: %w", err)
	}
	return end, out.patch(header(end))
}

// copyRecords copies records. As ffmpeg does, it goes on as far as it understands the file, and only complains if that
// is nothing. It returns when the last frame ends.
func copyRecords(from io.Reader, to io.Writer) (end time.Duration, err error) {
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(from, head); err != nil || !bytes.HasPrefix(head, []byte(magic)) {
		return 0, errors.Join(errNoMedia, err)
	}

	var rest []byte
	block := make([]byte, 1<<10)
	understood := true
	for {
		n, err := from.Read(block)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if err != nil && end == 0 {
			return 0, errNoMedia
		}
		if err != nil {
			return end, nil
		}

		rest = append(rest, block[:n]...)
		for understood && len(rest) > 0 {
			r, size, broken := readRecord(rest)
			if size == 0 {
				understood = broken == nil // a trailer, too, is the end
				break
			}
			if _, err := to.Write(r.encode()); err != nil {
				return 0, err
			}
			end, rest = max(end, r.at+frameInterval), rest[size:]
		}
	}
}
