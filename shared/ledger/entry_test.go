package ledger

import (
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

func apply(e Entry, commands ...command.Command) Entry {
	for _, c := range commands {
		if c.Action == command.Start {
			e, _ = e.ApplyStart(c, "recorder")
		} else {
			e, _ = e.ApplyStop(c)
		}
	}
	return e
}

// wanted says whether the participant is to be recorded in the end.
func wanted(e Entry) bool { return e.Claims["av"].Wanted() && e.Claims["av"].Recording != "" }

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
			[]command.Command{joined("R1", "S1", 1), joined("R1", "S1", 1), left("S1", 5), joined("R2", "S2", 6), joined("R2", "S2", 6)}, true},
		"joined, stopped by hand, left, stopped again": {
			[]command.Command{joined("R1", "S1", 1), command.NewStop("room", "alice", at(5)), left("S1", 6), command.NewStop("room", "alice", at(7))}, false},
		"connection lost, joined again": {
			[]command.Command{joined("R1", "S1", 1), lost("S1", 5), joined("R2", "S2", 6)}, true},
		"stopped by its id": {
			[]command.Command{joined("R1", "", 1), stopByHand("R1", 5)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			permutations(c.commands, func(order []command.Command) {
				e := apply(Entry{}, order...)
				require.Equal(t, c.wanted, wanted(e), "%+v", order)
			})
		})
	}
}

func TestStartsOwnMessageComingBackIsATakeOver(t *testing.T) {
	e, verdict := Entry{}.ApplyStart(joined("R1", "S1", 1), "one")
	require.Equal(t, Claimed, verdict)
	require.Equal(t, Wanted, e.Holding("av", "R1", 1))
	e, verdict = e.ApplyStart(joined("R1", "S1", 1), "two")
	require.Equal(t, TakenOver, verdict)
	require.Equal(t, "two", e.Claims["av"].Owner)
	require.Equal(t, Lost, e.Holding("av", "R1", 1), "the older owner lets go")
	require.Equal(t, Wanted, e.Holding("av", "R1", 2))
	same, _ := e.Ended("av", "R1", 1, "")
	require.Equal(t, e, same, "and can't end what it has lost")
	e, _ = e.Ended("av", "R1", 2, "")
	_, verdict = e.ApplyStart(joined("R1", "S1", 1), "three")
	require.Equal(t, Void, verdict)
}

func TestStoppedRecordingOfADeadRecorderIsStillClosed(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1), left("S1", 5))
	require.Equal(t, Departed, e.Holding("av", "R1", 1))
	e, verdict := e.ApplyStart(joined("R1", "S1", 1), "two")
	require.Equal(t, TakenOver, verdict)
	require.Equal(t, Departed, e.Holding("av", "R1", 2))
}

func TestParticipantWhoIsBackBeforeTheirDepartureIsKnownIsRecordedOn(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1), joined("R2", "S2", 6))
	_, ended := e.Ended("av", "R1", 1, "S1")
	require.False(t, ended, "the second start was taken for a duplicate: nobody else will record")
	require.True(t, wanted(apply(e, left("S1", 5))))
	_, ended = e.Ended("av", "R1", 1, "S2")
	require.True(t, ended)
	_, ended = apply(e, left("S2", 9)).Ended("av", "R1", 1, "S1")
	require.True(t, ended, "gone again meanwhile")
}

func TestLostConnectionEndsNothingButVoidsLaterStarts(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	e, ended := e.ApplyStop(lost("S1", 5))
	require.Empty(t, ended)
	require.Equal(t, Wanted, e.Holding("av", "R1", 1), "its recorder waits for them")
	require.False(t, wanted(apply(e, joined("R2", "S2", 6), left("S2", 9))), "back, and gone for good")
	_, verdict := apply(Entry{}, lost("S1", 5)).ApplyStart(joined("R1", "S1", 1), "one")
	require.Equal(t, Void, verdict, "a start that comes too late for its session")
}

func TestStopEndsEveryTargetAndStopByIDOnlyOne(t *testing.T) {
	screen := joined("R2", "", 2)
	screen.Track = "screen_share"
	e := apply(Entry{}, joined("R1", "", 1), screen)
	one, ended := e.ApplyStop(stopByHand("R2", 5))
	require.Len(t, ended, 1)
	require.Equal(t, Wanted, one.Holding("av", "R1", 1))
	require.Equal(t, Stopped, one.Holding("screen_share", "R2", 1))
	_, ended = e.ApplyStop(command.NewStop("room", "alice", at(5)))
	require.Len(t, ended, 2)
}

func TestRestartAfterTheEndIsANewRecording(t *testing.T) {
	e := apply(Entry{}, joined("R1", "", 1), command.NewStop("room", "alice", at(5)))
	e, verdict := e.ApplyStart(joined("R2", "", 6), "one")
	require.Equal(t, Claimed, verdict)
	require.Equal(t, Stopped, e.Holding("av", "R1", 1))
	require.Equal(t, Wanted, e.Holding("av", "R2", 1))
}

func TestApplyLeavesTheOldEntryAlone(t *testing.T) {
	e := apply(Entry{}, joined("R1", "S1", 1))
	before := e.clone()
	apply(e, left("S1", 5))
	require.Equal(t, before, e.clone())
}

func TestTombstonesAreForgottenAfterADay(t *testing.T) {
	e := apply(Entry{}, left("S1", 1), left("S2", 1+86400+10))
	require.NotContains(t, e.Left, "S1")
	require.Contains(t, e.Left, "S2")
}

func TestTheOwnersMessageIsKnown(t *testing.T) {
	first, second := joined("R1", "S1", 1), joined("R1", "S1", 1)
	first.Message, second.Message = "one", "two"
	e := apply(Entry{}, first)
	require.Equal(t, "one", e.Claims["av"].Message)
	require.Equal(t, "two", apply(e, second).Claims["av"].Message)
}

// heard is a start whose recorder has been recording since some time already.
func heard(c command.Command, second int) command.Command {
	c.Heard = at(second)
	return c
}

func TestWhatWasHeardBeforeAStopIsKept(t *testing.T) {
	for name, stop := range map[string]command.Command{
		"stopped": command.NewStop("room", "alice", at(5)), "stopped by its id": stopByHand("R1", 5), "departed": left("S1", 5),
	} {
		before := apply(Entry{}, stop)
		e, verdict := before.ApplyStart(heard(joined("R1", "S1", 1), 3), "one")
		require.Equal(t, Claimed, verdict, name)
		require.False(t, wanted(e), name)
		require.NotEqual(t, Wanted, e.Holding("av", "R1", 1), name)
		_, verdict = e.ApplyStart(joined("R1", "S1", 1), "two")
		require.Equal(t, TakenOver, verdict, "%s: its recorder died: it is still to be closed", name)
		e, verdict = before.ApplyStart(heard(joined("R1", "S1", 1), 6), "one")
		require.Equal(t, Void, verdict, "%s: nothing had been heard by then", name)
		require.Equal(t, before, e, name)
	}
}

func TestWhatWasHeardBeforeAnotherRecordingBeganIsKept(t *testing.T) {
	before := apply(Entry{}, joined("R2", "S2", 10))
	e, verdict := before.ApplyStart(heard(joined("R1", "S1", 1), 3), "one")
	require.Equal(t, Over, verdict)
	require.Equal(t, before, e)
	require.Equal(t, Stopped, e.Holding("av", "R1", 1))
	_, verdict = before.ApplyStart(heard(joined("R3", "S2", 12), 13), "one")
	require.Equal(t, Duplicate, verdict)
}
