package ledger

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mostBytes is the size of an entry that is still read again and again.
const mostBytes = 128 << 10

func size(t *testing.T, e Entry) int {
	t.Helper()
	body, err := json.Marshal(e)
	require.NoError(t, err)
	return len(body)
}

// Somebody's connection breaks every few seconds, for hours: each time they are back in a new session, before or after
// it is known that the old one has ended.
func TestFiveThousandReconnectsFitIntoAnEntry(t *testing.T) {
	session := func(n int) string { return fmt.Sprintf("PA_%012d", n) }
	id := func(n int) string { return fmt.Sprintf("RC_%012d", n) }
	const reconnects = 5000
	for name, c := range map[string]struct {
		leaves bool // it becomes known when a session has ended
		seen   bool // the recorder sees it before its start comes
	}{
		"each departure is known": {leaves: true, seen: true},
		"none is":                 {},
	} {
		t.Run(name, func(t *testing.T) {
			e := apply(Entry{}, joined(id(0), session(0), 0))
			most := 0
			for n := 1; n <= reconnects; n++ {
				if c.seen {
					e = e.Seen(id(0), 1, session(n), noon)
				}
				e = apply(e, joined(id(n), session(n), 3*n))
				if c.leaves {
					e = apply(e, left(session(n-1), 3*n+1))
				}
				require.True(t, e.Claims[id(0)].Wanted())
				most = max(most, len(e.Claims[id(0)].Starts))
			}
			claim := e.Claims[id(0)]
			require.Len(t, e.Claims, 1)
			require.Less(t, size(t, e), mostBytes)
			require.LessOrEqual(t, most, 1+maxAsked)
			require.LessOrEqual(t, len(claim.Sessions), maxAsked)
			require.Equal(t, id(0), claim.own().Recording, "its own start is kept")
			require.Contains(t, claim.Sessions, session(reconnects))

			// What is kept decides about stops as all of it would.
			_, ended := e.ApplyStop(stopByHand(id(0), 3*reconnects-1))
			require.Empty(t, ended, "it has been asked for since")
			_, ended = e.ApplyStop(stopByHand(id(0), 3*reconnects))
			require.Equal(t, []string{id(0)}, ended)
			if c.leaves {
				_, ended = e.ApplyStop(left(session(reconnects), 3*reconnects+2))
				require.Equal(t, []string{id(0)}, ended)
			}
		})
	}
}

// Starts come in any order: the one that was requested last decides, and is kept, whenever it came.
func TestTheStartsThatWereRequestedLastAreKept(t *testing.T) {
	e := apply(Entry{}, joined("RC_own", "PA_own", 0), joined("RC_last", "PA_last", 100_000))
	for n := range 10 * maxAsked {
		e = apply(e, joined(fmt.Sprint("RC_", n), fmt.Sprint("PA_", n), n+1))
	}
	claim := e.Claims["RC_own"]
	require.Len(t, claim.Starts, 1+maxAsked)
	require.Equal(t, "RC_last", claim.Starts[1].Recording)
	require.Equal(t, "RC_own", claim.own().Recording)
	_, ended := e.ApplyStop(stopByHand("RC_own", 99_999))
	require.Empty(t, ended)
	require.Equal(t, time.Duration(100_000)*time.Second, claim.Starts[1].At.Sub(noon))
}
