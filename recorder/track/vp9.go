package track

// shownSize is the size of a VP9 frame that is predicted from others, if its header says it: one that has another size
// than all of those does (VP9 bitstream specification, sections 6.2 and 7.2). Of a picture with spatial layers, only
// the lowest one's frame is a key frame; what is shown is the highest one's, whose header says its size when it is
// predicted from the one below.
func shownSize(frame []byte) (width, height int, ok bool) {
	r := bitReader{data: frame}
	const marker = 2
	if r.read(2) != marker {
		return 0, 0, false
	}
	if profile := r.read(1) | r.read(1)<<1; profile == 3 {
		r.read(1) // reserved
	}
	existing, predicted, shown, resilient := r.read(1), r.read(1), r.read(1), r.read(1)
	if existing == 1 || predicted == 0 {
		return 0, 0, false
	}
	if shown == 0 && r.read(1) == 1 {
		return 0, 0, false // of intra frames only
	}
	if resilient == 0 {
		r.read(2) // what is reset
	}

	r.read(8) // what the frame is kept as
	for range 3 {
		r.read(3 + 1) // a frame that it is predicted from
	}
	for range 3 {
		if r.read(1) == 1 {
			return 0, 0, false // it is as large as that one
		}
	}
	width, height = r.read(16)+1, r.read(16)+1
	return width, height, !r.short
}

// bitReader reads bits, the highest of each byte first.
type bitReader struct {
	data  []byte
	at    int
	short bool // there were fewer
}

func (b *bitReader) read(n int) (value int) {
	for ; n > 0; n-- {
		if b.at/8 >= len(b.data) {
			b.short = true
			return 0
		}
		value = value<<1 | int(b.data[b.at/8]>>(7-b.at%8)&1)
		b.at++
	}
	return value
}
