package stack

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what a recorder takes, and what its ffmpeg processes do together: their proportional shares in bytes, of
// which the pages that several processes have in common count once. That is what a container is charged for, give or
// take the kernel's own; what is resident counts the program file of ffmpeg as often as it runs.
func (p *Process) Memory() (recorder, ffmpeg int64, err error) {
	if recorder, err = proportional(p.PID()); err != nil {
		return 0, 0, err
	}

	children, err := p.Children()
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range children {
		share, err := proportional(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		ffmpeg += share
	}
	return recorder, ffmpeg, nil
}

// proportional reads a process's Pss (proc(5), /proc/PID/smaps_rollup).
func proportional(pid int) (bytes int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}

	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "Pss:" {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, fmt.Errorf("read memory: no Pss of process %d", pid)
}
