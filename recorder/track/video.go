package track

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
	"github.com/pion/rtp/codecs"
)

var errTruncated = errors.New("frame is truncated")

// What a frame may consist of. Each piece costs more memory than its bytes, and there could be one in each byte.
const (
	// maxLayers is how many spatial layers VP9's payload descriptor can tell apart.
	maxLayers = 8
	// maxOBUs is how many OBUs a temporal unit of AV1 may have: some for each of its layers, and one for each tile.
	maxOBUs = 1024
	// maxParameters is the largest parameter set, or sequence header, that is believed: usual ones have some 40 bytes.
	maxParameters = 4096
)

var (
	errPieces     = errors.New("frame has too many pieces")
	errParameters = errors.New("parameter set is too large")
)

// size is how long payloads are together: a frame that is made of them is about as long.
func size(payloads [][]byte) (bytes int) {
	for _, payload := range payloads {
		bytes += len(payload)
	}
	return bytes
}

// VP8: RFC 7741. A frame is the concatenation of the payloads behind their descriptors.

func startsVP8(payload []byte) bool {
	var p codecs.VP8Packet
	_, err := p.Unmarshal(payload)
	return err == nil && p.S == 1 && p.PID == 0
}

func assembleVP8(payloads [][]byte, config *Config) ([]unit, error) {
	frame := make([]byte, 0, size(payloads))
	for _, payload := range payloads {
		var p codecs.VP8Packet
		part, err := p.Unmarshal(payload)
		if err != nil {
			return nil, fmt.Errorf("read payload descriptor: %w", err)
		}
		frame = append(frame, part...)
	}

	if len(frame) < 3 {
		return nil, errTruncated
	}
	if frame[0]&1 != 0 {
		return []unit{{data: frame}}, nil
	}
	// Key frame: 3 bytes frame tag, start code, then width and height in 14 bits each (RFC 6386 section 9.1).
	if len(frame) < 10 || !bytes.Equal(frame[3:6], []byte{0x9d, 0x01, 0x2a}) {
		return nil, errTruncated
	}

	config.Width = int(binary.LittleEndian.Uint16(frame[6:]) & 0x3fff)
	config.Height = int(binary.LittleEndian.Uint16(frame[8:]) & 0x3fff)
	return []unit{{data: frame, key: true}}, nil
}

// VP9: RFC 9628. With spatial layers a picture is several frames, of which a WebRTC receiver shows the last one only.
// In a file, ffmpeg and others show all of them; as a superframe they would share one timestamp, which decoders
// complain of. So each layer is a frame of its own, the lower ones layerLead apart before the picture's time.

// layerLead is 1 ms of the 90 kHz clock.
const layerLead = 90

func startsVP9(payload []byte) bool {
	var p codecs.VP9Packet
	_, err := p.Unmarshal(payload)
	return err == nil && p.B && (p.SID == 0 || !p.D)
}

func assembleVP9(payloads [][]byte, config *Config) ([]unit, error) {
	var layers [][]byte
	for _, payload := range payloads {
		var p codecs.VP9Packet
		part, err := p.Unmarshal(payload)
		if err != nil {
			return nil, fmt.Errorf("read payload descriptor: %w", err)
		}

		switch {
		case p.B && len(layers) == maxLayers:
			return nil, errPieces
		case p.B:
			layers = append(layers, bytes.Clone(part))
		case len(layers) == 0:
			return nil, errTruncated
		default:
			layers[len(layers)-1] = append(layers[len(layers)-1], part...)
		}
	}

	units := make([]unit, len(layers))
	began := false
	for i, layer := range layers {
		var header vp9.Header
		if err := header.Unmarshal(layer); err != nil {
			return nil, fmt.Errorf("read frame header: %w", err)
		}
		key := !header.NonKeyFrame && !header.ShowExistingFrame
		began = began || key
		if key {
			config.Width, config.Height = header.Width(), header.Height()
		} else if width, height, told := shownSize(layer); told && began { // of a higher layer
			config.Width, config.Height = width, height
		}
		units[i] = unit{data: layer, key: key, early: int64(len(layers)-1-i) * layerLead}
	}

	return units, nil
}

// H264: RFC 6184. A frame is its NAL units behind 4-byte lengths, as MP4 and Matroska keep it.

func startsH264(payload []byte) bool {
	var p codecs.H264Packet
	return p.IsPartitionHead(payload)
}

func assembleH264(payloads [][]byte, config *Config) ([]unit, error) {
	depacketizer := codecs.H264Packet{IsAVC: true}
	const length = 4 // of a NAL unit
	frame := make([]byte, 0, size(payloads)+length*len(payloads))
	for _, payload := range payloads {
		part, err := depacketizer.Unmarshal(payload)
		if err != nil {
			return nil, fmt.Errorf("read payload: %w", err)
		}
		frame = append(frame, part...)
	}

	if len(frame) == 0 {
		return nil, errTruncated
	}

	var nals h264.AVCC
	if err := nals.Unmarshal(frame); err != nil {
		return nil, fmt.Errorf("read NAL units: %w", err)
	}

	key := false
	for _, nal := range nals {
		switch t := h264.NALUType(nal[0] & 0x1f); {
		case t == h264.NALUTypeIDR:
			key = true
		case t != h264.NALUTypeSPS && t != h264.NALUTypePPS:
		case len(nal) > maxParameters:
			return nil, errParameters
		case t == h264.NALUTypeSPS:
			config.sps = bytes.Clone(nal) // a copy, that does not hold the frame
		default:
			config.pps = bytes.Clone(nal)
		}
	}

	if key {
		if err := configureH264(config); err != nil {
			return nil, err
		}
	}
	return []unit{{data: frame, key: key}}, nil
}

// configureH264 makes the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1) of the stream's own
// parameter sets.
func configureH264(config *Config) error {
	if len(config.sps) < 4 || len(config.pps) == 0 {
		return errors.New("key frame without parameter sets")
	}

	var sps h264.SPS
	if err := sps.Unmarshal(config.sps); err != nil {
		return fmt.Errorf("read SPS: %w", err)
	}

	config.Width, config.Height = sps.Width(), sps.Height()
	config.Reorders = sps.VUI != nil && sps.VUI.BitstreamRestriction != nil &&
		sps.VUI.BitstreamRestriction.MaxNumReorderFrames > 0
	record := []byte{1, config.sps[1], config.sps[2], config.sps[3], 0xfc | 3, 0xe0 | 1}
	record = binary.BigEndian.AppendUint16(record, uint16(len(config.sps)))
	record = append(record, config.sps...)
	record = append(record, 1)
	record = binary.BigEndian.AppendUint16(record, uint16(len(config.pps)))
	record = append(record, config.pps...)

	switch sps.ProfileIdc {
	case 100, 110, 122, 144:
		record = append(record, 0xfc|byte(sps.ChromaFormatIdc), 0xf8|byte(sps.BitDepthLumaMinus8),
			0xf8|byte(sps.BitDepthChromaMinus8), 0)
	}

	config.Private = record
	return nil
}

// AV1: the AOM's "RTP Payload Format For AV1". A frame is a temporal unit: OBUs with their sizes, without temporal
// delimiters (AV1-ISOBMFF section 2.4).

func startsAV1(payload []byte) bool { return len(payload) > 0 && payload[0]&0x80 == 0 }

func assembleAV1(payloads [][]byte, config *Config) ([]unit, error) {
	var obus [][]byte
	continues := false
	for _, payload := range payloads {
		var p codecs.AV1Packet
		if _, err := p.Unmarshal(payload); err != nil {
			return nil, fmt.Errorf("read aggregation header: %w", err)
		}
		if p.Z != continues {
			return nil, errTruncated
		}

		if len(obus)+len(p.OBUElements) > maxOBUs {
			return nil, errPieces
		}
		for i, element := range p.OBUElements {
			if i == 0 && p.Z && len(obus) > 0 {
				obus[len(obus)-1] = append(obus[len(obus)-1], element...)
			} else {
				obus = append(obus, bytes.Clone(element))
			}
		}

		continues = p.Y
	}

	if continues {
		return nil, errTruncated
	}

	var frame []byte
	key := false
	for _, obu := range obus {
		if len(obu) == 0 {
			continue
		}

		switch av1.OBUType(obu[0] >> 3 & 0x0f) {
		case obuTemporalDelimiter, obuTileList, obuPadding:
			continue
		case av1.OBUTypeSequenceHeader:
			key = true
			if err := configureAV1(config, obu); err != nil {
				return nil, err
			}
		}

		sized, err := withSize(obu)
		if err != nil {
			return nil, err
		}

		frame = append(frame, sized...)
	}

	return []unit{{data: frame, key: key}}, nil
}

// OBU types that a file does not keep (AV1 specification, section 6.2.2).
const (
	obuTemporalDelimiter av1.OBUType = 2
	obuTileList          av1.OBUType = 8
	obuPadding           av1.OBUType = 15
)

// withSize gives an OBU its size field (AV1 specification, section 5.3.2), which RTP leaves out.
func withSize(obu []byte) ([]byte, error) {
	const extension, hasSize = 0x04, 0x02
	header := 1
	if obu[0]&extension != 0 {
		header = 2
	}
	if len(obu) < header {
		return nil, errTruncated
	}

	if obu[0]&hasSize != 0 {
		return obu, nil
	}

	size := av1.LEB128(len(obu) - header)
	sized := make([]byte, header+size.MarshalSize(), len(obu)+size.MarshalSize())
	copy(sized, obu[:header])
	sized[0] |= hasSize
	size.MarshalTo(sized[header:])
	return append(sized, obu[header:]...), nil
}

// configureAV1 makes the AV1CodecConfigurationRecord (AV1-ISOBMFF section 2.3.3) of a sequence header.
func configureAV1(config *Config, obu []byte) error {
	if len(obu) > maxParameters {
		return errParameters
	}

	var header av1.SequenceHeader
	if err := header.Unmarshal(obu); err != nil {
		return fmt.Errorf("read sequence header: %w", err)
	}

	sized, err := withSize(obu)
	if err != nil {
		return err
	}

	config.Width, config.Height = header.Width(), header.Height()
	color := header.ColorConfig
	record := []byte{0x81, header.SeqProfile<<5 | header.SeqLevelIdx[0]&0x1f, 0, 0}
	for bit, set := range []bool{color.SubsamplingY, color.SubsamplingX, color.MonoChrome, color.BitDepth == 12,
		color.BitDepth > 8, header.SeqTier[0]} {
		if set {
			record[2] |= 1 << (bit + 2)
		}
	}

	config.Private = append(record, sized...)
	return nil
}
