package track

import (
	"strconv"
	"testing"
)

// BenchmarkVP8 puts frames of ten packets together: what one recorded camera costs beside the network.
func BenchmarkVP8(b *testing.B) {
	codec, _ := CodecOf("video/vp8")
	a, s := newAssembler(codec), &sequencer{}
	payload := make([]byte, 1100)
	b.ReportAllocs()
	for n := range b.N {
		packets := vp8(uint16(n*10), uint32(n*3000), 10, n%30 == 0)
		b.SetBytes(int64(len(packets) * len(payload)))
		for i, p := range packets {
			if i > 0 {
				p.Payload = payload
			}
			s.push(p, origin)
			if p, hole, ok := s.pop(origin); ok {
				if _, err := a.push(p, hole); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// Packets of which every second one is missing, at a rate that has 100 or 4,000 of them waiting: what a packet costs
// must not depend on it.
func BenchmarkEverySecondPacket(b *testing.B) {
	for _, rate := range []int{100, 4000} {
		b.Run(strconv.Itoa(rate), func(b *testing.B) {
			everySecond(&sequencer{kind: Video}, b.N, rate, func() {})
		})
	}
}
