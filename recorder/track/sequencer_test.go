package track

import (
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

func TestMissingPacketsAreAskedForAgainAndAgain(t *testing.T) {
	s := &sequencer{kind: Audio}
	now := origin
	push := func(sequence uint16) {
		s.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: sequence}}, now)
		for {
			if _, _, ok := s.pop(now); !ok {
				return
			}
		}
	}
	push(65534)
	require.Empty(t, s.missing(now))
	push(1) // 65535 and 0 are missing
	require.Empty(t, s.missing(now), "they may be a little late only")
	now = now.Add(reorderWait[Audio])
	require.Equal(t, []uint16{65535, 0}, s.missing(now))
	require.Empty(t, s.missing(now.Add(askInterval/2)), "the answer is on its way")
	push(0)
	now = now.Add(askInterval)
	require.Equal(t, []uint16{65535}, s.missing(now))
	push(65535)
	require.Empty(t, s.missing(now.Add(askInterval)))
	require.Empty(t, s.ask)
}

func TestOutagesAreNotAskedForWithoutBounds(t *testing.T) {
	s := &sequencer{kind: Audio}
	for _, sequence := range []uint16{0, 5000} {
		s.push(&rtp.Packet{Header: rtp.Header{SequenceNumber: sequence}}, origin)
	}
	s.pop(origin)
	s.missing(origin)
	require.LessOrEqual(t, len(s.missing(origin.Add(reorderWait[Audio]))), maxAsked)
	now := origin.Add(patience)
	_, hole, ok := s.pop(now)
	require.True(t, ok)
	require.True(t, hole)
	require.Empty(t, s.missing(now), "what is given up is not asked for any more")
}
