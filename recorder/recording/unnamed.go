package recording

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"livekit-recorder/shared/ledger"
)

// unnamed is the tail of a part that has no name yet: its file grows on the disk until it gets one.
type unnamed struct {
	decided chan struct{}
	tail    Tail // nil if nobody wants the file
}

// Finish waits for the name.
func (u *unnamed) Finish(ctx context.Context) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-u.decided:
	}
	if u.tail == nil {
		return 0, ledger.ErrSuperseded
	}
	return u.tail.Finish(ctx)
}

// In the directory of parts that had no name when they began, there is the start, and later the number of parts before them.
const (
	startFile, offsetFile = "start.json", "offset"
	unclaimedEpoch        = "0"
)

// adopt gives the parts that have none their names, from the one that follows number others, and stores them. Those that
// begin from now on grow in another directory.
func (c *composer) adopt(file string, number int, directory string) {
	if c.number > 0 {
		// Should this recorder be killed, the next one on this disk must know.
		if err := os.WriteFile(filepath.Join(c.scratch, offsetFile), fmt.Append(nil, number), 0o644); err != nil {
			c.log.WithError(err).Warn("parts could not be numbered on the disk")
		}
	}
	c.file, c.scratch = file, directory
	c.mu.Lock()
	for n := range c.parts {
		c.parts[n].Key = c.storage.Key(localName{number: number + n + 1, container: c.parts[n].Container}.partOf(file))
	}
	c.mu.Unlock()
	for _, p := range c.unnamed {
		p.name = localName{number: number + p.index + 1, container: string(p.part.Container)}.partOf(file)
		later := p.tail.(*unnamed)
		later.tail = c.storage.Begin(p.part.Path, p.name, string(p.part.Container))
		close(later.decided)
	}
	c.number, c.unnamed = c.number+number, nil
}

// abandon drops the parts that have no name: nobody wants them.
func (c *composer) abandon() {
	c.unwanted = true
	for _, p := range c.unnamed {
		close(p.tail.(*unnamed).decided)
	}
	c.unnamed = nil
}

// tail begins to store a part, or will when it has a name.
func (c *composer) tail(p *openPart) Tail {
	if p.name != "" {
		return c.storage.Begin(p.part.Path, p.name, string(p.part.Container))
	}
	later := &unnamed{decided: make(chan struct{})}
	if c.unwanted {
		close(later.decided)
	} else {
		c.unnamed = append(c.unnamed, p)
	}
	return later
}
