package worker

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/shared/command"
)

// The message is nobody's then, and comes back; its place is free for others.
func TestAPanicOverAStartCostsNoOther(t *testing.T) {
	h := newHarness(t, 1)
	start := h.Start
	h.Start = func(ctx context.Context, c command.Command, b *Baton) Ending {
		if c.Room == "broken" {
			h.begun <- c
			panic("an index is out of range")
		}
		return start(ctx, c, b)
	}
	before := guard.Caught()
	h.send(t, "broken")
	require.Equal(t, "broken", (<-h.begun).Room)
	h.send(t, "whole")
	require.Equal(t, "whole", (<-h.begun).Room)
	require.Equal(t, before+1, guard.Caught())
	h.eventually(t, "0", "2")
	h.holds.mu.Lock()
	require.Len(t, h.holds.batons, 1)
	h.holds.mu.Unlock()
	h.results <- Ending{Outcome: Done}
	h.eventually(t, "0", "1")
}

// More of them than may be carried out at once.
func TestPanicsOverControlsHoldUpNoOthers(t *testing.T) {
	h := newHarness(t, 1)
	done := make(chan string, 100)
	carryOut := func(_ context.Context, c command.Command) error {
		name := cmp.Or(c.Room, c.Receiver)
		if name == "broken" {
			defer func() { done <- "" }()
			panic("an index is out of range")
		}
		done <- name
		return nil
	}
	h.Carry.Stop, h.Carry.Notify = carryOut, carryOut

	send := func(c command.Command) {
		body, err := c.Encode()
		require.NoError(t, err)
		require.NoError(t, h.Controls.Send(t.Context(), body))
	}
	for range maxNotices + 1 {
		send(command.NewNotify("RC_1", "broken", time.Now()))
		require.Empty(t, <-done)
	}
	for range maxControls + 1 {
		send(command.NewStop("broken", "alice", time.Now()))
		require.Empty(t, <-done)
	}
	send(command.NewNotify("RC_1", "room", time.Now()))
	require.Equal(t, "room", <-done)
	send(command.NewStop("room", "alice", time.Now()))
	require.Equal(t, "room", <-done)
}
