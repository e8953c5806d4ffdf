package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
		trials []lives
		later  time.Duration
		want   Suspicion
	}{
		"nobody has tried it":                    {nil, 0, none},
		"two recorders died":                     {many(2, dies), 0, none},
		"three recorders died":                   {many(3, dies), 0, Suspicion{Company: 10}},
		"four recorders died":                    {many(4, dies), 0, Suspicion{Company: 3}},
		"five recorders died":                    {many(5, dies), 0, Suspicion{Company: 1}},
		"no recorder of its own for a minute":    {many(5, dies), 61 * time.Second, Suspicion{Company: 1, Mixed: true}},
		"eight recorders died, none of it alone": {many(8, dies), 0, quarantined(time.Minute, false)},
		"two recorders died that had nothing else": {
			append(many(3, dies), diesAlone, diesAlone), 0, quarantined(time.Minute, false)},
		"for a while": {append(many(3, dies), diesAlone, diesAlone), 40 * time.Second,
			quarantined(20*time.Second, false)},
		"nobody has to wait any more": {append(many(3, dies), diesAlone, diesAlone), time.Minute, quarantined(0, false)},
		"for twice as long no recorder of its own": {
			append(many(3, dies), diesAlone, diesAlone), 121 * time.Second, quarantined(0, true)},
		"in quarantine, every death counts": {append(many(3, dies), diesAlone, diesAlone, dies, dies), 0,
			quarantined(4*time.Minute, false)},
		"it has killed and killed":                {many(40, diesAlone), 0, quarantined(15*time.Minute, false)},
		"one recorder died that had nothing else": {append(many(3, dies), diesAlone), 0, Suspicion{Company: 3}},
		"recorders that shut down are no deaths":  {many(20, letsGo), 0, none},
		"a recorder that tries again is no death": {many(20, comesBack), 0, none},
		"who lived for a while is a suspect no more, whatever comes next": {
			append(many(6, dies), isCleared), 0, none},
		"not even if it was in quarantine": {append(many(9, diesAlone), isCleared), 0, none},
		"the newest death alone counts, whatever comes next": {
			append(many(3, dies), diesAlone, isCleared, diesAlone), 0, quarantined(time.Minute, false)},
		"deaths are forgotten": {many(5, dies), 31 * time.Minute, none},
		"but not deaths alone": {append(many(3, dies), diesAlone, diesAlone), 31 * time.Minute, quarantined(0, true)},
		"not for half a day":   {append(many(3, dies), diesAlone, diesAlone), 12*time.Hour + time.Second, none},
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
			require.Equal(t, c.want, e.suspicion(b))
		})
	}
}

// quarantined is what is suspected of what recorders keep dying of.
func quarantined(pause time.Duration, mixed bool) Suspicion {
	return Suspicion{Company: 1, Mixed: mixed, Quarantined: true, Pause: pause}
}

// Recorders may die of something else: whatever they die of stays wanted.
func TestWhatKillsRecordersStaysWanted(t *testing.T) {
	for name, claimed := range map[string]bool{"claimed before": true, "killed whoever was about to claim it": false} {
		t.Run(name, func(t *testing.T) {
			var e Entry
			start := joined("R1", "S1", 1)
			for n := range 5 * maxTrials {
				b := bid(start, fmt.Sprint("recorder", n))
				b.Alone = n >= suspectAfter
				if !claimed {
					e = e.Tried(b)
					continue
				}
				var g Grant
				e, g = e.ApplyBid(b)
				require.Equal(t, Record, g.Verdict)
				require.Equal(t, n >= suspectAfter+quarantineAlone, g.Quarantined)
			}

			e, g := e.ApplyBid(bid(start, "the last one"))
			require.Equal(t, Record, g.Verdict)
			require.Equal(t, longestPause, g.Pause)
			require.Equal(t, Wanted, e.Standing("R1", g.Epoch).Holding)
			e, ended := e.ApplyStop(left("S1", 2))
			require.Equal(t, []string{"R1"}, ended)
			e, g = e.ApplyBid(bid(start, "whoever closes it"))
			require.Equal(t, Close, g.Verdict)
			require.Zero(t, g.Suspicion)
			e, closing := e.ApplyClose("R1", g.Epoch, nil, at(9))
			require.Equal(t, Closed, closing)
			require.Empty(t, e.Trials)
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

// What recorders died of recording is closed as usual; what they die of closing is kept apart as well.
func TestClosingThatKillsIsSuspect(t *testing.T) {
	var e Entry
	for n := range suspectAfter {
		e, _ = e.ApplyBid(bid(joined("R1", "S1", 1), fmt.Sprint("records", n)))
	}
	e, _ = e.ApplyStop(left("S1", 2))
	for n := range 2 * quarantineMixed {
		var g Grant
		e, g = e.ApplyBid(bid(joined("R1", "S1", 3), fmt.Sprint("closes", n)))
		require.Equal(t, Close, g.Verdict)
		require.Equal(t, company(n), g.Company)
		require.Equal(t, n >= quarantineMixed, g.Quarantined)
	}
}
