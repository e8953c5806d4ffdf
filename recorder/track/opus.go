package track

import (
	"encoding/binary"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
)

// Opus: RFC 7587. A frame is one packet's payload.
func assembleOpus(payloads [][]byte, config *Config) ([]unit, error) {
	packet := payloads[0]
	samples := opus.PacketDuration2(packet)
	if samples == 0 {
		return nil, errTruncated
	}

	channels := 1
	if stereo := packet[0]&4 != 0; stereo || config.Channels == 2 {
		channels = 2
	}
	if channels != config.Channels || config.Private == nil {
		config.Channels = channels
		config.Private = opusHead(channels)
	}
	return []unit{{data: packet, key: true, duration: samples}}, nil
}

// opusHead makes the identification header (RFC 7845 section 5.1), without pre-skip: a recording begins in the middle
// of a stream, and its first frame belongs at its own time.
func opusHead(channels int) []byte {
	head := append([]byte("OpusHead"), 1, byte(channels))
	head = binary.LittleEndian.AppendUint16(head, 0)
	head = binary.LittleEndian.AppendUint32(head, 48000)
	return append(head, 0, 0, 0)
}

// Silence makes an Opus packet of 20, 10, 5 or 2.5 ms that decodes to silence, mono or stereo: a fullband CELT frame
// in which the "silence" flag is all that is coded (RFC 6716 sections 3.1 and 4.3).
func Silence(channels int, length time.Duration) []byte {
	configuration := byte(31)
	for longest := 20 * time.Millisecond; length < longest; longest /= 2 {
		configuration--
	}
	toc := configuration << 3
	if channels == 2 {
		toc |= 4
	}
	return []byte{toc, 0xff, 0xfe}
}
