package track

import (
	"runtime"
	"sync/atomic"
)

const (
	// maxOfAll is how many bytes of packets and frames all recordings of a process may hold together, before those that
	// hold much have to let go of it: each may have its own bounds used up, but not all at once.
	maxOfAll = 256 << 20
	// FairShare is how many bytes everybody may hold all the same.
	FairShare = 1 << 20
)

// ofAll is what all shares of the process hold.
var ofAll atomic.Int64

// Share is what one holder has of what all of them may hold.
type Share struct{ own *atomic.Int64 }

// NewShare returns a share of nothing so far. Whoever holds it need not give it back.
func NewShare() *Share {
	s := &Share{own: &atomic.Int64{}}
	runtime.AddCleanup(s, func(own *atomic.Int64) { ofAll.Add(-own.Load()) }, s.own)
	return s
}

// Set says how many bytes are held now.
func (s *Share) Set(bytes int) {
	if before := s.own.Swap(int64(bytes)); before != int64(bytes) {
		ofAll.Add(int64(bytes) - before)
	}
	runtime.KeepAlive(s) // or it would be given back before this is added
}

// TooMuch says that all hold too much together, and this one more than its fair share.
func (s *Share) TooMuch() bool { return ofAll.Load() > maxOfAll && s.own.Load() > FairShare }
