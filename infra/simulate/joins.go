package simulate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

// demuxPause is how long the reading of a simulated file takes, beside the reading of its bytes.
const demuxPause = 200 * time.Millisecond

// Demux reads a media file, as ffmpeg does: its streams, and each of its packets.
func (m *Muxer) Demux(ctx context.Context, file mux.Media, began func([]mux.Stream) error,
	each func(mux.Packet) error) error {
	if err := pause(ctx, demuxPause); err != nil {
		return err
	}
	body := make([]byte, file.Size)
	if _, err := io.ReadFull(io.NewSectionReader(file.Body, 0, file.Size), body); err != nil {
		return fmt.Errorf("read media file: %w", err)
	}
	read, err := readMedia(body)
	if err != nil || !read.closed {
		return fmt.Errorf("read media file: %w: %w", mux.ErrNoMedia, err)
	}

	streams := streamsOf(read, file.Container)
	if err := began(streams); err != nil {
		return err
	}
	for _, r := range read.records {
		if err := m.disk.process.alive(); err != nil {
			return err
		}
		p := mux.Packet{Stream: r.stream, At: r.at, Key: r.key, Data: r.data}
		if streams[r.stream].Codec.Kind == track.Audio {
			p.Length = lengthOf(r.data)
		}
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

// streamsOf are the streams of a file: pictures come first, if there are any.
func streamsOf(m media, container string) (streams []mux.Stream) {
	picture, _ := track.CodecOf("video/vp8")
	sound, _ := track.CodecOf("audio/opus")
	if container != string(track.Ogg) {
		streams = append(streams, mux.Stream{Codec: picture})
	}
	both := false
	for _, r := range m.records {
		both = both || r.stream == 1
	}
	if both || len(streams) == 0 {
		streams = append(streams, mux.Stream{Codec: sound, Config: track.Config{Channels: 2}})
	}
	return streams
}

// lengthOf is how long a frame of sound is: a simulated one, or silence.
func lengthOf(data []byte) time.Duration {
	if bytes.HasPrefix(data, []byte("@")) {
		return frameInterval
	}
	const rate = 48000 // of Opus
	return time.Duration(opus.PacketDuration2(data)) * time.Second / rate
}
