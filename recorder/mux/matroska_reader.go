package mux

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"livekit-recorder/recorder/track"
)

// Identifiers of elements beside those in torn_webm.go (RFC 9559, section 5.1).
const (
	idTracks       = 0x1654ae6b
	idTrackEntry   = 0xae
	idTrackNumber  = 0xd7
	idCodecID      = 0x86
	idCodecPrivate = 0x63a2
	idVideo        = 0xe0
	idPixelWidth   = 0xb0
	idPixelHeight  = 0xba
	idSimpleBlock  = 0xa3
	idBlockGroup   = 0xa0
	idBlock        = 0xa1
	idReference    = 0xfb
)

const (
	// opusRate is the unit of the lengths of Opus packets, in Hz (RFC 7587, section 4.1).
	opusRate = 48000
	// longestElement is the largest element that is read: more than the largest frame, and what is around it.
	longestElement = 16 << 20
	longestIDSize  = 12 // bytes of an identifier and a size
)

// errMatroska says that ffmpeg has not written what it was asked for.
var errMatroska = errors.New("no Matroska stream")

// matroskaReader reads what ffmpeg writes: one segment in milliseconds, without lacing (RFC 9559, section 10.3).
type matroskaReader struct {
	from    *bufio.Reader
	began   func([]Stream) error
	each    func(Packet) error
	streams map[uint64]int // by their numbers
	sounds  map[int]bool   // which of them are sound
	cluster time.Duration
	body    []byte // of the element that is being read
}

// readMatroska reads a stream to its end.
func readMatroska(from io.Reader, began func([]Stream) error, each func(Packet) error) error {
	r := &matroskaReader{from: bufio.NewReaderSize(from, 64<<10), began: began, each: each}
	for {
		id, size, err := r.header()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.element(id, size)
		}
		if err != nil {
			return err
		}
	}
	if r.streams == nil {
		return errMatroska
	}
	return nil
}

// header reads the beginning of an element.
func (r *matroskaReader) header() (id uint64, size int64, err error) {
	head, err := r.from.Peek(longestIDSize)
	if len(head) == 0 {
		return 0, 0, io.EOF
	}
	id, header, size := element(head)
	if header == 0 {
		return 0, 0, errors.Join(errMatroska, err)
	}
	_, err = r.from.Discard(int(header))
	return id, size, err
}

// element reads what an element has, or goes on inside it.
func (r *matroskaReader) element(id uint64, size int64) error {
	switch {
	case id == idSegment || id == idCluster:
		return nil
	case size < 0 || size > longestElement:
		return fmt.Errorf("%w: element %x of %d bytes", errMatroska, id, size)
	}
	if int64(cap(r.body)) < size {
		r.body = make([]byte, size)
	}
	r.body = r.body[:size]
	if _, err := io.ReadFull(r.from, r.body); err != nil {
		return fmt.Errorf("%w: %w", errMatroska, err)
	}

	switch id {
	case idTracks:
		return r.tracks(r.body)
	case idTimestamp:
		r.cluster = time.Duration(unsigned(r.body)) * time.Millisecond
	case idSimpleBlock:
		const key = 0x80
		return r.block(r.body, func(flags byte) bool { return flags&key != 0 })
	case idBlockGroup:
		return r.group(r.body)
	}
	return nil
}

// group reads a block that has more said about it: one that refers to others is no key frame.
func (r *matroskaReader) group(body []byte) error {
	var block []byte
	refers := false
	err := inside(body, func(id uint64, body []byte) error {
		switch id {
		case idBlock:
			block = body
		case idReference:
			refers = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.block(block, func(byte) bool { return !refers })
}

func (r *matroskaReader) block(body []byte, key func(flags byte) bool) error {
	number, n, _ := number(body, 8)
	if n == 0 || len(body) < n+3 {
		return errMatroska
	}
	stream, ok := r.streams[number&^(1<<(7*n))]
	if !ok {
		return fmt.Errorf("%w: a block of no stream", errMatroska)
	}
	offset := int16(binary.BigEndian.Uint16(body[n:]))
	p := Packet{
		Stream: stream,
		At:     r.cluster + time.Duration(offset)*time.Millisecond,
		Key:    key(body[n+2]),
		Data:   body[n+3:],
	}
	if r.sounds[stream] {
		p.Length = time.Duration(opus.PacketDuration2(p.Data)) * time.Second / opusRate
	}
	return r.each(p)
}

func (r *matroskaReader) tracks(body []byte) error {
	var streams []Stream
	r.streams, r.sounds = map[uint64]int{}, map[int]bool{}
	err := inside(body, func(id uint64, body []byte) error {
		if id != idTrackEntry {
			return nil
		}
		stream, number, err := readTrack(body)
		r.streams[number] = len(streams)
		r.sounds[len(streams)] = stream.Codec.Kind == track.Audio
		streams = append(streams, stream)
		return err
	})
	if err != nil {
		return err
	}
	return r.began(streams)
}

func readTrack(body []byte) (s Stream, number uint64, err error) {
	var codec string
	err = inside(body, func(id uint64, body []byte) error {
		switch id {
		case idTrackNumber:
			number = unsigned(body)
		case idCodecID:
			codec = string(body)
		case idCodecPrivate:
			s.Config.Private = append([]byte{}, body...)
		case idVideo:
			return inside(body, func(id uint64, body []byte) error {
				switch id {
				case idPixelWidth:
					s.Config.Width = int(unsigned(body))
				case idPixelHeight:
					s.Config.Height = int(unsigned(body))
				}
				return nil
			})
		}
		return nil
	})
	known := false
	if s.Codec, known = track.CodecOfMatroska(codec); err == nil && !known {
		err = fmt.Errorf("%w: it has a stream of codec %q", ErrNoMedia, codec)
	}
	if s.Codec.Kind != track.Audio {
		return s, number, err
	}

	const channels = 9 // where OpusHead has them (RFC 7845, section 5.1)
	if err == nil && len(s.Config.Private) <= channels {
		err = fmt.Errorf("%w: its sound has no header", ErrNoMedia)
	}
	if err == nil {
		s.Config.Channels = int(s.Config.Private[channels])
	}
	return s, number, err
}

// inside visits the elements that an element has.
func inside(body []byte, visit func(id uint64, body []byte) error) error {
	for len(body) > 0 {
		id, header, size := element(body)
		if header == 0 || size < 0 || size > int64(len(body))-header {
			return errMatroska
		}
		if err := visit(id, body[header:header+size]); err != nil {
			return err
		}
		body = body[header+size:]
	}
	return nil
}

// unsigned reads an unsigned integer element (RFC 8794, section 7.2).
func unsigned(body []byte) (n uint64) {
	for _, b := range body {
		n = n<<8 | uint64(b)
	}
	return n
}
