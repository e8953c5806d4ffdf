// Package mux writes frames into one growing media file: Matroska on ffmpeg's standard input, nothing transcoded.
package mux

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"livekit-recorder/recorder/track"
)

// Part is one media file that is being written.
type Part struct {
	Path      string
	Container track.Container
	Streams   []Stream

	cmd    *exec.Cmd
	stdin  *batches
	stderr lastLines
	done   chan error
	mkv    *matroska
	manner manner
}

// ContainerOf tells which container a part with these streams gets: the one of its video codec, else that of its
// audio.
func ContainerOf(streams []Stream) track.Container {
	container := track.Ogg
	for _, s := range streams {
		if s.Codec.Kind == track.Video {
			container = s.Codec.Container
		}
	}
	return container
}

// manner is how a file is written: while its frames come, or of what is there already.
type manner struct {
	patience time.Duration // how long ffmpeg may take nothing
	idle     bool          // at the lowest priority: the processors belong to what is being recorded
}

// Open starts ffmpeg, which writes to path. The part must be closed.
func Open(ffmpeg FFmpeg, path string, streams []Stream) (*Part, error) {
	return open(ffmpeg, path, streams, manner{patience: WriteTimeout})
}

// OpenIdle is Open for a file of frames that have been recorded already: at the lowest priority, and with as much
// patience. An MP4 file has no index before it is closed, but says exactly when its streams begin, for the index comes
// last: should this be cut off, it is begun anew.
func OpenIdle(ffmpeg FFmpeg, path string, streams []Stream) (*Part, error) {
	ffmpeg.Hybrid = false
	return open(ffmpeg, path, streams, manner{patience: repairPatience, idle: true})
}

func open(ffmpeg FFmpeg, path string, streams []Stream, how manner) (*Part, error) {
	p := &Part{
		Path:      path,
		Container: ContainerOf(streams),
		Streams:   streams,
		manner:    how,
		done:      make(chan error, 1),
	}

	p.cmd = exec.Command(ffmpeg.Path, arguments(ffmpeg, p.Container, streams, path)...)
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	// The terminal's SIGINT is the recorder's to handle: ffmpeg ends when its input does. That also holds when the
	// recorder is killed: the pipe closes, and ffmpeg finishes the file.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}

	p.stdin = newBatches(&pipe{WriteCloser: stdin, patience: how.patience})
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	if how.idle {
		_ = unix.Setpriority(unix.PRIO_PROCESS, p.cmd.Process.Pid, lowest) // or it has ended, and the writing fails
	}

	go func() { p.done <- p.cmd.Wait() }() // ends with the process; Close takes the result
	if p.mkv, err = newMatroska(p.stdin, streams); err != nil {
		_ = p.cmd.Process.Kill()                // what stands in the way is in err
		_ = p.stdin.Close(context.Background()) // nobody reads any more, so that it fails at once
		<-p.done
		exited(err)
		return nil, p.explain(err)
	}
	return p, nil
}

// ReorderDelay is by how much frames of a stream that reorders are decoded before they are shown: more than any
// sensible encoder's look-ahead. Nothing of a part with such a stream may be earlier than this, for there is no time
// before 0.
const ReorderDelay = 200 * time.Millisecond

func arguments(ffmpeg FFmpeg, container track.Container, streams []Stream, path string) []string {
	args := []string{
		"-hide_banner", "-nostdin", "-loglevel", "warning", "-y",
		"-f", "matroska", "-i", "pipe:0", "-map", "0", "-c", "copy",
		// Every packet goes to the file at once, and a stream that falls silent does not hold up the other one.
		"-flush_packets", "1", "-max_interleave_delta", "100000",
	}

	switch container {
	case track.MP4:
		args = append(args, fragments(ffmpeg)...)
		args = append(args, "-bsf:v", decodingTimes(streams))
	case track.WebM:
		args = append(args, "-cluster_time_limit", "1000")
	case track.Ogg:
		args = append(args, "-page_duration", "1000000")
	}

	return append(args, "-f", string(container), "file:"+path)
}

// fragments are what makes an MP4 file playable while it grows.
func fragments(ffmpeg FFmpeg) []string {
	if !ffmpeg.Hybrid {
		return nil
	}
	return []string{"-movflags", "+hybrid_fragmented", "-frag_duration", "1000000"}
}

// decodingTimes makes the decoding times, which Matroska does not have. ffmpeg would make up late ones for H264
// streams that do not say how far they reorder. Nearly all that comes over WebRTC is decoded when it is shown; a
// stream that does reorder is decoded [ReorderDelay] earlier, but in the order of sending, a millisecond (the unit
// here) apart at least.
func decodingTimes(streams []Stream) string {
	for _, s := range streams {
		if s.Config.Reorders {
			early := fmt.Sprintf("PTS-%d", ReorderDelay.Milliseconds())
			return fmt.Sprintf("setts=pts=PTS:dts='if(eq(N,0),%[1]s,max(PREV_OUTDTS+1,%[1]s))'", early)
		}
	}
	return "setts=ts=PTS"
}

// Write appends a frame of a stream at its time in the part. Frames of all streams together come in order of time.
// ffmpeg gets them in batches: those that wait when a key frame comes, with it, and all others after [batchTime] at
// most. It fails if ffmpeg has died, or does not read for [WriteTimeout]; that may have been found out for frames that
// were written before.
func (p *Part) Write(stream int, at time.Duration, key bool, data []byte) error {
	err := p.mkv.write(stream, at, key, data)
	if err == nil && key && !p.manner.idle && p.Streams[stream].Codec.Kind == track.Video {
		err = p.stdin.Flush()
	}
	if err != nil {
		return p.explain(err)
	}
	return nil
}

// Close lets ffmpeg finish the file, until ctx is done. The file is closed when it returns, whatever it returns.
func (p *Part) Close(ctx context.Context) error {
	lost := p.stdin.Close(ctx)
	err := waitFor(ctx, p.cmd, p.done)
	exited(err)
	if err == nil {
		err = lost // what ffmpeg did not get is missing in a file that is whole otherwise
	}
	if err != nil {
		return fmt.Errorf("finish %s file: %w: %s", p.Container, err, p.stderr.String())
	}
	return nil
}

// harmless are warnings that every MP4 file with Opus causes.
var harmless = []string{"codec frame size is not set", "Estimating the duration of the last packet in a fragment"}

// Complaints returns the last lines that ffmpeg wrote to its standard error, but for those that mean nothing.
func (p *Part) Complaints() string {
	lines := slices.DeleteFunc(p.stderr.last(), func(line string) bool {
		return slices.ContainsFunc(harmless, func(s string) bool { return strings.Contains(line, s) })
	})
	return strings.Join(lines, "; ")
}

func (p *Part) explain(err error) error {
	return fmt.Errorf("write %s file: %w: %s", p.Container, err, p.stderr.String())
}
