// Package participant is a test publisher: somebody who joins a room with a camera that flashes and a microphone that
// beeps at the same instants.
package participant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v3/pkg/media/h264reader"
	"github.com/pion/webrtc/v3/pkg/media/ivfreader"
	"github.com/pion/webrtc/v3/pkg/media/oggreader"
)

// The test signal: FlashEvery second, a white picture and a 1 kHz tone for flashFor. It repeats after loop.
const (
	FlashEvery = time.Second
	flashFor   = 0.1 // seconds
	loop       = 10 * time.Second
	// FrameRate is the camera's, in frames per second.
	FrameRate = 30
	frame     = time.Second / FrameRate
	packet    = 20 * time.Millisecond
	// EncoderDelay is how late libopus' output is by its own look-ahead (312 samples at 48 kHz): what an analyser finds
	// beside the times at which packets were sent.
	EncoderDelay = 6500 * time.Microsecond
)

// encoders by codec, as Debian's ffmpeg has them. One key frame a second: a file cannot answer key-frame requests.
var encoders = map[string][]string{
	"vp8":  {"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "600k", "-g", "30", "-auto-alt-ref", "0", "-f", "ivf"},
	"vp9":  {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "600k", "-g", "30", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-f", "ivf"},
	"h264": {"-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-tune", "zerolatency", "-b:v", "600k", "-g", "30", "-bsf:v", "h264_metadata=aud=insert", "-f", "h264"},
}

var making sync.Mutex

// Make encodes the test signal with the system's ffmpeg into a directory, unless it is there.
func Make(ctx context.Context, directory, codec string) (path string, err error) {
	making.Lock()
	defer making.Unlock()
	path = filepath.Join(directory, "signal-"+codec)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", fmt.Errorf("make media directory: %w", err)
	}
	seconds := fmt.Sprint(loop.Seconds())
	args := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi"}
	if codec == "opus" {
		args = append(args, "-i", fmt.Sprintf("aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),%g)':s=48000:d=%s", flashFor, seconds),
			"-c:a", "libopus", "-b:a", "32k", "-frame_duration", "20", "-page_duration", "20000", "-f", "ogg")
	} else {
		encoder, ok := encoders[codec]
		if !ok {
			return "", fmt.Errorf("make media: no encoder for %s", codec)
		}
		args = append(args, "-i", fmt.Sprintf(
			"testsrc=s=320x240:r=%d:d=%s,hue=b=-4,drawbox=color=white:t=fill:enable='lt(mod(t,1),%g)',format=yuv420p",
			FrameRate, seconds, flashFor))
		args = append(args, encoder...)
	}
	unfinished, err := os.CreateTemp(directory, "unfinished-*") // other processes may be at it, too
	if err != nil {
		return "", fmt.Errorf("make media: %w", err)
	}
	defer os.Remove(unfinished.Name()) // if it is still there
	_ = unfinished.Close()             // nothing was written
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, unfinished.Name())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("encode %s: %w: %s", codec, err, strings.TrimSpace(string(out)))
	}
	return path, os.Rename(unfinished.Name(), path)
}

// Frames returns the frames of the test signal in a codec, which repeats after them.
func Frames(ctx context.Context, directory, codec string) ([][]byte, error) {
	path, err := Make(ctx, directory, codec)
	if err != nil {
		return nil, err
	}
	return readVideo(path, codec)
}

// readVideo returns the frames of an encoded file.
func readVideo(path, codec string) (frames [][]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	defer file.Close()
	next := readAccessUnits
	if codec != "h264" {
		next = readIVF
	}
	if frames, err = next(file); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return frames, nil
}

func readIVF(file io.Reader) (frames [][]byte, err error) {
	reader, _, err := ivfreader.NewWith(file)
	if err != nil {
		return nil, err
	}
	for {
		frame, _, err := reader.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		frames = append(frames, frame)
	}
}

// readAccessUnits splits an H264 byte stream at its access unit delimiters.
func readAccessUnits(file io.Reader) (units [][]byte, err error) {
	reader, err := h264reader.NewReader(file)
	if err != nil {
		return nil, err
	}
	for {
		nal, err := reader.NextNAL()
		if errors.Is(err, io.EOF) {
			return units, nil
		}
		if err != nil {
			return nil, err
		}
		if nal.UnitType == h264reader.NalUnitTypeAUD {
			units = append(units, nil)
			continue
		}
		if len(units) == 0 {
			units = append(units, nil)
		}
		last := &units[len(units)-1]
		*last = append(append(*last, 0, 0, 0, 1), nal.Data...)
	}
}

func readOpus(path string) (packets [][]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	defer file.Close()
	reader, _, err := oggreader.NewWith(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for {
		page, _, err := reader.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return packets[:int(loop/packet)], nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if len(page) > 8 && string(page[:8]) == "OpusTags" {
			continue
		}
		packets = append(packets, page)
	}
}
