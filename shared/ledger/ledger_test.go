package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// theirs is the document of a recording that was granted to a recorder.
func theirs(id string, epoch int) document.Recording {
	return document.Recording{ID: id, Room: "room", Participant: "alice", Epoch: epoch}
}

func TestLookingChangesNothing(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	start := bid(joined("R1", "S1", 0), "one")
	looked, err := l.Look(t.Context(), start)
	require.NoError(t, err)
	require.Equal(t, Record, looked.Verdict)
	require.Zero(t, store.puts)

	granted, err := l.Bid(t.Context(), start)
	require.NoError(t, err)
	require.Equal(t, looked, granted, "a bid comes to what was said")
	looked, err = l.Look(t.Context(), bid(joined("R2", "S1", 1), "two"))
	require.NoError(t, err)
	require.Equal(t, Grant{Verdict: Duplicate, Current: "R1"}, looked)
	require.Equal(t, 1, store.puts)
}

func TestARecordingFromItsClaimToItsEnd(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	grant, err := l.Bid(t.Context(), bid(joined("R1", "S1", 0), "one"))
	require.NoError(t, err)
	r := theirs("R1", grant.Epoch)
	require.NoError(t, l.Seen(t.Context(), r, "S2", at(5)))
	now, err := l.Standing(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, Standing{Holding: Wanted, Sessions: []string{"S1", "S2"}, Message: "message of one"}, now)

	grant, err = l.Bid(t.Context(), bid(joined("R1", "S1", 0), "two"))
	require.NoError(t, err)
	require.Equal(t, 2, grant.Epoch)
	require.Equal(t, at(5), grant.Began, "the longest duration counts from there on")
	now, err = l.Standing(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, Lost, now.Holding)
	require.Equal(t, "message of two", now.Message)

	ended, err := l.Stop(t.Context(), stopByHand("R1", 9))
	require.NoError(t, err)
	require.Equal(t, "two", ended["R1"].Owner)
	closing, err := l.Close(t.Context(), r, nil)
	require.NoError(t, err)
	require.Equal(t, NotOurs, closing)
	closing, err = l.Close(t.Context(), theirs("R1", 2), nil)
	require.NoError(t, err)
	require.Equal(t, Closed, closing)
}

func TestWhatChangesNothingIsNotWritten(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	start := bid(joined("R1", "S1", 0), "one")
	_, err := l.Bid(t.Context(), start)
	require.NoError(t, err)
	_, err = l.Bid(t.Context(), start)
	require.NoError(t, err)
	require.NoError(t, l.Seen(t.Context(), theirs("R1", 1), "S1", time.Time{}))
	require.NoError(t, l.Seen(t.Context(), theirs("R1", 7), "S9", at(1)), "not its owner")
	require.Equal(t, 1, store.puts)
}

// The entry is read anew for the second attempt, and what the first one had come to does not count.
func TestAStopThatComesSecondSeesWhatCameFirst(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	_, err := l.Bid(t.Context(), bid(joined("R1", "S1", 0), "one"))
	require.NoError(t, err)
	store.before = once(entryKey("room", "alice"), func() error {
		_, err := l.Close(t.Context(), theirs("R1", 1), nil)
		require.NoError(t, err)
		_, err = l.Bid(t.Context(), bid(joined("R2", "S2", 1), "two"))
		return err
	})
	ended, err := l.Stop(t.Context(), command.NewStop("room", "alice", at(5)))
	require.NoError(t, err)
	require.Len(t, ended, 1)
	require.Equal(t, "two", ended["R2"].Owner)
}

func TestAnEntryThatIsNoneIsLeftAsItIs(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	store.objects[entryKey("room", "alice")] = "<html>"
	start := bid(joined("R1", "S1", 0), "one")
	_, look := l.Look(t.Context(), start)
	_, bid := l.Bid(t.Context(), start)
	_, stop := l.Stop(t.Context(), stopByHand("R1", 9))
	_, standing := l.Standing(t.Context(), theirs("R1", 1))
	_, closing := l.Close(t.Context(), theirs("R1", 1), nil)
	seen := l.Seen(t.Context(), theirs("R1", 1), "S1", at(1))
	for _, err := range []error{look, bid, stop, standing, closing, seen} {
		require.ErrorIs(t, err, ErrCorrupt)
	}
	require.Zero(t, store.puts)
}

func TestWhatTheStoreSaysIsSaid(t *testing.T) {
	store := newShelf()
	l := &Ledger{Store: store}
	store.before = func(string) error { return errAway }
	_, err := l.Bid(t.Context(), bid(joined("R1", "S1", 0), "one"))
	require.ErrorIs(t, err, errAway)
	require.Empty(t, store.objects)
}
