// Package track turns one RTP stream into complete frames, in order, each with its time on the publisher's clock.
package track

import (
	"bytes"
	"strings"
)

// Kind is audio or video.
type Kind string

// The kinds of tracks.
const (
	Audio Kind = "audio"
	Video Kind = "video"
)

// Codec is one row of the codec table: everything that depends on which codec a stream has.
type Codec struct {
	Name string
	MIME string // as in SDP and LiveKit's TrackInfo, lower case
	Kind Kind
	// ClockRate is the unit of RTP timestamps, in Hz.
	ClockRate int64
	// Matroska is the CodecID in the stream that ffmpeg reads (Matroska codec registry).
	Matroska string
	// Container is where a part with this codec is kept: what players on the web open.
	Container Container

	// assemble makes frames of payloads. Those of video have memory of their own, that of audio is the payload.
	assemble func(payloads [][]byte, state *Config) ([]unit, error)
	// starts says whether a payload begins a frame: needed after a hole, where nothing else tells.
	starts func(payload []byte) bool
}

// Container is a file format, by its usual extension.
type Container string

// The containers. Audio alone is kept in Ogg, whatever it is combined with in other parts.
const (
	WebM Container = "webm"
	MP4  Container = "mp4"
	Ogg  Container = "ogg"
)

// table is the only place that knows MIME types.
var table = []Codec{
	{
		Name:      "opus",
		MIME:      "audio/opus",
		Kind:      Audio,
		ClockRate: 48000,
		Matroska:  "A_OPUS",
		Container: Ogg,
		assemble:  assembleOpus,
		starts:    func([]byte) bool { return true },
	},
	{
		Name:      "vp8",
		MIME:      "video/vp8",
		Kind:      Video,
		ClockRate: 90000,
		Matroska:  "V_VP8",
		Container: WebM,
		assemble:  assembleVP8,
		starts:    startsVP8,
	},
	{
		Name:      "vp9",
		MIME:      "video/vp9",
		Kind:      Video,
		ClockRate: 90000,
		Matroska:  "V_VP9",
		Container: WebM,
		assemble:  assembleVP9,
		starts:    startsVP9,
	},
	{
		Name:      "h264",
		MIME:      "video/h264",
		Kind:      Video,
		ClockRate: 90000,
		Matroska:  "V_MPEG4/ISO/AVC",
		Container: MP4,
		assemble:  assembleH264,
		starts:    startsH264,
	},
	{
		Name:      "av1",
		MIME:      "video/av1",
		Kind:      Video,
		ClockRate: 90000,
		Matroska:  "V_AV1",
		Container: MP4,
		assemble:  assembleAV1,
		starts:    startsAV1,
	},
}

// CodecOf finds a codec by its MIME type.
func CodecOf(mime string) (Codec, bool) {
	for _, c := range table {
		if strings.EqualFold(c.MIME, mime) {
			return c, true
		}
	}
	return Codec{}, false
}

// CodecOfMatroska finds a codec by its CodecID in a Matroska stream.
func CodecOfMatroska(id string) (Codec, bool) {
	for _, c := range table {
		if c.Matroska == id {
			return c, true
		}
	}
	return Codec{}, false
}

// redundant is Opus with earlier frames repeated (RFC 2198). LiveKit's server unwraps it for whoever asks for Opus.
const redundant = "audio/red"

// Offered is the name of the codec in which a track will come that its publisher offers in some, by their MIME types,
// and whether it can be recorded. Of several, the server sends one that we take. Of none, nothing is known yet.
func Offered(mimes []string) (name string, ok bool) {
	for _, mime := range mimes {
		if strings.EqualFold(mime, redundant) {
			mime = "audio/opus"
		}
		if c, known := CodecOf(mime); known {
			return c.Name, true
		}
	}
	if len(mimes) == 0 {
		return "", true
	}
	return nameOf(mimes[0]), false
}

// maxNameBytes bounds the name of a codec that is not in the table: publishers may call it as they like.
const maxNameBytes = 32

// nameOf makes a name of a MIME type that is not in the table.
func nameOf(mime string) string {
	_, name, split := strings.Cut(strings.ToLower(mime), "/")
	if !split {
		name = strings.ToLower(mime)
	}
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-+._", r) {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), maxNameBytes)]
}

// Config is what a container's header must say of a stream. It can change at a key frame.
type Config struct {
	// Private is the codec's initialisation data: OpusHead, avcC or av1C; none for VP8 and VP9.
	Private       []byte
	Width, Height int
	Channels      int
	// Reorders says that frames are sent in another order than they are shown in (H264 with B-frames; browsers send
	// none).
	Reorders bool
	sps, pps []byte
}

// public is the configuration as frames carry it, which may be held for long: without what only the next key frame
// needs.
func (c Config) public() Config {
	c.sps, c.pps = nil, nil
	return c
}

// Equal says whether a container's header fits both.
func (c Config) Equal(other Config) bool {
	return bytes.Equal(c.Private, other.Private) && c.Width == other.Width && c.Height == other.Height &&
		c.Channels == other.Channels && c.Reorders == other.Reorders
}

// unit is one frame without its time.
type unit struct {
	data     []byte
	key      bool
	duration int64 // in units of the clock rate; audio only
	early    int64 // by how much it comes before the RTP timestamp, in the same units
}
