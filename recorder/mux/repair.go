package mux

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Repair copies a file that nobody has closed into one that has a duration and an index, and returns that duration.
// A frame that is cut off at the end is left out.
func Repair(ctx context.Context, ffmpeg FFmpeg, path, repaired, container string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, ffmpeg.Path, "-hide_banner", "-nostdin", "-loglevel", "error", "-y",
		"-fflags", "+discardcorrupt", "-i", "file:"+path, "-map", "0", "-c", "copy", "-progress", "pipe:1",
		"-f", container, "file:"+repaired)
	var stderr stderr
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("repair %s file: %w: %s", container, err, stderr.String())
	}

	var length time.Duration
	for line := range strings.Lines(string(out)) { // the last one counts
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "out_time_us="); ok {
			if us, err := strconv.ParseInt(text, 10, 64); err == nil {
				length = time.Duration(us) * time.Microsecond
			}
		}
	}

	return length, nil
}
