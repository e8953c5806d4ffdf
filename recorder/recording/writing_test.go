package recording

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

// Recordings that move from recorder to recorder have many owners. One whose disk is full says nothing of the others'.
func TestARecordingEndsOnlyIfNobodyCouldWriteIt(t *testing.T) {
	owners := func(from, to int, state document.State) (parts []document.Part) {
		for epoch := from; epoch <= to; epoch++ {
			parts = append(parts, document.Part{Key: fmt.Sprintf("room/alice.e%d.webm", epoch), State: state})
		}
		return parts
	}
	for name, c := range map[string]struct {
		epoch   int
		earlier []document.Part
		own     []document.Part
		ends    bool
	}{
		"the first ones":                 {epoch: mostOwners - 1},
		"nobody has written anything":    {epoch: mostOwners, ends: true},
		"all of the last have failed":    {epoch: 20, earlier: owners(1, 10, document.Completed), ends: true},
		"one of the last has not":        {epoch: 20, earlier: owners(11, 11, document.Completed)},
		"another one may be about to":    {epoch: 20, earlier: owners(19, 19, document.Active)},
		"what they began was in vain":    {epoch: 20, earlier: owners(11, 19, document.Failed), ends: true},
		"this one has written something": {epoch: 20, own: owners(20, 20, document.Active)},
	} {
		p := papers{recording: document.Recording{File: "room/alice", Epoch: c.epoch}, earlier: c.earlier, own: c.own}
		require.Equal(t, c.ends, p.fruitless(), name)
	}
}
