package track

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// simple is a sequencer that does the same as the real one, but looks at everything it holds again and again.
type simple struct {
	started        bool
	next           int64
	held           map[int64]arrival
	ask            map[int64]time.Time
	received, lost int64
}

func (s *simple) push(p *rtp.Packet, now time.Time) {
	if !s.started {
		s.started, s.held, s.ask = true, map[int64]arrival{}, map[int64]time.Time{}
		s.next = int64(p.SequenceNumber)
	}

	sequence := s.next + int64(int16(p.SequenceNumber-uint16(s.next)))
	switch distance := sequence - s.next; {
	case distance < -restart || distance > restart:
		clear(s.held)
		clear(s.ask)
		s.next = sequence - 1
	case distance < 0:
		return
	}
	if _, double := s.held[sequence]; double {
		return
	}

	s.received++
	s.held[sequence] = arrival{p, now}
}

func (s *simple) pop(now time.Time) (p *rtp.Packet, hole, ok bool) {
	first, found := int64(0), false
	for sequence := range s.held {
		if !found || sequence < first {
			first, found = sequence, true
		}
	}
	if !found || first > s.next && now.Sub(s.held[first].at) < patience {
		return nil, false, false
	}

	hole = first > s.next
	s.lost += first - s.next
	s.next = first + 1
	a := s.held[first]
	delete(s.held, first)
	return a.packet, hole, true
}

func (s *simple) missing(kind Kind, now time.Time) (numbers []uint16) {
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
			s.ask[sequence] = now.Add(reorderWait[kind])
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

// network decides which sequence number comes next, and when.
type network struct {
	lossy, late, double, outage, jump float64 // how likely that is of a packet
	pause                             time.Duration
}

// play lets packets come to both, and sees that they do the same.
func (n network) play(t *testing.T, seed uint64, kind Kind, packets int) {
	chance := rand.New(rand.NewPCG(seed, 1))
	happens := func(likely float64) bool { return chance.Float64() < likely }
	s, reference, now := &sequencer{kind: kind}, &simple{}, origin
	sequence, delayed := uint16(chance.Uint32()), []uint16{}

	push := func(number uint16) {
		p := &rtp.Packet{Header: rtp.Header{SequenceNumber: number}}
		s.push(p, now)
		reference.push(p, now)
	}
	compare := func() {
		for {
			p, hole, ok := s.pop(now)
			wanted, wantedHole, wantedOK := reference.pop(now)
			require.Same(t, wanted, p)
			require.Equal(t, [2]bool{wantedHole, wantedOK}, [2]bool{hole, ok})
			if !ok {
				break
			}
		}
		require.Equal(t, reference.missing(kind, now), s.missing(now))
		require.Equal(t, [3]int64{reference.next, reference.received, reference.lost},
			[3]int64{s.next, s.received, s.lost})
		require.Len(t, reference.held, len(s.held))
	}

	for range packets {
		now = now.Add(time.Duration(chance.Int64N(int64(2 * n.pause))))
		switch sequence++; {
		case happens(n.jump):
			sequence = uint16(chance.Uint32())
			push(sequence)
		case happens(n.outage):
			sequence += uint16(chance.Uint32N(restart))
			push(sequence)
		case happens(n.lossy):
			if happens(0.3) {
				delayed = append(delayed, sequence) // it will be sent again
			}
		case happens(n.late):
			delayed = append(delayed, sequence)
		default:
			push(sequence)
			if happens(n.double) {
				push(sequence)
			}
		}

		if len(delayed) > 0 && happens(0.3) {
			one := chance.IntN(len(delayed))
			push(delayed[one])
			delayed = append(delayed[:one], delayed[one+1:]...)
		}
		if happens(0.9) {
			compare()
		}
	}
	now = now.Add(patience)
	compare()
	require.Empty(t, s.held)
	require.Zero(t, s.cost)
}

func TestTheSequencerDoesWhatASimpleOneWould(t *testing.T) {
	for name, n := range map[string]network{
		"a good one":           {late: 0.01, double: 0.01, pause: 10 * time.Millisecond},
		"a bad one":            {lossy: 0.2, late: 0.2, double: 0.1, pause: 5 * time.Millisecond},
		"every second is lost": {lossy: 0.5, pause: 3 * time.Millisecond},
		"outages":              {lossy: 0.01, late: 0.05, outage: 0.01, pause: 10 * time.Millisecond},
		"streams begin anew":   {lossy: 0.1, late: 0.1, jump: 0.02, pause: 10 * time.Millisecond},
		"everything at once": {lossy: 0.2, late: 0.2, double: 0.1, outage: 0.01, jump: 0.01,
			pause: 5 * time.Millisecond},
		"nothing makes sense": {jump: 1, pause: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				n.play(t, seed, []Kind{Audio, Video}[seed%2], 3000)
			}
		})
	}
}

// It once took a whole processor to sort 4,000 packets a second of which every second one was missing, because
// everything that was held was looked through for each of them. What it costs now is [BenchmarkEverySecondPacket].
func TestWhatIsRememberedOfHolesIsBounded(t *testing.T) {
	const rate, packets = 4000, 60 * 4000
	s := &sequencer{kind: Video}
	held, holes, again := 0, 0, 0
	everySecond(s, packets, rate, func() {
		held = max(held, len(s.held))
		if s.ask != nil {
			holes, again = max(holes, len(s.ask.holes)), max(again, len(s.ask.again))
		}
	})

	require.LessOrEqual(t, held, rate+1, "packets wait for as long as patience says")
	require.LessOrEqual(t, holes, rate)
	require.LessOrEqual(t, again, rate)
	require.EqualValues(t, packets-1, s.lost+int64(len(s.held)))
}

// everySecond has a sequencer get every second packet of a stream, at so many a second.
func everySecond(s *sequencer, packets, rate int, each func()) {
	now := origin
	for n := range packets {
		now = now.Add(time.Second / time.Duration(rate))
		s.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(2 * n)}}, now)
		for {
			if _, _, ok := s.pop(now); !ok {
				break
			}
		}
		s.missing(now)
		each()
	}
}

func TestPacketsThatWaitAreBounded(t *testing.T) {
	s, size := &sequencer{kind: Video}, 64<<10
	for n := range 4 * maxHeld / size {
		s.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(n + n/100)}, Payload: make([]byte, size)}, origin)
		for {
			if _, _, ok := s.pop(origin); !ok {
				break
			}
		}
		require.LessOrEqual(t, s.cost, maxHeld)
	}
	require.NotEmpty(t, s.held)
	require.NotZero(t, s.lost, "what is missing is given up when there is no room to wait for it")
}

func TestMarksFindTheNextNumberWhereverItLies(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		base := chance.Int64N(1<<40) - 1<<39
		m, least := &marks{}, int64(-1)
		for range chance.IntN(4) {
			distance := chance.Int64N(span)
			m.add(base + distance)
			if least < 0 || distance < least {
				least = distance
			}
		}

		number, found := m.from(base)
		require.Equal(t, least >= 0, found)
		if found {
			require.Equal(t, base+least, number)
			require.True(t, m.has(number))
			m.remove(number)
			require.False(t, m.has(number))
		}
	}
}
