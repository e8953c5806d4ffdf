package track

import (
	"time"

	"github.com/pion/rtp"
)

// patience is how long a missing packet may still come, counted from the packet behind it: several rounds of NACK and
// retransmission even over a bad link. A recorder is not in a hurry.
const patience = time.Second

// restart is a jump of sequence numbers (either way) that no loss explains: the stream began anew.
const restart = 1 << 13

type arrival struct {
	packet *rtp.Packet
	at     time.Time
}

// sequencer puts packets into order, drops doubles, and gives up on a missing packet after [patience].
type sequencer struct {
	started  bool
	next     int64 // the extended sequence number that comes next
	held     map[int64]arrival
	received int64
	lost     int64
}

// push takes a packet that arrived now.
func (s *sequencer) push(p *rtp.Packet, now time.Time) {
	if !s.started {
		s.started, s.held = true, map[int64]arrival{}
		s.next = int64(p.SequenceNumber)
	}
	sequence := s.next + int64(int16(p.SequenceNumber-uint16(s.next)))
	switch distance := sequence - s.next; {
	case distance < -restart || distance > restart:
		// Whatever was held belongs to the old stream, and is let go with it: pop sees a hole.
		clear(s.held)
		s.next = sequence - 1
	case distance < 0:
		return // a double, or later than our patience: counted as lost already
	}
	if _, double := s.held[sequence]; double {
		return
	}
	s.received++
	s.held[sequence] = arrival{p, now}
}

// pop returns the next packet in order, and whether packets before it are missing for good.
func (s *sequencer) pop(now time.Time) (p *rtp.Packet, hole, ok bool) {
	if a, ok := s.held[s.next]; ok {
		delete(s.held, s.next)
		s.next++
		return a.packet, false, true
	}
	first, found := s.firstHeld()
	if !found || now.Sub(s.held[first].at) < patience {
		return nil, false, false
	}
	s.lost += first - s.next
	s.next = first + 1
	a := s.held[first]
	delete(s.held, first)
	return a.packet, true, true
}

func (s *sequencer) firstHeld() (first int64, found bool) {
	for sequence := range s.held {
		if !found || sequence < first {
			first, found = sequence, true
		}
	}
	return first, found
}
