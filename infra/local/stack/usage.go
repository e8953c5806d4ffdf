package stack

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Usage is what processes have used so far, and use.
type Usage struct {
	CPU    time.Duration
	Memory int64 // bytes, resident
}

// Usages are those of a recorder, and of its ffmpeg processes together: the processor time of those that have ended
// counts, too.
func (p *Process) Usages() (recorder, ffmpeg Usage, err error) {
	recorder, ended, err := usageOf(p.PID())
	if err != nil {
		return recorder, ffmpeg, err
	}

	children, err := p.Children()
	if err != nil {
		return recorder, ffmpeg, err
	}

	ffmpeg.CPU = ended
	for _, pid := range children {
		u, _, err := usageOf(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		ffmpeg.CPU += u.CPU
		ffmpeg.Memory += u.Memory
	}

	return recorder, ffmpeg, nil
}

// usageOf reads a process's processor time, that of its children which have ended, and its resident memory (proc(5):
// fields 14 to 17 and 24 of stat, in clock ticks of 10 ms and in pages).
func usageOf(pid int) (u Usage, children time.Duration, err error) {
	fields, err := Stat(pid) // from field 3 on
	if err != nil {
		return u, 0, err
	}

	var numbers [5]int64
	for n, field := range []int{14, 15, 16, 17, 24} {
		if numbers[n], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return u, 0, fmt.Errorf("read usage: %w", err)
		}
	}

	const tick = 10 * time.Millisecond
	u = Usage{CPU: time.Duration(numbers[0]+numbers[1]) * tick, Memory: numbers[4] * int64(os.Getpagesize())}
	return u, time.Duration(numbers[2]+numbers[3]) * tick, nil
}

// OpenFiles is how many files and connections a process has open.
func (p *Process) OpenFiles() (int, error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("count open files: %w", err)
	}
	return len(files), nil
}
