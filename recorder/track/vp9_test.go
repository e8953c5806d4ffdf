package track

import (
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// packed are numbers of so many bits each, one behind the other.
func packed(numbers ...[2]int) (all []byte) {
	n := 0
	for _, number := range numbers {
		for bit := number[1] - 1; bit >= 0; bit-- {
			if n%8 == 0 {
				all = append(all, 0)
			}
			all[n/8] |= byte(number[0]>>bit&1) << (7 - n%8)
			n++
		}
	}
	return all
}

// predicted is the header of a frame that is predicted from others; as large as the nth of these (from 1), or of a size
// of its own.
func predicted(profile, shown, as, width, height int) []byte {
	header := [][2]int{{2, 2}, {profile & 1, 1}, {profile >> 1, 1}}
	if profile == 3 {
		header = append(header, [2]int{0, 1})
	}
	header = append(header, [2]int{0, 1}, [2]int{1, 1}, [2]int{shown, 1}, [2]int{0, 1})
	if shown == 0 {
		header = append(header, [2]int{0, 1})
	}
	header = append(header, [2]int{0, 2}, [2]int{0xff, 8}, [2]int{1, 4}, [2]int{2, 4}, [2]int{3, 4})
	for n := 1; n <= 3; n++ {
		if n == as {
			return packed(append(header, [2]int{1, 1})...)
		}
		header = append(header, [2]int{0, 1})
	}
	return packed(append(header, [2]int{width - 1, 16}, [2]int{height - 1, 16})...)
}

func TestASizeIsSaidWhereItChanges(t *testing.T) {
	for _, c := range []struct {
		frame         []byte
		width, height int
		told          bool
	}{
		{predicted(0, 1, 0, 1280, 720), 1280, 720, true},
		{predicted(2, 1, 0, 640, 360), 640, 360, true},
		{predicted(3, 0, 0, 65536, 1), 65536, 1, true},
		{predicted(0, 1, 1, 0, 0), 0, 0, false},
		{predicted(0, 1, 3, 0, 0), 0, 0, false},
		{predicted(0, 1, 0, 1280, 720)[:6], 0, 0, false},
		{nil, 0, 0, false},
		{[]byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x04, 0xf0, 0x02, 0xcf, 0x00}, 0, 0, false},
	} {
		width, height, told := shownSize(c.frame)
		require.Equal(t, c.told, told)
		if told {
			require.Equal(t, []int{c.width, c.height}, []int{width, height})
		}
	}
}

// A file's header must have the size that is shown, which is the highest layer's: players make their windows as large.
func TestVP9LayersHaveTheSizeOfTheHighest(t *testing.T) {
	const begin, end, layers = 0x08, 0x04, 0x20
	layer := func(n uint16, at uint32, id byte, frame []byte, last bool) *rtp.Packet {
		return &rtp.Packet{
			Header:  rtp.Header{SequenceNumber: n, Timestamp: at, Marker: last},
			Payload: append([]byte{layers | begin | end, id<<1 | min(id, 1), 0x00}, frame...),
		}
	}
	key := []byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x04, 0xf0, 0x02, 0xcf, 0x00}
	frames, _, _ := run(t, "video/VP9",
		layer(0, 9000, 0, key, false), layer(1, 9000, 1, predicted(0, 1, 0, 160, 90), false),
		layer(2, 9000, 2, predicted(0, 1, 0, 320, 180), true),
		layer(3, 12000, 0, predicted(0, 1, 1, 0, 0), false), layer(4, 12000, 1, predicted(0, 1, 0, 999, 999), true),
		layer(5, 15000, 0, key, false), layer(6, 15000, 1, predicted(0, 1, 0, 160, 90), true),
	)
	require.Len(t, frames, 7)
	sizes := map[int][2]int{}
	for n, f := range frames {
		if f.key {
			sizes[n] = [2]int{f.config.Width, f.config.Height}
		}
	}
	require.Equal(t, map[int][2]int{0: {320, 180}, 5: {160, 90}}, sizes, "it changes at key frames only")
}
