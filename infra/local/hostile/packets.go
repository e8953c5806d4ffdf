package hostile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"livekit-recorder/infra/local/participant"
)

// tick is how often packets are sent.
const tick = 10 * time.Millisecond

// raw is somebody whose camera sends packets that are made by hand. Key is a key frame that can be decoded.
func (c *cast) raw(ctx context.Context) (camera *participant.Raw, key []byte, err error) {
	p, err := c.enter("0", participant.Options{})
	if err != nil {
		return nil, nil, err
	}
	frames, err := participant.Frames(ctx, c.Media, "vp8")
	if err != nil {
		return nil, nil, err
	}
	camera, err = p.Raw(ctx, "vp8")
	return camera, frames[0], err
}

// ticks does something at every tick until ctx is done.
func ticks(ctx context.Context, do func(n int)) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			do(n)
		}
	}
}

// sendFrame sends a whole frame, and goes on to the next one's time.
func sendFrame(camera *participant.Raw, frame []byte, ticks uint32) {
	payloads := camera.Payloads(frame)
	for n, payload := range payloads {
		camera.Send(payload, n == len(payloads)-1)
	}
	camera.Timestamp += ticks
}

// padded makes a frame larger: a VP8 decoder does not look at what is behind a frame's last partition.
func padded(frame []byte, size int) []byte {
	large := make([]byte, size)
	copy(large, frame)
	return large
}

// endless begins a key frame and never ends it: 2,000 packets a second, 19 Mbit/s. Before that there are some seconds
// of a call: a LiveKit server forwards nothing to somebody who comes in the middle of a frame.
func endless(ctx context.Context, c *cast) error {
	const eachTick, before = 20, 5 * time.Second
	camera, key, err := c.raw(ctx)
	if err != nil {
		return err
	}

	payloads := camera.Payloads(padded(key, 64<<10))
	rest := payloads[1 : len(payloads)-1]
	sent := 0
	return ticks(ctx, func(n int) {
		if n < int(before/tick) {
			sendFrame(camera, key, participant.VideoClock/100)
			return
		}
		if sent == 0 {
			camera.Send(payloads[0], false)
		}
		for range eachTick {
			camera.Send(rest[sent%len(rest)], false)
			sent++
		}
	})
}

// holes sends 4,000 frames of one small packet each a second, and leaves out a number before each; once a second there
// is a key frame.
func holes(ctx context.Context, c *cast) error {
	const eachTick = 40
	camera, key, err := c.raw(ctx)
	if err != nil {
		return err
	}

	small := []byte{1, 0, 0, 0, 0, 0, 0, 0} // not a key frame: RFC 6386 section 9.1
	return ticks(ctx, func(n int) {
		if n%int(time.Second/tick) == 0 {
			sendFrame(camera, key, participant.VideoClock/4000)
		}
		for range eachTick {
			camera.Skip()
			sendFrame(camera, small, participant.VideoClock/4000)
		}
	})
}

// bursts sends a key frame of 2 MiB once a second, as fast as a sender with a pacer does: within a third of it.
func bursts(ctx context.Context, c *cast) error {
	const size, spread = 2 << 20, 33 // bytes, ticks
	camera, key, err := c.raw(ctx)
	if err != nil {
		return err
	}

	var left [][]byte
	return ticks(ctx, func(n int) {
		if n%int(time.Second/tick) == 0 {
			camera.Timestamp += participant.VideoClock
			left = camera.Payloads(padded(key, size))
		}
		for range min(len(left), size/1100/spread) {
			camera.Send(left[0], len(left) == 1)
			left = left[1:]
		}
	})
}

// manyTracks has people publish so many tracks together, which say something once a second.
func manyTracks(tracks int) func(context.Context, *cast) error {
	const people = 10
	return func(ctx context.Context, c *cast) error {
		audio, err := participant.Frames(ctx, c.Media, "opus")
		if err != nil {
			return err
		}
		video, err := participant.Frames(ctx, c.Media, "vp8")
		if err != nil {
			return err
		}

		return each(people, func(n int) error {
			p, err := c.enter(fmt.Sprint(n), participant.Options{})
			if err != nil {
				return err
			}

			published := make(chan *participant.Raw, tracks)
			var publishing sync.WaitGroup
			publishing.Go(func() { publishMany(ctx, p, tracks/people, published) })
			defer publishing.Wait()

			var all []*participant.Raw
			return ticks(ctx, func(n int) {
				for len(published) > 0 {
					all = append(all, <-published)
					c.published.Add(1)
				}
				for at := n % 100; at < len(all); at += 100 {
					if t := all[at]; t.Kind() == "audio" {
						sendFrame(t, audio[0], participant.AudioClock)
					} else {
						sendFrame(t, video[0], participant.VideoClock)
					}
				}
			})
		})
	}
}

// publishMany publishes cameras and microphones, one after the other, until there are so many or ctx is done.
func publishMany(ctx context.Context, p *participant.Participant, tracks int, published chan<- *participant.Raw) {
	for n := range tracks {
		t, err := p.Raw(ctx, []string{"opus", "vp8"}[n%2])
		if err != nil {
			return // the time is over, or the server has had enough
		}
		published <- t
	}
}
