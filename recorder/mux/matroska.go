package mux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/at-wat/ebml-go"
	"github.com/at-wat/ebml-go/webm"

	"livekit-recorder/recorder/track"
)

// Stream is one stream of a part.
type Stream struct {
	Codec  track.Codec
	Config track.Config
}

// timestampScale is the unit of Matroska's timestamps in nanoseconds: 1 ms, which is also what WebM files have.
const timestampScale = 1_000_000

// maxCluster bounds a cluster: a block's time is a signed 16-bit offset from its cluster's.
const maxCluster = 10 * time.Second

// matroska writes a live Matroska stream (RFC 9559 section 23.1: segment and clusters of unknown size), which keeps
// each frame's own timestamp. It is read by ffmpeg only.
type matroska struct {
	w       io.Writer
	cluster time.Duration // time of the open cluster
	open    bool
	buffer  bytes.Buffer // what comes before a frame
}

func newMatroska(w io.Writer, streams []Stream) (*matroska, error) {
	header := struct {
		Header  webm.EBMLHeader `ebml:"EBML"`
		Segment struct {
			Info   webm.Info   `ebml:"Info"`
			Tracks webm.Tracks `ebml:"Tracks"`
		} `ebml:"Segment,size=unknown"`
	}{}

	header.Header = webm.EBMLHeader{
		EBMLVersion:        1,
		EBMLReadVersion:    1,
		EBMLMaxIDLength:    4,
		EBMLMaxSizeLength:  8,
		DocType:            "matroska",
		DocTypeVersion:     4,
		DocTypeReadVersion: 2,
	}

	header.Segment.Info = webm.Info{
		TimecodeScale: timestampScale,
		MuxingApp:     "livekit-recorder",
		WritingApp:    "livekit-recorder",
	}
	for i, s := range streams {
		header.Segment.Tracks.TrackEntry = append(header.Segment.Tracks.TrackEntry, trackEntry(uint64(i+1), s))
	}

	m := &matroska{w: w}
	if err := ebml.Marshal(&header, &m.buffer); err != nil {
		return nil, fmt.Errorf("encode matroska header: %w", err)
	}
	return m, m.flush()
}

func trackEntry(number uint64, s Stream) webm.TrackEntry {
	entry := webm.TrackEntry{
		TrackNumber:  number,
		TrackUID:     number,
		CodecID:      s.Codec.Matroska,
		CodecPrivate: s.Config.Private,
	}
	if s.Codec.Kind == track.Audio {
		entry.TrackType = 2
		entry.Audio = &webm.Audio{SamplingFrequency: float64(s.Codec.ClockRate), Channels: uint64(s.Config.Channels)}
	} else {
		entry.TrackType = 1
		entry.Video = &webm.Video{PixelWidth: uint64(s.Config.Width), PixelHeight: uint64(s.Config.Height)}
	}
	return entry
}

// write appends a frame as a SimpleBlock (RFC 9559 section 10.2). Times of all streams together must not run
// backwards by more than the length of a cluster.
func (m *matroska) write(stream int, at time.Duration, key bool, data []byte) error {
	at = at.Round(time.Millisecond)
	if !m.open || at-m.cluster > maxCluster || at < m.cluster {
		// A Cluster of unknown size, and its Timestamp of 8 bytes.
		m.buffer.Write([]byte{0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		m.buffer.Write([]byte{0xe7, 0x88})
		_ = binary.Write(&m.buffer, binary.BigEndian, uint64(at.Milliseconds())) // a bytes.Buffer never fails
		m.cluster, m.open = at, true
	}

	m.buffer.WriteByte(0xa3) // SimpleBlock
	_ = binary.Write(&m.buffer, binary.BigEndian, uint64(1)<<56|uint64(len(data)+4))
	m.buffer.WriteByte(0x80 | byte(stream+1))
	_ = binary.Write(&m.buffer, binary.BigEndian, int16((at - m.cluster).Milliseconds()))
	flags := byte(0)
	if key {
		flags = 0x80
	}

	m.buffer.WriteByte(flags)
	if err := m.flush(); err != nil {
		return err
	}
	_, err := m.w.Write(data)
	return err
}

func (m *matroska) flush() error {
	_, err := m.w.Write(m.buffer.Bytes())
	m.buffer.Reset()
	return err
}
