package mux

import (
	"io"
	"time"
)

// WriteTimeout is how long ffmpeg, or the disk that it writes to, may take nothing. A recording waits meanwhile, and
// falls behind its room; nobody else there does.
const WriteTimeout = 5 * time.Second

// pipe is ffmpeg's standard input, whose reader may have stopped reading.
type pipe struct {
	io.WriteCloser
	patience time.Duration // how long it may take nothing
	deadline time.Time
}

// Write fails if the reader takes nothing for as long, give or take a fifth of it: the deadline is not set anew for
// every frame.
func (p *pipe) Write(data []byte) (int, error) {
	if now := time.Now(); p.deadline.Sub(now) < p.patience*4/5 {
		p.deadline = now.Add(p.patience)
		if d, ok := p.WriteCloser.(interface{ SetWriteDeadline(time.Time) error }); ok {
			if err := d.SetWriteDeadline(p.deadline); err != nil {
				return 0, err
			}
		}
	}
	return p.WriteCloser.Write(data)
}
