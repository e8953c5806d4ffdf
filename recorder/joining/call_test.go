package joining

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/track"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// ffmpeg is the one that recorders have.
type ffmpeg struct{ mux.FFmpeg }

func (f ffmpeg) Demux(ctx context.Context, file mux.Media, began func([]mux.Stream) error,
	each func(mux.Packet) error) error {
	return mux.Demux(ctx, f.FFmpeg, file, began, each)
}

func (f ffmpeg) OpenIdle(path string, streams []mux.Stream) (parts.File, error) {
	return mux.OpenIdle(f.FFmpeg, path, streams)
}

// directory keeps files.
type directory struct{ *upload.Directory }

func (d directory) Create(path, name, container string, _ int64) Upload {
	return d.Directory.Create(path, name, container)
}

// call is a call of which parts have been recorded: a flash and a beep each second, but for every tenth.
type call struct {
	t         *testing.T
	root      string
	media     ffmpeg
	joiner    *Joiner
	log       *test.Hook
	pictures  map[string][][]byte // by codec
	sounds    [][]byte
	configs   map[string]track.Config
	recording document.Recording
}

// codecs are MIME types by the names of signals.
var codecs = map[string]string{"vp8": "video/vp8", "vp9": "video/vp9", "h264": "video/h264"}

func newCall(t *testing.T) *call {
	t.Helper()
	tools, err := stack.Tools()
	require.NoError(t, err)
	binary, err := mux.Probe(t.Context(), filepath.Join(tools, "ffmpeg"))
	require.NoError(t, err)
	media := filepath.Join(filepath.Dir(tools), "media")

	log, hook := test.NewNullLogger()
	c := &call{t: t, root: t.TempDir(), media: ffmpeg{binary}, log: hook, pictures: map[string][][]byte{}}
	c.configs = map[string]track.Config{"vp8": {Width: 320, Height: 240}, "vp9": {Width: 320, Height: 240}}
	for signal := range codecs {
		c.pictures[signal], err = participant.Frames(t.Context(), media, signal)
		require.NoError(t, err)
		require.Len(t, c.pictures[signal], 300)
	}
	c.pictures["h264"], c.configs["h264"] = avc(t, c.pictures["h264"])
	c.sounds, err = participant.Frames(t.Context(), media, "opus")
	require.NoError(t, err)

	documents := ledger.Documents{Store: &ledger.DirStore{Root: c.root}}
	c.joiner = &Joiner{
		Storage:   directory{&upload.Directory{Root: c.root}},
		Documents: documents,
		Media:     c.media,
		Disk:      scratch.OS{},
		Work:      t.TempDir(),
		Log:       log,
	}
	start := command.NewStart("room", "alice", noon)
	c.recording, err = documents.Reserve(t.Context(), document.NewRecording(start), "room/alice")
	require.NoError(t, err)
	return c
}

// avc makes of H264's byte stream what MP4 keeps: lengths instead of start codes, and the parameter sets in a record.
func avc(t *testing.T, units [][]byte) (frames [][]byte, config track.Config) {
	t.Helper()
	config.Width, config.Height = 320, 240
	for _, unit := range units {
		var nals h264.AnnexB
		require.NoError(t, nals.Unmarshal(unit))
		for _, nal := range nals {
			switch kind := h264.NALUType(nal[0] & 0x1f); {
			case kind == h264.NALUTypeSPS && config.Private == nil:
				config.Private = append([]byte{1, nal[1], nal[2], nal[3], 0xff, 0xe1, 0, byte(len(nal))}, nal...)
			case kind == h264.NALUTypePPS && frames == nil:
				config.Private = append(append(config.Private, 1, 0, byte(len(nal))), nal...)
			}
		}
		frame, err := h264.AVCC(nals).Marshal()
		require.NoError(t, err)
		frames = append(frames, frame)
	}
	return frames, config
}

// opusHead is the header of sound of so many channels.
func opusHead(channels byte) track.Config {
	private := append([]byte("OpusHead\x01"), channels, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0)
	return track.Config{Channels: int(channels), Private: private}
}

// recorded is what is recorded of the call: seconds from its beginning, with pictures of a codec, or none.
type recorded struct {
	name     string
	from, to float64
	codec    string // "": none
	silent   bool
	channels byte // 0: 1
}

// add records a part.
func (c *call) add(r recorded) {
	c.t.Helper()
	var streams []mux.Stream
	if r.codec != "" {
		codec, ok := track.CodecOf(codecs[r.codec])
		require.True(c.t, ok)
		streams = append(streams, mux.Stream{Codec: codec, Config: c.configs[r.codec]})
	}
	if !r.silent {
		codec, ok := track.CodecOf("audio/opus")
		require.True(c.t, ok)
		streams = append(streams, mux.Stream{Codec: codec, Config: opusHead(max(1, r.channels))})
	}

	container := string(mux.ContainerOf(streams))
	name := r.name + "." + container
	path := filepath.Join(c.root, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	file, err := mux.Open(c.media.FFmpeg, path, streams)
	require.NoError(c.t, err)
	from, to := seconds(r.from), seconds(r.to)
	reports := map[string]*document.TrackReport{}
	write := func(kind string, at, long time.Duration, key bool, data []byte) {
		stream := 0
		if kind == "audio" {
			stream = len(streams) - 1
		}
		require.NoError(c.t, file.Write(stream, at-from, key, data))
		if reports[kind] == nil {
			first := noon.Add(at)
			reports[kind] = &document.TrackReport{
				SID:          "TR_" + kind,
				Kind:         kind,
				Codec:        streams[stream].Codec.Name,
				FirstFrameAt: &first,
				Offset:       (at - from).Seconds(),
			}
		}
		reports[kind].Frames++
		reports[kind].PacketsReceived++
		reports[kind].Duration = (at + long - from).Seconds() - reports[kind].Offset
	}
	begun := false
	for n := range int(to / time.Millisecond) {
		at := time.Duration(n) * time.Millisecond
		if k := n / 20; n%20 == 0 && !r.silent && at >= from {
			write("audio", at, 20*time.Millisecond, true, c.sounds[k%500])
		}
		if k := (n*30 + 999) / 1000; r.codec != "" && at >= from && n == k*1000/30 {
			if begun = begun || k%10 == 0; begun { // the first one is a key frame
				write("video", at, time.Second/30, k%10 == 0, c.pictures[r.codec][k%300])
			}
		}
	}
	require.NoError(c.t, file.Close(c.t.Context()))

	info, err := os.Stat(path)
	require.NoError(c.t, err)
	began := noon.Add(from)
	part := document.Part{
		Key:       name,
		Container: container,
		State:     document.Completed,
		StartedAt: &began,
		Duration:  r.to - r.from,
		Size:      info.Size(),
	}
	for _, kind := range []string{"video", "audio"} {
		if reports[kind] != nil {
			part.Tracks = append(part.Tracks, *reports[kind])
		}
	}
	c.recording.Parts = append(c.recording.Parts, part)
}

// end writes the final document.
func (c *call) end() {
	c.t.Helper()
	var err error
	c.recording = c.recording.Running(c.recording.Parts)
	c.recording, err = c.joiner.Documents.Conclude(c.t.Context(), c.recording, "left")
	require.NoError(c.t, err)
}

// join joins the parts, and returns the document.
func (c *call) join() document.Recording {
	c.t.Helper()
	require.NoError(c.t, c.joiner.Join(c.t.Context(), c.recording))
	return c.document()
}

func (c *call) document() document.Recording {
	c.t.Helper()
	r, err := c.joiner.Documents.ByID(c.t.Context(), c.recording.ID)
	require.NoError(c.t, err)
	return r
}

// files are the names of the media files that are there.
func (c *call) files() (names []string) {
	c.t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.root, "room"))
	require.NoError(c.t, err)
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			names = append(names, fmt.Sprint("room/", e.Name()))
		}
	}
	return names
}
