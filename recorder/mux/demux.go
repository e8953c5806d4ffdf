package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// Packet is one packet of a media file: a frame. Its data is the reader's only until the next one is read.
type Packet struct {
	Stream int
	At     time.Duration // since the beginning of the file
	Length time.Duration // of sound; 0 if it is not known
	Key    bool
	Data   []byte
}

// Media is a file that is read from its beginning to its end, or by its index first.
type Media struct {
	Body      io.ReaderAt
	Size      int64 // bytes
	Container string
}

// ErrNoMedia says that a file cannot be read as what its name says it is.
var ErrNoMedia = errors.New("the file cannot be read")

// Demux reads a media file: its streams first, and then each of its packets, in the order of decoding of all streams
// together. An error of the file's reader, of began or of each ends it, and is returned as it is; [ErrNoMedia] is
// about the file. It works at the lowest priority.
func Demux(whole context.Context, ffmpeg FFmpeg, file Media, began func([]Stream) error,
	each func(Packet) error) error {
	ctx, cancel := context.WithCancel(whole)
	defer cancel()
	body, err := forward(file)
	if err != nil {
		return err
	}

	cmd := exec.CommandContext(ctx, ffmpeg.Path, "-hide_banner", "-nostdin", "-loglevel", "error", "-copyts",
		"-i", "pipe:0", "-map", "0", "-c", "copy", "-avoid_negative_ts", "disabled", "-f", "matroska", "pipe:1")
	var stderr lastLines
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, lowest) // or it has ended, and the reading fails

	fed := make(chan error, 1)
	go func() { // ends with the process, which closes the pipe
		_, err := io.Copy(&pipe{WriteCloser: stdin, patience: repairPatience}, body)
		_ = stdin.Close() // fails only if ffmpeg is gone already, and then Wait tells why
		if err != nil && !errors.Is(err, unix.EPIPE) {
			cancel() // or it would take what it has for the whole
		}
		fed <- err
	}()

	reading := readMatroska(stdout, began, each)
	if reading != nil {
		cancel()
	}
	feeding := <-fed
	ended := cmd.Wait()
	switch {
	case whole.Err() != nil:
		return context.Cause(whole)
	case feeding != nil && !errors.Is(feeding, unix.EPIPE):
		return fmt.Errorf("read media file: %w", feeding)
	case reading != nil && !errors.Is(reading, errMatroska):
		return reading
	case reading != nil || ended != nil || stderr.String() != "":
		return fmt.Errorf("read media file: %w: %w: %s", ErrNoMedia, errors.Join(reading, ended), stderr.String())
	}
	return nil
}
