package mux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"livekit-recorder/recorder/metrics"
)

// FFmpeg is an ffmpeg binary and what it can do.
type FFmpeg struct {
	Path    string
	Version string
	// Hybrid says that MP4 files can be playable while they grow (ffmpeg 7.1 or newer).
	Hybrid bool
}

// Probe asks a binary what it can do. It fails if something is missing that no recording can do without.
func Probe(ctx context.Context, path string) (FFmpeg, error) {
	f := FFmpeg{Path: path}
	version, err := exec.CommandContext(ctx, path, "-hide_banner", "-version").Output()
	if err != nil {
		return f, fmt.Errorf("run %s -version: %w", path, err)
	}

	m := regexp.MustCompile(`^ffmpeg version (\S+)`).FindSubmatch(version)
	if m == nil {
		return f, fmt.Errorf("%s is not ffmpeg", path)
	}

	f.Version = string(m[1])
	for _, muxer := range []string{"webm", "mp4", "ogg"} {
		help, err := exec.CommandContext(ctx, path, "-hide_banner", "-h", "muxer="+muxer).CombinedOutput()
		if err != nil || bytes.Contains(help, []byte("Unknown format")) {
			return f, fmt.Errorf("%s cannot write %s", path, muxer)
		}
		f.Hybrid = f.Hybrid || bytes.Contains(help, []byte("hybrid_fragmented"))
	}

	for _, needed := range []string{"demuxer=matroska", "bsf=setts"} {
		help, err := exec.CommandContext(ctx, path, "-hide_banner", "-h", needed).CombinedOutput()
		if err != nil || bytes.Contains(help, []byte("Unknown")) {
			return f, fmt.Errorf("%s has no %s", path, needed)
		}
	}

	return f, nil
}

// lastLines keeps the last lines that ffmpeg wrote.
type lastLines struct {
	mu    sync.Mutex
	lines []string
	rest  []byte
}

func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		l.rest = rest
		if l.lines = append(l.lines, string(line)); len(l.lines) > 20 {
			l.lines = l.lines[1:]
		}
	}

	return len(p), nil
}

func (l *lastLines) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *lastLines) String() string { return strings.Join(l.last(), "; ") }

// errKilled says that ffmpeg did not end by itself.
var errKilled = errors.New("ffmpeg did not end in time and was killed")

// exited counts a process that has ended.
func exited(err error) {
	result := "failed"
	switch {
	case err == nil:
		result = "ok"
	case errors.Is(err, errKilled):
		result = "killed"
	}
	metrics.FFmpegExits.With(result).Inc()
}

func waitFor(ctx context.Context, cmd *exec.Cmd, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		_ = cmd.Process.Kill() // it may just have ended
		select {
		case <-done:
		case <-time.After(cmd.WaitDelay):
		}
		return errKilled
	}
}
