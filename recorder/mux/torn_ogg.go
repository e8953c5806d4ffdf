package mux

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"livekit-recorder/recorder/track"
)

// Ogg pages (RFC 3533, section 6) of Opus (RFC 7845).
const (
	oggHeader    = 27
	oggContinues = 1            // flag: the page begins with the rest of a packet
	oggSecond    = 48000        // granules
	oggFrame     = 960          // granules in 20 ms
	longestTear  = 24 * 60 * 60 // seconds of silence that are filled in
)

// oggLayout: a unit is a page, and those in which its last packet goes on. Silence stands for what is left out, as
// everywhere in a recording: of the first packet behind a gap ffmpeg thinks that it follows the last one before.
type oggLayout struct {
	granule  int64  // when the last page ended
	stream   []byte // its serial number
	channels int
}

// oggPage is a page in the window.
type oggPage struct {
	body     []byte
	segments []byte
	flags    byte
	granule  int64 // -1 if no packet ends in it
	stream   []byte
}

// page reads the page at an offset in the window.
func (*oggLayout) page(t *torn, at int64) (p oggPage, size int64) {
	head := t.peek(at + oggHeader)[at:]
	if len(head) < oggHeader || string(head[:5]) != "OggS\x00" {
		return p, 0
	}
	headed := oggHeader + int64(head[oggHeader-1])
	head = t.peek(at + headed)[at:]
	if int64(len(head)) < headed {
		return p, 0
	}

	p.segments, size = head[oggHeader:], headed
	for _, length := range p.segments {
		size += int64(length)
	}
	whole := t.peek(at + size)[at:]
	if int64(len(whole)) < size || oggChecksum(whole) != binary.LittleEndian.Uint32(whole[22:]) {
		return p, 0
	}
	p.body, p.flags, p.stream = whole[headed:], whole[5], whole[14:18]
	p.granule = int64(binary.LittleEndian.Uint64(whole[6:]))
	return p, size
}

func (o *oggLayout) unit(t *torn) (all int64) {
	granule := o.granule
	for all < longestUnit {
		p, size := o.page(t, all)
		if size == 0 {
			return 0
		}
		all += size
		if bytes.HasPrefix(p.body, []byte("OpusHead")) && len(p.body) > 9 {
			o.channels = int(p.body[9])
		}
		granule, o.stream = max(granule, p.granule), p.stream
		if n := len(p.segments); n == 0 || p.segments[n-1] < 255 {
			break
		}
	}
	o.granule = granule
	return all
}

func (o *oggLayout) sync(t *torn, from int) int {
	for at := from; ; at++ {
		n := bytes.Index(t.window[at:], []byte("OggS\x00"))
		if n < 0 {
			return -1
		}
		at += n
		if p, size := o.page(t, int64(at)); size > 0 && p.flags&oggContinues == 0 && p.granule >= 0 {
			return at
		}
	}
}

func (*oggLayout) instead(int64, int64) []byte { return nil }

// resume fills in silence up to where the next page begins.
func (o *oggLayout) resume(t *torn) (silence []byte) {
	p, _ := o.page(t, 0)
	start := p.granule - p.length()
	if start-o.granule > longestTear*oggSecond {
		return nil
	}

	for o.granule < start {
		frames := max(1, min(oggSecond, start-o.granule)/oggFrame)
		o.granule += frames * oggFrame
		if start-o.granule < oggFrame {
			o.granule = start
		}
		silence = append(silence, o.silence(frames)...)
	}
	return silence
}

// length is how long the packets are that end in the page, in granules.
func (p oggPage) length() (granules int64) {
	var packet []byte
	body := p.body
	for _, length := range p.segments {
		packet = append(packet, body[:length]...)
		if body = body[length:]; length < 255 {
			granules += opus.PacketDuration2(packet)
			packet = nil
		}
	}
	return granules
}

// silence is a page of 20 ms each.
func (o *oggLayout) silence(frames int64) []byte {
	packet := track.Silence(o.channels, 20*time.Millisecond)
	page := append([]byte("OggS\x00\x00"), binary.LittleEndian.AppendUint64(nil, uint64(o.granule))...)
	page = append(page, o.stream...)
	page = append(page, make([]byte, 8)...) // number and checksum
	page = append(page, byte(frames))
	page = append(page, bytes.Repeat([]byte{byte(len(packet))}, int(frames))...)
	page = append(page, bytes.Repeat(packet, int(frames))...)
	binary.LittleEndian.PutUint32(page[22:], oggChecksum(page))
	return page
}

// oggChecksum is that of a page, as if there were none in it (RFC 3533, section 6, field 7).
func oggChecksum(page []byte) (sum uint32) {
	for n, b := range page {
		if n >= 22 && n < 26 {
			b = 0
		}
		sum = sum<<8 ^ oggTable[byte(sum>>24)^b]
	}
	return sum
}

var oggTable = func() (table [256]uint32) {
	for n := range table {
		sum := uint32(n) << 24
		for range 8 {
			carry := sum >> 31
			sum = sum<<1 ^ carry*0x04c11db7
		}
		table[n] = sum
	}
	return table
}()
