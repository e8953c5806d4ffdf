package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

// lives is what becomes of a recorder that tries a recording.
type lives int

const (
	dies lives = iota
	diesAlone
	letsGo
	isCleared // lives for a while, and dies then
	comesBack // the same recorder tries again
)

func TestWhoIsSuspect(t *testing.T) {
	none := Suspicion{}
	many := func(n int, how lives) (all []lives) {
		for range n {
			all = append(all, how)
		}
		return all
	}
	for name, c := range map[string]struct {
		trials  []lives
		later   time.Duration
		want    Suspicion
		refused bool
	}{
		"nobody has tried it":                     {nil, 0, none, false},
		"two recorders died":                      {many(2, dies), 0, none, false},
		"three recorders died":                    {many(3, dies), 0, Suspicion{Company: 10}, false},
		"four recorders died":                     {many(4, dies), 0, Suspicion{Company: 3}, false},
		"five recorders died":                     {many(5, dies), 0, Suspicion{Company: 1}, false},
		"no recorder of its own for a minute":     {many(5, dies), 61 * time.Second, Suspicion{1, true}, false},
		"eight recorders died, never of it alone": {many(8, dies), 0, none, true},
		"two recorders died that had nothing else": {
			append(many(3, dies), diesAlone, diesAlone), 0, none, true},
		"one recorder died that had nothing else": {append(many(3, dies), diesAlone), 0, Suspicion{Company: 3}, false},
		"recorders that shut down are no deaths":  {many(20, letsGo), 0, none, false},
		"a recorder that tries again is no death": {many(20, comesBack), 0, none, false},
		"who lived for a while is a suspect no more, whatever comes next": {
			append(many(6, dies), isCleared), 0, none, false},
		"deaths alone count, whatever comes next": {
			append(many(3, dies), diesAlone, isCleared, diesAlone), 0, none, true},
		"deaths are forgotten": {many(5, dies), 31 * time.Minute, none, false},
		"but not deaths alone": {append(many(3, dies), diesAlone, diesAlone), 31 * time.Minute, none, true},
		"not for half a day":   {append(many(3, dies), diesAlone, diesAlone), 12*time.Hour + time.Second, none, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, now := Entry{}, at(0)
			start := joined("R1", "S1", 0)
			for n, how := range c.trials {
				b := bid(start, fmt.Sprint("recorder", n))
				if how == comesBack {
					b.Owner = "the same"
				}
				now = now.Add(time.Second)
				b.At, b.Alone = now, how == diesAlone
				e = e.Tried(b)
				switch how {
				case letsGo:
					e = e.LetGo("R1", b.Attempt)
				case isCleared:
					e = e.Cleared("R1", b.Attempt)
				}
			}

			b := bid(start, "the same")
			b.At = now
			e = e.Mourned(b)
			b.At = now.Add(c.later)
			got, refused := e.suspicion(b)
			require.Equal(t, c.refused, refused)
			require.Equal(t, c.want, got)
		})
	}
}

// Whoever takes the recording of which recorders died, closes it, and has a reason to write down.
func TestWhatKillsRecordersIsTakenToBeClosed(t *testing.T) {
	for name, claimed := range map[string]bool{"claimed before": true, "killed whoever was about to claim it": false} {
		t.Run(name, func(t *testing.T) {
			var e Entry
			start := joined("R1", "S1", 1)
			for n := range provenEver {
				b := bid(start, fmt.Sprint("recorder", n))
				if claimed {
					var g Grant
					e, g = e.ApplyBid(b)
					require.Equal(t, Record, g.Verdict)
					require.Equal(t, company(n), g.Company)
				} else {
					e = e.Tried(b)
				}
			}

			e, g := e.ApplyBid(bid(start, "the last one"))
			require.Equal(t, Close, g.Verdict)
			require.Equal(t, document.ReasonDeadly, g.Refused)
			require.Equal(t, document.ReasonDeadly, e.Standing("R1", g.Epoch).Refused)
			e, closing := e.ApplyClose("R1", g.Epoch, nil, at(9))
			require.Equal(t, Closed, closing)
			require.Empty(t, e.Trials)
			_, again := e.ApplyBid(bid(joined("R2", "S1", 1), "whoever"))
			require.Equal(t, Void, again.Verdict, "the webhook is repeated")
		})
	}
}

// An answer that got lost must not make a recorder its own neighbour, and asking must not write.
func TestABidThatIsRepeatedCountsOnce(t *testing.T) {
	e, first := Entry{}.ApplyBid(bid(joined("R1", "S1", 1), "one"))
	same, again := e.ApplyBid(bid(joined("R1", "S1", 1), "one"))
	require.Equal(t, first, again)
	require.Equal(t, e, same)
	require.Len(t, e.Trials["R1"], 1)
}

func TestTrialsOfWhatNobodyClaimsAreForgotten(t *testing.T) {
	e := Entry{}.Tried(bid(joined("R1", "S1", 1), "one"))
	e, _ = e.ApplyBid(bid(joined("R2", "S1", 1), "two"))
	stop := left("S9", 1)
	stop.RequestedAt = at(1).Add(keepEnded + time.Hour)
	e, _ = e.ApplyStop(stop)
	require.NotContains(t, e.Trials, "R1")
	require.Contains(t, e.Trials, "R2", "it is claimed")
}
