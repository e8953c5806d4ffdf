package stack

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"livekit-recorder/infra/local/floor"
)

// The environment of the program that receives and drops, see [RunFloor].
const floorURL, floorRoom, floorTracks = "FLOOR_LIVEKIT_URL", "FLOOR_ROOM", "FLOOR_TRACKS"

// StartFloor starts a program that receives all tracks of a room, and drops what comes (package floor). It returns when
// packets of all of them have come. The program is the one that calls, with "floor" as its argument.
func (s *Stack) StartFloor(ctx context.Context, room string, tracks int) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start floor: %w", err)
	}

	ready := make(chan struct{})
	p, err := s.launch(fmt.Sprintf("floor-%d", len(s.processes)), func(line string) bool {
		if !strings.Contains(line, floor.Ready) {
			return false
		}
		close(ready)
		return true
	}, []string{floorURL + "=" + s.LiveKit, floorRoom + "=" + room, floorTracks + "=" + strconv.Itoa(tracks)}, self, "floor")
	if err != nil {
		return nil, err
	}

	select {
	case <-ready:
		return p, nil
	case <-p.done:
		return p, fmt.Errorf("floor ended at once: see %s", p.LogPath)
	case <-ctx.Done():
		return p, fmt.Errorf("wait for packets of all tracks: %w: see %s", ctx.Err(), p.LogPath)
	}
}

// StopFloor ends it, and returns how many packets did not reach it.
func (s *Stack) StopFloor(ctx context.Context, p *Process) (lost int64, err error) {
	p.Stop()

	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for { // its last words are on their way into the log
		lines, err := p.Log()
		if err != nil {
			return 0, err
		}
		for _, line := range lines {
			if number, ok := strings.CutPrefix(line.Text, floor.Lost); ok {
				return strconv.ParseInt(number, 10, 64)
			}
		}

		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("count packets: %w: see %s", ctx.Err(), p.LogPath)
		case <-ticker.C:
		}
	}
}

// RunFloor is that program: it works until ctx is done.
func RunFloor(ctx context.Context) error {
	tracks, err := strconv.Atoi(os.Getenv(floorTracks))
	if err != nil {
		return fmt.Errorf("%s must be a whole number", floorTracks)
	}
	return (&floor.Floor{
		URL:    os.Getenv(floorURL),
		Key:    LiveKitKey,
		Secret: LiveKitSecret,
		Room:   os.Getenv(floorRoom),
		Tracks: tracks,
	}).Run(ctx, os.Stdout)
}
