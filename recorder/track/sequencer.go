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

// reorderWait is how late a packet may be before it is asked for again. LiveKit's SDK asks for video by itself, but
// only five times, so that we come in later there.
var reorderWait = map[Kind]time.Duration{Audio: 20 * time.Millisecond, Video: 150 * time.Millisecond}

const (
	// askInterval is the time between two requests for the same packet: longer than a round trip.
	askInterval = 100 * time.Millisecond
	// maxAsked bounds one request: what is missing more of is an outage.
	maxAsked = 128
)

type arrival struct {
	packet *rtp.Packet
	at     time.Time
}

// sequencer puts packets into order, drops doubles, and gives up on a missing packet after [patience].
type sequencer struct {
	kind     Kind
	started  bool
	next     int64 // the extended sequence number that comes next
	held     map[int64]arrival
	ask      map[int64]time.Time // when missing packets are to be asked for, by extended sequence number
	received int64
	lost     int64
}

// push takes a packet that arrived now.
func (s *sequencer) push(p *rtp.Packet, now time.Time) {
	if !s.started {
		s.started, s.held, s.ask = true, map[int64]arrival{}, map[int64]time.Time{}
		s.next = int64(p.SequenceNumber)
	}

	sequence := s.next + int64(int16(p.SequenceNumber-uint16(s.next)))
	switch distance := sequence - s.next; {
	case distance < -restart || distance > restart:
		// Whatever was held belongs to the old stream, and is let go with it: pop sees a hole.
		clear(s.held)
		clear(s.ask)
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

// missing returns the sequence numbers to ask for now (RFC 4585 section 6.2.1): those that later packets have
// overtaken.
func (s *sequencer) missing(now time.Time) (numbers []uint16) {
	if len(s.held) == 0 {
		clear(s.ask)
		return nil
	}

	newest := s.next
	for sequence := range s.held {
		newest = max(newest, sequence)
	}

	for sequence := s.next; sequence < newest && len(numbers) < maxAsked; sequence++ {
		if _, here := s.held[sequence]; here {
			continue
		}
		switch due, known := s.ask[sequence]; {
		case !known:
			s.ask[sequence] = now.Add(reorderWait[s.kind])
		case !now.Before(due):
			s.ask[sequence] = now.Add(askInterval)
			numbers = append(numbers, uint16(sequence))
		}
	}

	for sequence := range s.ask {
		if sequence < s.next {
			delete(s.ask, sequence)
		}
	}

	return numbers
}
