package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"livekit-recorder/recorder/track"
)

const (
	// repairPatience is how long the ffmpeg of a repair may take nothing: it has the lowest priority.
	repairPatience = 2 * time.Minute
	// repairClosing bounds the writing of the index.
	repairClosing = 10 * time.Minute
	// lowest is the priority of a repair (setpriority(2)): the processors belong to what is being recorded.
	lowest = 19
)

// Repaired is what has become of a file that was repaired.
type Repaired struct {
	Length time.Duration
	Torn   bool // something is missing in its middle
}

// Repair copies a file that nobody has closed, as it comes, into one that has a duration and an index. The new file
// only grows but for its first few hundred bytes, like every other one. A frame that is cut off at the end is left out.
// So is a range of zeros, and what it cuts in two: a frame, or the second of Ogg or MP4 in which it begins or ends. All
// others keep their times. An error of the reader is returned as it is.
func Repair(ctx context.Context, ffmpeg FFmpeg, from io.Reader, repaired, container string) (Repaired, error) {
	args := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-fflags", "+discardcorrupt",
		"-i", "pipe:0", "-map", "0", "-c", "copy", "-nostats", "-progress", "pipe:1"}
	if container == string(track.MP4) {
		from = unclosedMP4(from)
		args = append(args, fragments(ffmpeg)...)
	}
	body := newTorn(from, container)

	cmd := exec.CommandContext(ctx, ffmpeg.Path, append(args, "-f", container, "file:"+repaired)...)
	var stderr, progress lastLines
	cmd.Stderr, cmd.Stdout = &stderr, &progress
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Repaired{}, fmt.Errorf("start ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return Repaired{}, fmt.Errorf("start ffmpeg: %w", err)
	}
	// Its threads get their priority from the first one, which begins them when it has read the first bytes.
	_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, lowest) // or it has ended, and the copying fails

	_, err = io.Copy(&pipe{WriteCloser: stdin, patience: repairPatience}, body)
	if err != nil {
		_ = cmd.Process.Kill() // or it would finish the file
	}
	_ = stdin.Close() // fails only if ffmpeg is gone already, and then Wait tells why
	if ended := awaitEnd(ctx, cmd); err == nil || errors.Is(err, unix.EPIPE) {
		err = errors.Join(ended, err)
	}
	exited(err)
	if err != nil {
		return Repaired{}, fmt.Errorf("repair %s file: %w: %s", container, err, stderr.String())
	}
	return Repaired{progress.duration(), body.tears > 0}, nil
}

// awaitEnd waits until ffmpeg has ended, which it does when it has closed the file.
func awaitEnd(ctx context.Context, cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, repairClosing)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // ends with the process
	return waitFor(ctx, cmd, done)
}

// duration is what ffmpeg's progress says in the end.
func (l *lastLines) duration() (length time.Duration) {
	for _, line := range l.last() { // the last one counts
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "out_time_us="); ok {
			if us, err := strconv.ParseInt(text, 10, 64); err == nil {
				length = time.Duration(us) * time.Microsecond
			}
		}
	}
	return length
}
