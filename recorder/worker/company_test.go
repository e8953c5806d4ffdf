package worker

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

var (
	healthy = ledger.Suspicion{}
	suspect = ledger.Suspicion{Company: 3}
	single  = ledger.Suspicion{Company: 1}
	waited  = ledger.Suspicion{Company: 1, Mixed: true}
	paused  = ledger.Suspicion{Company: 1, Quarantined: true, Pause: 15 * time.Minute}
)

func TestWhoMayBeBesideWhom(t *testing.T) {
	for name, c := range map[string]struct {
		here   []ledger.Suspicion
		comes  ledger.Suspicion
		want   bool
		closed bool // to whatever else may come
	}{
		"anything, where there is nothing":     {nil, healthy, true, false},
		"a suspect, where there is nothing":    {nil, single, true, true},
		"what nobody is to try for a while":    {nil, paused, false, false},
		"a suspect beside others":              {[]ledger.Suspicion{healthy}, suspect, false, false},
		"anything else beside a suspect":       {[]ledger.Suspicion{suspect}, healthy, false, true},
		"suspects among themselves":            {[]ledger.Suspicion{suspect, suspect}, suspect, true, true},
		"one too many":                         {[]ledger.Suspicion{suspect, suspect, suspect}, suspect, false, true},
		"one that must be alone":               {[]ledger.Suspicion{suspect}, single, false, true},
		"beside one that must be alone":        {[]ledger.Suspicion{single}, suspect, false, true},
		"a suspect that has waited":            {[]ledger.Suspicion{healthy}, waited, true, true},
		"a second one that has waited as well": {[]ledger.Suspicion{healthy, waited}, waited, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			all := newPlaces(10)
			var places []*place
			for range len(c.here) + 1 { // all have been received before the first was looked at
				p, ok := all.take()
				require.True(t, ok)
				places = append(places, p)
			}
			for n, s := range c.here {
				require.True(t, all.admit(places[n], s, false))
			}
			last := places[len(places)-1]
			require.Equal(t, c.want, all.admit(last, c.comes, false))
			away, pause := all.turnedAway(last)
			require.Equal(t, !c.want && c.comes.Company > 0, away)
			require.Equal(t, c.comes.Pause, pause)
			require.Equal(t, c.closed, all.closed())
			another, ok := all.take()
			require.Equal(t, !c.closed, ok)
			if ok {
				another.leave()
			}
			require.Equal(t, c.want && len(c.here) == 0 && c.comes.Company > 0, all.alone(last))

			for _, p := range places {
				all.clear(p)
			}
			require.False(t, all.closed())
			for _, p := range places {
				p.leave()
			}
			require.Equal(t, 10, all.free())
			require.Empty(t, all.held)
		})
	}
}

// A recorder that has nothing else is rare: of what comes with one batch, the suspect gets it.
func TestSuspectsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newPlaces(3)
		var places []*place
		for range 3 {
			p, _ := all.take()
			places = append(places, p)
		}
		admitted := make([]bool, 3)
		var asking sync.WaitGroup
		ask := func(n int, s ledger.Suspicion) { asking.Go(func() { admitted[n] = all.admit(places[n], s, true) }) }
		ask(0, healthy)
		synctest.Wait()
		ask(1, suspect)
		synctest.Wait()
		ask(2, single)
		asking.Wait()
		require.Equal(t, []bool{false, false, true}, admitted)
	})
}

func TestNobodyWaitsLongForSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newPlaces(2)
		first, _ := all.take()
		_, ok := all.take() // of which the bucket says nothing
		require.True(t, ok)
		began := time.Now()
		require.True(t, all.admit(first, healthy, true))
		require.Equal(t, suspectsFirst, time.Since(began))
	})
}

// What is turned away does not become a dead letter by that.
func TestWhatIsTurnedAwayGoesBack(t *testing.T) {
	for name, c := range map[string]struct {
		suspicion         ledger.Suspicion
		receives          int
		visible, inFlight string
	}{
		"a suspect waits a little":            {single, 1, "0", "1"},
		"what is quarantined waits":           {paused, 1, "0", "1"},
		"and is a new message as well":        {paused, MaxReceives / 2, "1", "0"},
		"one received often is a new message": {single, MaxReceives / 2, "1", "0"},
		"anything else goes to others":        {healthy, 1, "1", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 1)
			h.stop()
			body, err := command.NewStart("room", "alice", time.Now()).Encode()
			require.NoError(t, err)
			require.NoError(t, h.Starts.Send(t.Context(), body))
			received, err := h.Starts.Receive(t.Context(), 1, visibility)
			require.NoError(t, err)
			received[0].Receives = c.receives

			all := newPlaces(2)
			other, _ := all.take()
			p, _ := all.take()
			there := healthy
			if c.suspicion == healthy {
				there = suspect
			}
			require.True(t, all.admit(other, there, false))
			h.Worker.Start = func(_ context.Context, _ command.Command, b *Baton) Ending {
				require.False(t, b.Admit(c.suspicion))
				require.False(t, b.Alone())
				return Ending{Outcome: Elsewhere}
			}
			h.start(t.Context(), received[0], p)
			require.Equal(t, [2]string{c.visible, c.inFlight}, h.counts(t))
		})
	}
}

func TestWhileASuspectIsHereNothingElseIsTaken(t *testing.T) {
	h := newHarness(t, 5)
	h.Worker.Start = func(_ context.Context, c command.Command, b *Baton) Ending {
		if c.Room == "suspect" {
			require.True(t, b.Admit(single))
			require.True(t, b.Alone())
		}
		h.begun <- c
		ending := <-h.results
		b.Clear()
		return ending
	}
	h.send(t, "suspect")
	require.Equal(t, "suspect", (<-h.begun).Room)
	h.send(t, "another")
	h.eventually(t, "1", "1")
	h.results <- Ending{Outcome: Done}
	require.Equal(t, "another", (<-h.begun).Room)
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "0")
}
