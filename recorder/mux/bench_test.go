package mux

import (
	"io"
	"testing"
	"time"

	"livekit-recorder/recorder/track"
)

// BenchmarkMatroska writes frames of 7 kB, as 720p at 1.75 Mbit/s has them.
func BenchmarkMatroska(b *testing.B) {
	codec, _ := track.CodecOf("video/vp8")
	m, err := newMatroska(io.Discard, []Stream{{Codec: codec, Config: track.Config{Width: 1280, Height: 720}}})
	if err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, 7000)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for n := range b.N {
		if err := m.write(0, time.Duration(n)*time.Second/30, n%300 == 0, frame); err != nil {
			b.Fatal(err)
		}
	}
}
