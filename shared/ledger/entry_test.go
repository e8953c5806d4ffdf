package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func joined(recording, session string, seconds int) command.Command {
	c := command.NewStart("room", "alice", at(seconds))
	c.Recording, c.Session = recording, session
	return c
}

func left(session string, seconds int) command.Command {
	c := command.NewStop("room", "alice", at(seconds))
	c.Session = session
	return c
}

func stopByHand(recording string, seconds int) command.Command {
	c := command.NewStop("room", "alice", at(seconds))
	c.Recording = recording
	return c
}

func lost(session string, seconds int) command.Command {
	c := left(session, seconds)
	c.Lost = true
	return c
}

// bid is what a recorder makes of a start.
func bid(c command.Command, owner string) Bid {
	return Bid{Start: c, Owner: owner, Attempt: owner, Message: "message of " + owner, At: c.RequestedAt}
}

func apply(e Entry, commands ...command.Command) Entry {
	for n, c := range commands {
		if c.Action == command.Start {
			e, _ = e.ApplyBid(bid(c, fmt.Sprint("recorder-", n)))
		} else {
			e, _ = e.ApplyStop(c)
		}
	}
	return e
}

// wanted says whether the participant is to be recorded in the end.
func wanted(e Entry) bool {
	for _, claim := range e.Claims {
		if claim.Wanted() {
			return true
		}
	}
	return false
}

func permutations(commands []command.Command, visit func([]command.Command)) {
	var recurse func(int)
	recurse = func(k int) {
		if k == len(commands) {
			visit(commands)
			return
		}
		for i := k; i < len(commands); i++ {
			commands[k], commands[i] = commands[i], commands[k]
			recurse(k + 1)
			commands[k], commands[i] = commands[i], commands[k]
		}
	}
	recurse(0)
}

// Webhooks come late, twice and reversed; whether the participant is recorded in the end must not depend on it.
func TestEveryOrderOfArrivalEndsTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		commands []command.Command
		wanted   bool
	}{
		"joined, left": {[]command.Command{joined("R1", "S1", 1), left("S1", 9)}, false},
		"joined twice (webhook repeated), left": {
			[]command.Command{joined("R1", "S1", 1), joined("R2", "S1", 1), left("S1", 9), left("S1", 9)}, false},
		"joined, left, joined again": {
			[]command.Command{joined("R1", "S1", 1), left("S1", 5), joined("R2", "S2", 6)}, true},
		"joined, left, joined and left again": {
			[]command.Command{joined("R1", "S1", 1), left("S1", 5), joined("R2", "S2", 6), left("S2", 9)}, false},
		"stopped by hand": {
			[]command.Command{joined("R1", "S1", 1), command.NewStop("room", "alice", at(5))}, false},
		"stopped by hand, then joined again": {
			[]command.Command{joined("R1", "S1", 1), command.NewStop("room", "alice", at(5)), joined("R2", "S2", 6)}, true},
		"joined, delivered again, left": {
			[]command.Command{joined("R1", "S1", 1), joined("R1", "S1", 1), left("S1", 9)}, false},
		"joined, delivered again, left, joined again, delivered again": {
			[]command.Command{joined("R1", "S1", 1), joined("R1", "S1", 1), left("S1", 5), joined("R2", "S2", 6),
				joined("R2", "S2", 6)}, true},
		"joined, stopped by hand, left, stopped again": {
			[]command.Command{joined("R1", "S1", 1), command.NewStop("room", "alice", at(5)), left("S1", 6),
				command.NewStop("room", "alice", at(7))}, false},
		"connection lost, joined again": {
			[]command.Command{joined("R1", "S1", 1), lost("S1", 5), joined("R2", "S2", 6)}, true},
		"started by hand, stopped, started again": {
			[]command.Command{joined("R1", "", 1), command.NewStop("room", "alice", at(5)), joined("R2", "", 6)}, true},
		"stopped by its id": {
			[]command.Command{joined("R1", "", 1), stopByHand("R1", 5)}, false},
		"stopped by its id, then joined again": {
			[]command.Command{joined("R1", "S1", 1), stopByHand("R1", 5), joined("R2", "S2", 6)}, true},
		"stopped by its id, then started again": {
			[]command.Command{joined("R1", "", 1), stopByHand("R1", 5), joined("R2", "", 6)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			permutations(c.commands, func(order []command.Command) {
				e := apply(Entry{}, order...)
				require.Equal(t, c.wanted, wanted(e), "%+v", order)
			})
		})
	}
}

// The webhook of a session that is being recorded comes once more just behind a stop, and is carried out before it.
func TestARepeatedWebhookDoesNotOutliveAStop(t *testing.T) {
	for name, stop := range map[string]command.Command{
		"of everything": command.NewStop("room", "alice", at(5)),
		"by id":         stopByHand("R1", 5),
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, wanted(apply(Entry{}, joined("R1", "S1", 1), joined("R2", "S1", 6), stop)))
			require.False(t, wanted(apply(Entry{}, joined("R1", "S1", 1), stop, joined("R2", "S1", 6))))
		})
	}
}

func TestStartsOwnMessageComingBackIsATakeOver(t *testing.T) {
	e, grant := Entry{}.ApplyBid(bid(joined("R1", "S1", 1), "one"))
	require.Equal(t, Grant{Verdict: Record, Epoch: 1, Sessions: []string{"S1"}}, grant)
	require.Equal(t, Wanted, e.Standing("R1", 1).Holding)

	e, grant = e.ApplyBid(bid(joined("R1", "S1", 1), "two"))
	require.Equal(t, Grant{
		Verdict:  Record,
		Epoch:    2,
		Sessions: []string{"S1"},
		Unaware:  map[string]string{"R1": "one"},
	}, grant)
	require.Equal(t, "two", e.Claims["R1"].Owner)
	lost := Standing{Holding: Lost, Sessions: []string{"S1"}, Message: "message of two"}
	require.Equal(t, lost, e.Standing("R1", 1), "the older owner lets go")
	require.Equal(t, Wanted, e.Standing("R1", 2).Holding)

	same, closing := e.ApplyClose("R1", 1, nil, at(9))
	require.Equal(t, NotOurs, closing)
	require.Equal(t, e, same, "and can't end what it has lost")
	e, closing = e.ApplyClose("R1", 2, nil, at(9))
	require.Equal(t, Closed, closing)
	_, grant = e.ApplyBid(bid(joined("R1", "S1", 1), "three"))
	require.Equal(t, Over, grant.Verdict)
	require.Equal(t, Lost, e.Standing("R1", 2).Holding)
}

// An answer that got lost is asked for again: that must not look like another owner, or parts would be numbered twice.
func TestTheSameAttemptIsGivenTheSameEpochAgain(t *testing.T) {
	e, first := Entry{}.ApplyBid(bid(joined("R1", "S1", 1), "one"))
	again, second := e.ApplyBid(bid(joined("R1", "S1", 1), "one"))
	require.Equal(t, first, second)
	require.Equal(t, e, again)
}

// Hours were lost that way: the old recording of somebody who has left, been stopped or come back since was dropped,
// when its recorder had died.
func TestWhatADeadRecorderHadIsClosedWhateverHasHappenedSince(t *testing.T) {
	for name, since := range map[string][]command.Command{
		"left":                      {left("S1", 5)},
		"came back":                 {left("S1", 5), joined("R2", "S2", 6)},
		"came back, departure late": {joined("R2", "S2", 6), left("S1", 5), left("S2", 7), joined("R3", "S3", 8)},
		"stopped by id":             {stopByHand("R1", 5)},
		"stopped, started again":    {stopByHand("R1", 5), joined("R2", "", 6)},
		"everything stopped":        {command.NewStop("room", "alice", at(5))},
		"everything stopped, again": {command.NewStop("room", "alice", at(5)), joined("R2", "S2", 6)},
	} {
		t.Run(name, func(t *testing.T) {
			e := apply(apply(Entry{}, joined("R1", "S1", 1)), since...)
			e, grant := e.ApplyBid(bid(joined("R1", "S1", 1), "next"))
			require.Equal(t, Close, grant.Verdict)
			require.Equal(t, 2, grant.Epoch)

			e, closing := e.ApplyClose("R1", 2, nil, at(20))
			require.Equal(t, Closed, closing)
			require.NotContains(t, e.Claims, "R1")
		})
	}
}

// The owner notes what its bot sees, and may do so late.
func TestALateNoteOfAnOldSessionEndsNothing(t *testing.T) {
	e := apply(Entry{}, joined("R2", "S2", 6))
	e = e.Seen("R2", 1, "S1", at(1))
	e, ended := e.ApplyStop(left("S1", 5))
	require.Empty(t, ended)
	require.Equal(t, Wanted, e.Standing("R2", 1).Holding)

	after := apply(Entry{}, left("S1", 5), joined("R2", "S2", 6)).Seen("R2", 1, "S1", at(1))
	require.Equal(t, []string{"S2"}, after.Claims["R2"].Sessions)
	require.Equal(t, at(1), after.Seen("R2", 1, "", at(3)).Claims["R2"].Began, "the first frame is the first")
	require.Equal(t, after, after.Seen("R2", 7, "S3", at(1)), "another recorder has it")
}

func TestParticipantWhoIsBackBeforeTheirDepartureIsKnownIsRecordedOn(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1), joined("R2", "S2", 6))
	_, closing := e.ApplyClose("R1", 1, []string{"S1"}, at(9))
	require.Equal(t, WantedAgain, closing, "the second start was taken for a duplicate: nobody else will record")
	require.True(t, wanted(apply(e, left("S1", 5))))
	_, closing = e.ApplyClose("R1", 1, []string{"S1", "S2"}, at(9))
	require.Equal(t, Closed, closing)
	_, closing = apply(e, left("S2", 9)).ApplyClose("R1", 1, []string{"S1"}, at(9))
	require.Equal(t, Closed, closing, "gone again meanwhile")
	_, closing = e.ApplyClose("R1", 1, nil, at(9))
	require.Equal(t, Closed, closing, "ended by something else than the participant's absence")
}

func TestLostConnectionEndsNothingButVoidsLaterStarts(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	e, ended := e.ApplyStop(lost("S1", 5))
	require.Empty(t, ended)
	require.Equal(t, Wanted, e.Standing("R1", 1).Holding, "its recorder waits for them")
	require.False(t, wanted(apply(e, joined("R2", "S2", 6), left("S2", 9))), "back, and gone for good")
	_, grant := apply(Entry{}, lost("S1", 5)).ApplyBid(bid(joined("R1", "S1", 1), "one"))
	require.Equal(t, Void, grant.Verdict, "a start that comes too late for its session")
}

// A webhook that is delivered again must not begin anything, also when its recording has ended by itself by then.
func TestARepeatedWebhookBeginsNothing(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	over, _ := e.ApplyClose("R1", 1, nil, at(9))
	for name, then := range map[string]Entry{
		"over":    over,
		"stopped": apply(e, stopByHand("R1", 5)),
	} {
		_, grant := then.ApplyBid(bid(joined("R2", "S1", 20), "one"))
		require.Equal(t, Void, grant.Verdict, name)
		_, grant = then.ApplyBid(bid(joined("R2", "", 20), "one"))
		require.Equal(t, Record, grant.Verdict, "%s: a start by hand", name)
		_, grant = then.ApplyBid(bid(joined("R2", "S2", 20), "one"))
		require.Equal(t, Record, grant.Verdict, "%s: another session", name)
	}
}

// Found by the simulator: somebody was stopped, and came back; the old recording had seen the new session before it
// heard of the stop, and the new session's start was taken for a repeated webhook.
func TestASessionThatWasOnlySeenIsNotAnswered(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1)).Seen("R1", 1, "S2", at(6))
	e = apply(e, command.NewStop("room", "alice", at(5)))
	closing, _ := e.ApplyClose("R1", 1, nil, at(9))
	for _, then := range []Entry{e, closing} {
		_, grant := then.ApplyBid(bid(joined("R2", "S2", 6), "one"))
		require.Equal(t, Record, grant.Verdict)
	}
}

func TestStopEndsEveryTargetAndStopByIDOnlyOne(t *testing.T) {
	screen := joined("R2", "", 2)
	screen.Track = "screen_share"
	e := apply(Entry{}, joined("R1", "", 1), screen)
	one, ended := e.ApplyStop(stopByHand("R2", 5))
	require.Equal(t, []string{"R2"}, ended)
	require.Equal(t, Wanted, one.Standing("R1", 1).Holding)
	require.Equal(t, Stopped, one.Standing("R2", 1).Holding)

	all, ended := e.ApplyStop(command.NewStop("room", "alice", at(5)))
	require.Equal(t, []string{"R1", "R2"}, ended)
	require.Equal(t, Stopped, all.Standing("R1", 1).Holding)
	_, ended = e.ApplyStop(command.NewStop("room", "alice", at(0)))
	require.Empty(t, ended, "asked for before they were")
}

// A webhook asks for several targets of one session, and comes twice; one of the recordings is over by then.
func TestEachTargetOfASessionIsAnsweredOnce(t *testing.T) {
	screen := func(id string, second int) command.Command {
		c := joined(id, "S1", second)
		c.Media = command.Screen
		return c
	}
	e := apply(Entry{}, joined("R1", "S1", 1), screen("R2", 1))
	require.Len(t, e.Claims, 2)

	for n, again := range []command.Command{joined("R3", "S1", 2), screen("R4", 2)} {
		_, grant := e.ApplyBid(bid(again, "two"))
		require.Equal(t, Duplicate, grant.Verdict)
		require.Equal(t, []string{"R1", "R2"}[n], grant.Current)
	}
	stopped, _ := e.ApplyStop(stopByHand("R2", 5))
	over, closing := stopped.ApplyClose("R2", 1, nil, at(6))
	require.Equal(t, Closed, closing)
	_, grant := over.ApplyBid(bid(screen("R5", 7), "two"))
	require.Equal(t, Void, grant.Verdict)
	require.Equal(t, Departed, apply(over, left("S1", 8)).Standing("R1", 1).Holding)
}

func TestADepartureIsToldFromAStop(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	require.Equal(t, Departed, apply(e, left("S1", 5)).Standing("R1", 1).Holding)
	require.Equal(t, Stopped, apply(e, stopByHand("R1", 5)).Standing("R1", 1).Holding)
}

func TestRestartAfterTheEndIsANewRecording(t *testing.T) {
	e := apply(Entry{}, joined("R1", "", 1), command.NewStop("room", "alice", at(5)))
	e, grant := e.ApplyBid(bid(joined("R2", "", 6), "two"))
	require.Equal(t, Record, grant.Verdict)
	require.Equal(t, Stopped, e.Standing("R1", 1).Holding)
	require.Equal(t, Wanted, e.Standing("R2", 1).Holding)
}

// A recorder that is leaving, and could not ask before, must not take the recording from the one that it was offered
// to.
func TestALeavingRecorderGetsANumberAndNotTheRecording(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	leaving := bid(joined("R1", "S1", 1), "leaving")
	leaving.Recorded, leaving.Leaving = true, true
	e, grant := e.ApplyBid(leaving)
	require.Equal(t, Grant{Verdict: Extra, Epoch: 2}, grant)
	require.Equal(t, Wanted, e.Standing("R1", 1).Holding)
	e, grant = e.ApplyBid(bid(joined("R1", "S1", 1), "next"))
	require.Equal(t, 3, grant.Epoch, "numbers are given once")
	require.Equal(t, Lost, e.Standing("R1", 1).Holding)

	_, grant = Entry{}.ApplyBid(leaving)
	require.Equal(t, Record, grant.Verdict, "nobody has it yet")
}

// While the bucket is away, recording begins without it; what has been recorded by then is kept whatever the ledger
// says.
func TestWhatHasBeenRecordedAlreadyIsKept(t *testing.T) {
	over, _ := apply(Entry{}, joined("R1", "S1", 1)).ApplyClose("R1", 1, nil, at(9))
	for name, c := range map[string]struct {
		before Entry
		epoch  int
	}{
		"stopped":       {apply(Entry{}, command.NewStop("room", "alice", at(5))), 1},
		"stopped by id": {apply(Entry{}, stopByHand("R1", 5)), 1},
		"departed":      {apply(Entry{}, left("S1", 5)), 1},
		"duplicate":     {apply(Entry{}, joined("R2", "S1", 1)), 1},
		"over":          {over, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := bid(joined("R1", "S1", 1), "one")
			_, grant := c.before.ApplyBid(b)
			require.True(t, grant.Verdict.Refused())

			b.Recorded = true
			e, grant := c.before.ApplyBid(b)
			require.Equal(t, Close, grant.Verdict)
			require.Equal(t, c.epoch, grant.Epoch)
			_, grant = e.ApplyBid(bid(joined("R1", "S1", 1), "two"))
			require.Equal(t, Close, grant.Verdict, "its recorder died: it is still to be closed")
		})
	}
}

func TestApplyLeavesTheOldEntryAlone(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	before := e.clone()
	apply(e, joined("R2", "S2", 2), left("S1", 5), joined("R1", "S1", 1))
	require.Equal(t, before, e.clone())
}

func TestEndedSessionsAreForgottenInTimeAndBounded(t *testing.T) {
	e := apply(Entry{}, left("S1", 1), left("S2", 1+int(keepEnded.Seconds())+10))
	require.NotContains(t, e.Left, "S1")
	require.Contains(t, e.Left, "S2")
	for n := range 2 * maxEnded {
		e = apply(e, left(fmt.Sprint("S", n), 100000+n))
	}
	require.Len(t, e.Left, maxEnded)
	require.Contains(t, e.Left, fmt.Sprint("S", 2*maxEnded-1))
}
