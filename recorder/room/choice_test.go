package room

import (
	"fmt"
	"testing"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
)

// published is a track as [choose] sees it.
type published struct {
	sid    string
	source livekit.TrackSource
}

func (p published) SID() string                 { return p.sid }
func (p published) Source() livekit.TrackSource { return p.source }

// thousand are as many cameras as microphones.
func thousand() (all []published) {
	for n := range 500 {
		all = append(all,
			published{fmt.Sprint("camera-", n), livekit.TrackSource_CAMERA},
			published{fmt.Sprint("microphone-", n), livekit.TrackSource_MICROPHONE})
	}
	return all
}

func sidsOf(chosen []published) (sids []string) {
	for _, p := range chosen {
		sids = append(sids, p.sid)
	}
	return sids
}

func nothing(string) bool { return false }

func TestOfAThousandTracksSomeAreReceived(t *testing.T) {
	chosen, omitted := choose(thousand(), Interest{Tracks: []string{"camera", "microphone"}}, nothing)
	require.Len(t, chosen, 2*maxOfSource)
	require.Equal(t, 1000-2*maxOfSource, omitted)
}

func TestTracksThatAreReceivedStay(t *testing.T) {
	last := map[string]bool{"camera-499": true, "camera-498": true, "camera-497": true, "camera-496": true}
	had := func(sid string) bool { return last[sid] }
	chosen, omitted := choose(thousand(), Interest{Tracks: []string{"camera"}}, had)
	require.ElementsMatch(t, []string{"camera-499", "camera-498", "camera-497", "camera-496"}, sidsOf(chosen))
	require.Equal(t, 500-maxOfSource, omitted)
}

func TestATrackThatIsAskedForByItsNameIsReceivedAmongAThousand(t *testing.T) {
	chosen, omitted := choose(thousand(), Interest{Tracks: []string{"camera-321"}}, nothing)
	require.Equal(t, []string{"camera-321"}, sidsOf(chosen))
	require.Zero(t, omitted)
}

func TestTheNewTracksOfAReconnectAreReceivedBesideTheOld(t *testing.T) {
	chosen, omitted := choose(thousand()[:4], Interest{Tracks: []string{"camera", "microphone"}}, nothing)
	require.Len(t, chosen, 4)
	require.Zero(t, omitted)
}
