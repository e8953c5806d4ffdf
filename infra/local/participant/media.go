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
	// VideoClock and AudioClock are the rates of a camera's and a microphone's timestamps, in Hz.
	VideoClock, AudioClock = 90000, 48000
	// keyFrameEvery is the distance of key frames, in frames.
	keyFrameEvery = 10
	packet        = 20 * time.Millisecond
	// EncoderDelay is how late libopus' output is by its own look-ahead (312 samples at 48 kHz): what an analyser finds
	// beside the times at which packets were sent.
	EncoderDelay = 6500 * time.Microsecond
)

// encoders by codec, as Debian's ffmpeg has them. Key frames are close: a file cannot answer requests for them.
var encoders = map[string][]string{
	"vp8": {"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "600k", "-g", "10",
		"-auto-alt-ref", "0"},
	"vp9": {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "600k", "-g", "10",
		"-auto-alt-ref", "0", "-lag-in-frames", "0"},
	"h264": {"-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-tune", "zerolatency",
		"-b:v", "600k", "-g", "10", "-bsf:v", "h264_metadata=aud=insert"},
	"opus": {"-c:a", "libopus", "-b:a", "32k", "-frame_duration", "20", "-page_duration", "20000"},
}

// variants differ from them by further options.
var variants = map[string][]string{
	"opus-stereo":  {"-ac", "2", "-b:a", "48k"},
	"vp9-profile2": {"-profile:v", "2", "-pix_fmt", "yuv420p10le"},
	// What a camera sends: 1280×720 at 1.75 Mbit/s.
	"vp8-camera":  {"-b:v", "1750k"},
	"h264-camera": {"-b:v", "1750k", "-maxrate", "1750k", "-bufsize", "1750k"},
	"h264-bframes": {"-profile:v", "main", "-preset", "veryfast", "-tune", "film", "-bf", "2",
		"-x264-params", "keyint=10:min-keyint=10:scenecut=0:b-adapt=0"},
}

var formats = map[string]string{
	"vp8":  "ivf",
	"vp9":  "ivf",
	"h264": "h264",
	"opus": "ogg",
}

var making sync.Mutex

// encoding is the ffmpeg command line for a signal: a codec, and after a dash how it differs from the usual: a size,
// or one of the variants.
func encoding(signal string) ([]string, error) {
	codec, variant, _ := strings.Cut(signal, "-")
	encoder, ok := encoders[codec]
	if !ok {
		return nil, fmt.Errorf("make media: no encoder for %s", signal)
	}

	args := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i"}
	if codec == "opus" {
		args = append(args, fmt.Sprintf("aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),%g)':s=48000:d=%g",
			flashFor, loop.Seconds()))
	} else {
		size := "320x240"
		switch {
		case strings.Contains(variant, "x"):
			size, variant = variant, ""
		case variant == "camera":
			size = "1280x720"
		}
		args = append(args, fmt.Sprintf(
			"testsrc=s=%s:r=%d:d=%g,hue=b=-4,drawbox=color=white:t=fill:enable='lt(mod(t,1),%g)',format=yuv420p",
			size, FrameRate, loop.Seconds(), flashFor))
	}

	args = append(args, encoder...)
	if variant != "" {
		extra, ok := variants[signal]
		if !ok {
			return nil, fmt.Errorf("make media: no variant %s", signal)
		}
		args = append(args, extra...)
	}
	return append(args, "-f", formats[codec]), nil
}

// Make encodes a test signal with the system's ffmpeg into a directory, unless it is there.
func Make(ctx context.Context, directory, signal string) (path string, err error) {
	making.Lock()
	defer making.Unlock()
	path = filepath.Join(directory, "signal-"+signal)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}

	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", fmt.Errorf("make media directory: %w", err)
	}

	args, err := encoding(signal)
	if err != nil {
		return "", err
	}

	unfinished, err := os.CreateTemp(directory, "unfinished-*") // other processes may be at it, too
	if err != nil {
		return "", fmt.Errorf("make media: %w", err)
	}
	defer os.Remove(unfinished.Name()) // if it is still there

	_ = unfinished.Close() // nothing was written
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, unfinished.Name())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("encode %s: %w: %s", signal, err, strings.TrimSpace(string(out)))
	}
	return path, os.Rename(unfinished.Name(), path)
}

// Frames returns the frames of a test signal, which repeats after them.
func Frames(ctx context.Context, directory, signal string) (frames [][]byte, err error) {
	path, err := Make(ctx, directory, signal)
	if err != nil {
		return nil, err
	}

	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	defer file.Close()

	read := map[string]func(io.Reader) ([][]byte, error){"ivf": readIVF, "h264": readAccessUnits, "ogg": readOpus}
	if frames, err = read[formats[codecOf(signal)]](file); err != nil {
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

func readOpus(file io.Reader) (packets [][]byte, err error) {
	reader, _, err := oggreader.NewWith(file)
	if err != nil {
		return nil, err
	}

	for {
		page, _, err := reader.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return packets[:int(loop/packet)], nil
		}
		if err != nil {
			return nil, err
		}
		if len(page) > 8 && string(page[:8]) == "OpusTags" {
			continue
		}
		packets = append(packets, page)
	}
}
