package ledger

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

// story is what really happened to a participant: they come and go, and somebody stops recordings by hand now and then.
// It returns the commands in their true order, and whether the participant is to be recorded in the end.
func story(chance *rand.Rand) (commands []command.Command, recorded bool) {
	now := 0
	later := func() int { now += 1 + chance.IntN(5); return now }
	for session := range 1 + chance.IntN(3) {
		sid := fmt.Sprintf("S%d", session)
		commands = append(commands, joined(fmt.Sprintf("R%d", session), sid, later()))
		recorded = true
		if chance.IntN(3) == 0 {
			commands = append(commands, command.NewStop("room", "alice", at(later())))
			recorded = false
		}
		if chance.IntN(4) > 0 {
			commands = append(commands, left(sid, later()))
			recorded = false
		} else {
			break // still there
		}
	}
	return commands, recorded
}

// deliver brings the commands to the ledger in any order, some of them twice, and closes recordings that have been
// stopped now and then, as their owners do. Recordings change hands meanwhile.
func deliver(chance *rand.Rand, commands []command.Command) Entry {
	var e Entry
	queue := append([]command.Command{}, commands...)
	for _, c := range commands {
		if chance.IntN(3) == 0 {
			queue = append(queue, c)
		}
	}
	chance.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	for n, c := range queue {
		before := e
		if c.Action == command.Start {
			b := bid(c, fmt.Sprint("recorder-", n))
			b.Recorded = chance.IntN(4) == 0 // the bucket was away, and its recorder has begun without it
			e, _ = e.ApplyBid(b)
		} else {
			e, _ = e.ApplyStop(c)
		}

		for id, claim := range e.Claims {
			if claim.Issued < before.Claims[id].Issued || claim.Issued <= before.Over[id].Issued {
				panic("a number was given twice")
			}
			if chance.IntN(2) == 0 && !claim.Wanted() {
				e, _ = e.ApplyClose(id, claim.Epoch, nil, c.RequestedAt)
			}
		}
	}
	return e
}

// Whatever happened, and in whatever order and however often the ledger hears of it: in the end the participant is
// recorded if they are to be, and not otherwise.
func TestAnyStoryInAnyOrderEndsTheSame(t *testing.T) {
	for seed := range uint64(20000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		commands, recorded := story(chance)
		e := deliver(chance, commands)
		require.Equal(t, recorded, wanted(e), "seed %d: %+v", seed, commands)
	}
}
