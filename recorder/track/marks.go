package track

import "math/bits"

// span is how many sequence numbers [marks] can tell apart: all that lie within [restart] of each other, either way.
const span = 2 * restart

// marks is a set of extended sequence numbers that lie less than [span] apart. Nothing that it does takes longer the
// more there is in it.
type marks struct {
	words  [span / 64]uint64      // a bit for each number, at its remainder by span
	filled [span / 64 / 64]uint64 // a bit for each word that is not 0
}

func (m *marks) has(number int64) bool {
	at := number & (span - 1)
	return m.words[at/64]&(1<<(at%64)) != 0
}

func (m *marks) add(number int64) {
	at := number & (span - 1)
	m.words[at/64] |= 1 << (at % 64)
	m.filled[at/64/64] |= 1 << (at / 64 % 64)
}

func (m *marks) remove(number int64) {
	at := number & (span - 1)
	m.words[at/64] &^= 1 << (at % 64)
	if m.words[at/64] == 0 {
		m.filled[at/64/64] &^= 1 << (at / 64 % 64)
	}
}

// from returns the least number in the set that is not below the given one. All of the set that is below it must have
// been removed.
func (m *marks) from(number int64) (least int64, found bool) {
	at := number & (span - 1)
	if rest := m.words[at/64] >> (at % 64); rest != 0 {
		return number + int64(bits.TrailingZeros64(rest)), true
	}

	const groups = int64(len(m.filled))
	word := at/64 + 1
	for range groups + 1 { // once around, to the beginning of the first one
		group := word / 64 % groups
		if rest := m.filled[group] >> (word % 64); rest != 0 {
			word = group*64 + word%64 + int64(bits.TrailingZeros64(rest))
			position := word*64 + int64(bits.TrailingZeros64(m.words[word]))
			return number + (position-at)&(span-1), true
		}
		word = (word/64 + 1) * 64
	}
	return 0, false
}
