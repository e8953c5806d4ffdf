package joining

import (
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

// part is one with sound and pictures between times, in seconds, and key frames. No times: it has none.
type part struct {
	sound, pictures []float64
	keys            []float64
	codec           string // "": vp8
	sets            string // of an H264 file's header
	once            bool   // they are only there
	channels        string // of a header that tells of more than two
	problem         string
	late            float64 // by how many milliseconds its clock is slow
	silent          bool
}

func (p part) scanned(t *testing.T) (s scanned) {
	t.Helper()
	s.extents, s.contained, s.problem = map[track.Kind]extent{}, !p.once, p.problem
	if p.pictures != nil {
		mime := map[string]string{"": "video/vp8", "vp9": "video/vp9", "h264": "video/h264"}[p.codec]
		codec, ok := track.CodecOf(mime)
		require.True(t, ok)
		s.streams = append(s.streams, mux.Stream{Codec: codec, Config: track.Config{Private: []byte(p.sets)}})
		s.extents[track.Video] = extent{seconds(p.pictures[0]), seconds(p.pictures[1]), 10, seconds(p.pictures[1])}
	}
	if p.sound != nil {
		codec, ok := track.CodecOf("audio/opus")
		require.True(t, ok)
		s.streams = append(s.streams, mux.Stream{Codec: codec, Config: track.Config{Private: []byte(p.channels)}})
		s.extents[track.Audio] = extent{seconds(p.sound[0]), seconds(p.sound[1]), 10, seconds(p.sound[1])}
	}
	for of := 0.0; p.sound != nil && !p.silent && of < 100; of += 0.5 { // by a clock that is right
		if at := of - p.late/1000; at >= p.sound[0] && at < p.sound[1] {
			s.marks = append(s.marks, keyFrame{seconds(at), uint64(1000 * of)})
		}
	}
	s.start = s.begin()
	for _, key := range p.keys {
		s.keys = append(s.keys, keyFrame{seconds(key), uint64(1000*key + p.late)})
	}
	return s
}

// both is a part with sound and pictures.
func both(from, to float64, keys ...float64) part {
	return part{sound: []float64{from, to}, pictures: []float64{from, to}, keys: append([]float64{from}, keys...)}
}

// sound is a part without pictures.
func sound(from, to float64) part { return part{sound: []float64{from, to}} }

// with changes a part.
func with(p part, change func(*part)) part {
	change(&p)
	return p
}

// used is what a file has of a part, in seconds.
type used struct {
	n        int
	from, to float64
}

const family255 = "OpusHead\x01\x04\x00\x00\x80\xbb\x00\x00\x00\x00\xff"

func TestWhereOnePartGoesOnInTheNext(t *testing.T) {
	for name, c := range map[string]struct {
		parts    []part
		groups   [][]used
		separate []string
	}{
		"one after the other": {[]part{both(0, 10), both(10, 20)},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"with a gap": {[]part{both(0, 10), both(15, 20)},
			[][]used{{{0, 0, 10}, {1, 15, 20}}}, []string{""}},
		"a camera that comes late": {[]part{sound(0, 12), both(12, 20)},
			[][]used{{{0, 0, 12}, {1, 12, 20}}}, []string{""}},
		"the first one is used for as long as there is a key frame in time": {
			[]part{both(0, 10), both(6, 20, 7, 9, 11)},
			[][]used{{{0, 0, 9}, {1, 9, 20}}}, []string{""}},
		"exactly at its end": {[]part{both(0, 10), both(6, 20, 10)},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"the same key frame has two times": {
			[]part{both(0, 10, 7.05, 9.05), with(both(6, 20, 7, 9), func(p *part) { p.late = 50 })},
			[][]used{{{0, 0, 9.05}, {1, 9, 20}}}, []string{""}},
		"sound needs no key frame": {[]part{sound(0, 10), sound(6, 20)},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"pictures begin as soon as there are some": {[]part{sound(0, 10), both(6, 20, 8)},
			[][]used{{{0, 0, 6}, {1, 6, 20}}}, []string{""}},
		"pictures end with the part that has them": {[]part{both(0, 10), sound(6, 20)},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"pictures come behind the overlap": {
			[]part{both(0, 10), with(both(6, 20), func(p *part) { p.pictures, p.keys = []float64{12, 20}, []float64{12} })},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"what is there already is left out": {[]part{both(0, 10), both(6, 9), both(10, 20)},
			[][]used{{{0, 0, 10}, {1, 6, 6}, {2, 10, 20}}}, []string{""}},
		"the same from the beginning, and more": {[]part{both(0, 10), both(0, 13, 9)},
			[][]used{{{0, 0, 9}, {1, 9, 13}}}, []string{""}},
		"the same, with one key frame only": {[]part{both(0, 10), both(0, 13)},
			[][]used{{{0, 0, 0}, {1, 0, 13}}}, []string{""}},
		"the one in between is not needed": {[]part{both(0, 10), both(8, 12, 9), both(8.5, 20)},
			[][]used{{{0, 0, 8.5}, {1, 9, 9}, {2, 8.5, 20}}}, []string{""}},
		"its clock has been set back": {
			[]part{both(0, 10, 7), with(both(6, 20, 9), func(p *part) { p.late = 15_000 })},
			[][]used{{{0, 0, 10}}, {{1, 6, 20}}}, []string{"", separateClock}},
		"its clock has been set back, and it is shorter": {
			[]part{sound(0, 20), with(sound(5, 15), func(p *part) { p.late = 15_000 })},
			[][]used{{{0, 0, 20}}, {{1, 5, 15}}}, []string{"", separateClock}},
		"its clock has been set back, and it is as long": {
			[]part{sound(0, 20), with(sound(5, 20), func(p *part) { p.late = 15_000 })},
			[][]used{{{0, 0, 20}}, {{1, 5, 20}}}, []string{"", separateClock}},
		"its clock has been corrected by a little": {
			[]part{both(0, 10, 7), with(both(9.9, 20), func(p *part) { p.late = 100 })},
			[][]used{{{0, 0, 9.9}, {1, 9.9, 20}}}, []string{""}},
		"silence is not missed": {
			[]part{with(sound(0, 10), func(p *part) { p.silent = true }), with(sound(6, 20), func(p *part) { p.silent = true })},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"silence, but other pictures": {
			[]part{with(both(0, 10, 7), func(p *part) { p.silent = true }),
				with(both(6, 20, 9), func(p *part) { p.late, p.silent = 15_000, true })},
			[][]used{{{0, 0, 10}}, {{1, 6, 20}}}, []string{"", separateClock}},
		"silence in one, sound in the other": {
			[]part{sound(0, 10), with(sound(6, 20), func(p *part) { p.silent = true })},
			[][]used{{{0, 0, 10}}, {{1, 6, 20}}}, []string{"", separateClock}},
		"another codec": {[]part{both(0, 10), with(both(10, 20), func(p *part) { p.codec = "vp9" }), sound(20, 30)},
			[][]used{{{0, 0, 10}}, {{1, 10, 20}, {2, 20, 30}}}, []string{"", "its pictures are vp9, those before it vp8"}},
		"sound, and then two codecs": {[]part{sound(0, 5), both(5, 10),
			with(both(10, 20), func(p *part) { p.codec = "vp9" })},
			[][]used{{{0, 0, 5}, {1, 5, 10}}, {{2, 10, 20}}}, []string{"", "its pictures are vp9, those before it vp8"}},
		"other parameter sets, with every key frame": {
			[]part{with(both(0, 10), func(p *part) { p.codec, p.sets = "h264", "a" }),
				with(both(10, 20), func(p *part) { p.codec, p.sets = "h264", "b" })},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"other parameter sets, in the header only": {
			[]part{with(both(0, 10), func(p *part) { p.codec, p.sets = "h264", "a" }),
				with(both(10, 20), func(p *part) { p.codec, p.sets, p.once = "h264", "b", true })},
			[][]used{{{0, 0, 10}}, {{1, 10, 20}}}, []string{"", separateSets}},
		"the same parameter sets, in the header only": {
			[]part{with(both(0, 10), func(p *part) { p.codec, p.sets, p.once = "h264", "a", true }),
				with(both(10, 20), func(p *part) { p.codec, p.sets, p.once = "h264", "a", true })},
			[][]used{{{0, 0, 10}, {1, 10, 20}}}, []string{""}},
		"another layout of channels": {
			[]part{sound(0, 10), with(sound(10, 20), func(p *part) { p.channels = family255 })},
			[][]used{{{0, 0, 10}}, {{1, 10, 20}}}, []string{"", separateChannels}},
		"more than SQS lets anybody wait": {[]part{both(0, 10), both(12*3600+11, 12*3600+20)},
			[][]used{{{0, 0, 10}}, {{1, 12*3600 + 11, 12*3600 + 20}}}, []string{"", separateGap}},
		"sound would be missing": {[]part{sound(0, 10), {pictures: []float64{8, 20}, keys: []float64{8}}},
			[][]used{{{0, 0, 10}}, {{1, 8, 20}}}, []string{"", separateKinds}},
		"pictures within sound that goes on": {[]part{sound(0, 30), both(8, 20)},
			[][]used{{{0, 0, 30}}, {{1, 8, 20}}}, []string{"", separateWithin}},
		"one that cannot be joined to anything": {
			[]part{both(0, 10), with(both(10, 20), func(p *part) { p.problem = "no" }), both(20, 30), both(30, 40)},
			[][]used{{{0, 0, 10}}, {{1, 10, 20}}, {{2, 20, 30}, {3, 30, 40}}}, []string{"", "no", separateBehind}},
	} {
		t.Run(name, func(t *testing.T) {
			var all []scanned
			for _, p := range c.parts {
				all = append(all, p.scanned(t))
			}

			groups := plan(all)
			require.Len(t, groups, len(c.groups))
			for n, g := range groups {
				var are []used
				for _, p := range g.pieces {
					are = append(are, used{p.n, p.from.Seconds(), p.to.Seconds()})
				}
				require.Equal(t, c.groups[n], are)
				require.Equal(t, c.separate[n], g.separate)
			}
		})
	}
}

func TestTheHeaderIsThatOfTheLargestPicture(t *testing.T) {
	small, large := both(0, 10).scanned(t), both(10, 20).scanned(t)
	small.streams[0].Config.Width, small.streams[0].Config.Height = 320, 180
	large.streams[0].Config.Width, large.streams[0].Config.Height = 640, 360
	all := []scanned{small, large}
	streams := plan(all)[0].header(all)
	require.Len(t, streams, 2)
	require.Equal(t, 640, streams[0].Config.Width)
}

// However many key frames there are, few are remembered, and the first one always.
func TestKeyFramesAreThinnedOut(t *testing.T) {
	keys := make([]keyFrame, 9)
	for n := range keys {
		keys[n].sum = uint64(n)
	}
	require.Equal(t, []keyFrame{{sum: 0}, {sum: 2}, {sum: 4}, {sum: 6}, {sum: 8}}, everySecond(keys))
}
