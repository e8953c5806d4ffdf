package room

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

const (
	// probeInterval is how often LiveKit is asked for a sign of life while no bot is in a room.
	probeInterval = 10 * time.Second
	// probeTimeout bounds that.
	probeTimeout = 5 * time.Second
	// afterFailure is how long no start is taken after a bot could not get into a room: packets may be blocked
	// although the API answers.
	afterFailure = 30 * time.Second
	// noRoom is a room that is asked for, and does not exist.
	noRoom = "participant-recorder-probe"
)

// health is what is known of the way to LiveKit.
type health struct {
	mu       sync.Mutex // guards:
	answers  bool       // the API has answered the last probe
	failedAt time.Time  // when a bot could not get into a room, unless another one could since
}

// joined notes whether a bot could get into its room.
func (h *health) joined(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failedAt = time.Now(); err == nil {
		h.failedAt, h.answers = time.Time{}, true
	}
}

// Reachable says whether LiveKit can be reached, as far as is known: a recorder that cannot do so takes no starts.
func (p *Pool) Reachable() bool {
	p.health.mu.Lock()
	defer p.health.mu.Unlock()
	return p.health.answers && (p.health.failedAt.IsZero() || time.Since(p.health.failedAt) > afterFailure)
}

// Probe asks LiveKit for a sign of life now and then, until ctx is done.
func (p *Pool) Probe(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		err := p.ask(ctx)
		p.health.mu.Lock()
		changed := p.health.answers != (err == nil)
		p.health.answers = err == nil
		p.health.mu.Unlock()
		if changed && err == nil {
			p.Log.Info("LiveKit can be reached, starts are taken")
		} else if changed && ctx.Err() == nil {
			p.Log.WithError(err).Error("LiveKit cannot be reached, no starts are taken until it can")
		}

		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *Pool) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := p.call(ctx, func(api *lksdk.RoomServiceClient) error {
		_, err := api.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{noRoom}})
		return err
	})
	if err != nil {
		return fmt.Errorf("ask LiveKit for a sign of life: %w", err)
	}
	return nil
}
