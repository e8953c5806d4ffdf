package stack

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// LogLine is what a recorder's log says in one line: of its load, once a minute, of a track that has ended, or of
// anything else.
type LogLine struct {
	Time        time.Time `json:"time"`
	Level, Msg  string
	Text        string `json:"-"` // all of it
	Participant string
	Recordings  int
	Goroutines  int
	Packets     int64
}

// maxLogLine is the longest line that is read, in bytes.
const maxLogLine = 1 << 20

// Log returns the lines of a recorder's log so far. Those that are no JSON have a text only.
func (p *Process) Log() (lines []LogLine, err error) {
	log, err := os.Open(p.LogPath)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	defer log.Close()

	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, maxLogLine)
	for scanner.Scan() {
		var line LogLine
		_ = json.Unmarshal(scanner.Bytes(), &line) // a panic's lines are no JSON
		line.Text = scanner.Text()
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return lines, nil
}
