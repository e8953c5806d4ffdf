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

// maxHeld is how much memory packets may take that wait for one before them: more than all the numbers of a stream that
// has not begun anew, in packets of the usual size. Beyond it, what is missing is given up at once.
const maxHeld = 16 << 20

// sequencer puts packets into order, drops doubles, and gives up on a missing packet after [patience]. What a packet
// costs does not depend on how many are held.
type sequencer struct {
	kind     Kind
	started  bool
	next     int64       // the extended sequence number that comes next
	newest   int64       // of what is held
	inTurn   *rtp.Packet // the one that comes next, which nearly all are; nothing is held then
	held     map[int64]arrival
	order    marks // the numbers of what is held
	cost     int   // of what is held
	hurried  bool  // what is missing is not waited for, but for a fair share of it
	ask      *asking
	received int64
	lost     int64
}

// push takes a packet that arrived now, unless it is a double, or was given up.
func (s *sequencer) push(p *rtp.Packet, now time.Time) (taken bool) {
	if !s.started {
		s.started = true
		s.begin(int64(p.SequenceNumber))
	}

	sequence := s.next + int64(int16(p.SequenceNumber-uint16(s.next)))
	switch distance := sequence - s.next; {
	case distance < -restart || distance > restart:
		// Whatever was held belongs to the old stream, and is let go with it: pop sees a hole.
		s.begin(sequence - 1)
	case distance < 0:
		return false // a double, or later than our patience: counted as lost already
	}

	if s.order.has(sequence) || s.inTurn != nil && sequence == s.next {
		return false // a double
	}
	if sequence == s.next && len(s.held) == 0 {
		s.received++
		s.inTurn = p
		s.cost += cost(p.Payload)
		return true
	}
	s.hold(now)

	if len(s.held) == 0 || sequence > s.newest {
		s.newest = sequence
	}

	s.received++
	s.held[sequence] = arrival{p, now}
	s.order.add(sequence)
	s.cost += cost(p.Payload)
	if s.ask != nil {
		s.ask.due.remove(sequence)
	}
	return true
}

// hold has the packet that comes next wait with those behind it.
func (s *sequencer) hold(now time.Time) {
	if s.inTurn != nil {
		s.held[s.next], s.newest = arrival{s.inTurn, now}, s.next
		s.order.add(s.next)
		s.inTurn = nil
	}
}

// begin lets go of everything.
func (s *sequencer) begin(next int64) {
	s.next, s.inTurn, s.held, s.order, s.cost, s.ask = next, nil, map[int64]arrival{}, marks{}, 0, nil
}

// most is how many bytes may wait.
func (s *sequencer) most() int {
	if s.hurried {
		return FairShare
	}
	return maxHeld
}

// pop returns the next packet in order, and whether packets before it are missing for good.
func (s *sequencer) pop(now time.Time) (p *rtp.Packet, hole, ok bool) {
	if p = s.inTurn; p != nil {
		s.inTurn = nil
		s.cost -= cost(p.Payload)
		s.next++
		return p, false, true
	}

	first, found := s.order.from(s.next)
	if !found {
		return nil, false, false
	}

	a := s.held[first]
	if hole = first > s.next; hole && now.Sub(a.at) < patience && s.cost <= s.most() {
		return nil, false, false
	}

	if s.ask != nil {
		s.ask.pass(s.next, first)
	}
	delete(s.held, first)
	s.order.remove(first)
	s.cost -= cost(a.packet.Payload)
	s.lost += first - s.next
	s.next = first + 1
	return a.packet, hole, true
}

// missing returns the sequence numbers to ask for now (RFC 4585 section 6.2.1): those that later packets have
// overtaken.
func (s *sequencer) missing(now time.Time) (numbers []uint16) {
	if len(s.held) == 0 {
		s.ask = nil
		return nil
	}
	if s.ask == nil {
		s.ask = &asking{noted: s.next}
	}

	s.ask.ripen(now, func(number int64) bool { return number >= s.next && !s.order.has(number) })
	numbers = s.ask.take(s.next, now)
	if len(numbers) < maxAsked {
		s.ask.note(s.next, s.newest, now.Add(reorderWait[s.kind]))
	}
	return numbers
}
