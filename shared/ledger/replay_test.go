package ledger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

// event is something that reaches the ledger.
type event struct {
	name  string
	apply func(Entry) (next Entry, begun bool)
}

func started(name string, c command.Command) event {
	return event{name, func(e Entry) (Entry, bool) {
		next, grant := e.ApplyBid(bid(c, name))
		return next, grant.Verdict == Record
	}}
}

func stoppedBy(name string, c command.Command) event {
	return event{name, func(e Entry) (Entry, bool) {
		next, _ := e.ApplyStop(c)
		return next, false
	}}
}

// endsByItself is the end of whatever recording there is: its longest duration, or the room was closed.
var endsByItself = event{"ends by itself", func(e Entry) (Entry, bool) {
	next := e
	for id, claim := range e.Claims {
		next, _ = next.ApplyClose(id, claim.Epoch, nil, at(10))
	}
	return next, false
}}

func orders(events []event, visit func([]event)) {
	var recurse func(int)
	recurse = func(k int) {
		if k == len(events) {
			visit(events)
			return
		}
		for i := k; i < len(events); i++ {
			events[k], events[i] = events[i], events[k]
			recurse(k + 1)
			events[k], events[i] = events[i], events[k]
		}
	}
	recurse(0)
}

// tell applies events one by one, and counts the recordings that they begin.
func tell(order []event) (e Entry, begun int, names []string) {
	for _, event := range order {
		next, one := event.apply(e)
		e, names = next, append(names, event.name)
		if one {
			begun++
		}
	}
	return e, begun, names
}

// Whoever repeats a webhook that they have seen must not begin a recording of somebody who has asked not to be recorded
// any more, in whatever order the ledger hears of it all.
func TestARepeatedWebhookChangesNothingInAnyOrder(t *testing.T) {
	joined, replay := started("joined", joined("R1", "S1", 1)), started("replay", joined("R2", "S1", 6))
	byID := stoppedBy("stop by id", stopByHand("R1", 5))
	all := stoppedBy("stop of everything", command.NewStop("room", "alice", at(5)))
	left := stoppedBy("left", left("S1", 9))

	for name, ends := range map[string][]event{
		"nothing else":                       {},
		"stopped by id":                      {byID},
		"everything stopped":                 {all},
		"left":                               {left},
		"over":                               {endsByItself},
		"stopped by id, over":                {byID, endsByItself},
		"everything stopped, over":           {all, endsByItself},
		"left, over":                         {left, endsByItself},
		"stopped twice":                      {byID, all},
		"stopped by id, left":                {byID, left},
		"everything stopped, left":           {all, left},
		"stopped twice, left":                {byID, all, left},
		"stopped twice, over":                {byID, all, endsByItself},
		"everything stopped, left, over":     {all, left, endsByItself},
		"stopped by id, left, over":          {byID, left, endsByItself},
		"all of them":                        {byID, all, left, endsByItself},
		"repeated again":                     {all, started("second replay", joinedAgain(7))},
		"repeated again, stopped by id":      {byID, started("second replay", joinedAgain(7))},
		"repeated again, over":               {endsByItself, started("second replay", joinedAgain(7))},
		"repeated before the stop":           {all, started("early replay", joinedAgain(3))},
		"repeated before the stop by its id": {byID, started("early replay", joinedAgain(3))},
	} {
		t.Run(name, func(t *testing.T) {
			orders(append([]event{joined, replay}, ends...), func(order []event) {
				e, begun, names := tell(order)
				require.LessOrEqual(t, begun, 1, "%v", names)
				require.Equal(t, stays(order), wanted(e), "%v", names)

				after, late := started("late replay", joinedAgain(20)).apply(e)
				require.False(t, late, "%v", names)
				require.Equal(t, stays(order), wanted(after), "%v", names)
			})
		})
	}
}

func joinedAgain(seconds int) command.Command {
	return joined(fmt.Sprint("R-again-", seconds), "S1", seconds)
}

// stays says whether the participant is to be recorded in the end: nobody has stopped it, and it has not ended by
// itself once it was begun.
func stays(order []event) bool {
	begun := false
	for _, event := range order {
		switch event.name {
		case "stop by id", "stop of everything", "left":
			return false
		case "ends by itself":
			if begun {
				return false
			}
		default:
			begun = true
		}
	}
	return true
}

// The same with any story, of several sessions and stops, of which webhooks are repeated later, as new commands.
func TestRepeatedWebhooksChangeNoStory(t *testing.T) {
	for seed := range uint64(20000) {
		chance := rand.New(rand.NewPCG(seed, 2))
		commands, recorded := story(chance)
		for n, c := range commands {
			if c.Action == command.Start && chance.IntN(2) == 0 {
				c.Recording = fmt.Sprint("repeated-", n)
				c.RequestedAt = c.RequestedAt.Add(time.Duration(1+chance.IntN(30)) * 500 * time.Millisecond)
				commands = append(commands, c)
			}
		}
		e := deliver(chance, commands)
		require.Equal(t, recorded, wanted(e), "seed %d: %+v", seed, commands)
	}
}

// A start over REST has no session, and is meant as it comes.
func TestAStartByHandIsNoRepetition(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1), stopByHand("R1", 5), joined("R2", "", 6))
	require.Equal(t, Wanted, e.Standing("R2", 1).Holding)

	e = apply(e, joined("R3", "S1", 7), command.NewStop("room", "alice", at(6)))
	require.False(t, wanted(e), "a repeated webhook must not carry a recording over a stop")
}

// Somebody waits for a participant over REST. A webhook of a session that has been answered before, and has ended
// without our having heard of it, must not tie the recording to that session.
func TestARepeatedWebhookTiesNoRecordingToItsSession(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1), stopByHand("R1", 5), joined("R2", "", 6), joined("R3", "S1", 7))
	require.True(t, wanted(apply(e, left("S1", 8))))
}

// As long as the repeated start can be on its way: a day in the queue, behind the minutes that its token is good for.
func TestAnsweredSessionsAreRememberedForLongerThanTheQueueKeepsAStart(t *testing.T) {
	const day = 24 * 60 * 60
	e := apply(Entry{}, joined("R1", "S1", 1), stopByHand("R1", 5))
	e, _ = e.ApplyClose("R1", 1, nil, at(6))
	e = apply(e, command.NewStop("room", "alice", at(day+600)))
	_, grant := e.ApplyBid(bid(joined("R2", "S1", 601), "late"))
	require.Equal(t, Void, grant.Verdict)

	e = apply(e, command.NewStop("room", "alice", at(2*day)))
	require.Empty(t, e.Answered)
	for n := range 2 * maxEnded {
		e = apply(e, joined(fmt.Sprint("R", n), fmt.Sprint("S", n), 3*day+n))
	}
	require.Len(t, e.Answered, maxEnded)
}

// An entry that an older version has written has claims without starts.
func TestAClaimWithoutStartsCanBeStopped(t *testing.T) {
	e := Entry{Claims: map[string]Claim{"R1": {Target: "av", Epoch: 1}}}
	require.False(t, wanted(apply(e, stopByHand("R1", 5))))
	require.False(t, wanted(apply(e, command.NewStop("room", "alice", at(5)))))
	require.True(t, wanted(apply(e, joined("R2", "S1", 4), joined("R3", "S1", 3))))
}
