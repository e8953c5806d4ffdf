package parts

import "livekit-recorder/shared/document"

// names are the names of a recording's parts, and what is to be said of those that begin.
type names struct {
	file     string // the recording's name, without extension; empty until it has one
	epoch    int    // of the recording's owner
	number   int    // of the newest part, from 1
	unnamed  []*held
	draining bool
}

// nameOf is what a part is called where it is stored.
func (n *names) nameOf(h *held) string {
	return document.PartName(n.file, n.epoch, h.number, h.container)
}

// state is that of a part that begins.
func (n *names) state() document.State {
	if n.draining {
		return document.Draining
	}
	return document.Active
}

// await begins to store a part that has a name. The file of one that has none grows on the disk until it gets one.
func (s *storing) await(h *held) {
	if h.name == "" {
		s.unnamed = append(s.unnamed, h)
		return
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.Context.Err() != nil {
		return // nobody waits for the name any more
	}
	if h.file != nil {
		h.upload = s.config.Begin(h.path, h.name, h.container)
	}
	close(h.named)
}

// giveNames gives names to the parts that have none, and those that follow.
func (s *storing) giveNames(file string, epoch int) {
	s.file, s.epoch = file, epoch
	unnamed := s.unnamed
	s.unnamed = nil

	for _, h := range unnamed {
		h.name = s.nameOf(h)
		s.list.change(h.n, func(part *document.Part) { part.Key = s.config.Key(h.name) })
		s.await(h)
	}
}

// drain marks the parts that are not stored yet, and those that follow.
func (s *storing) drain() {
	s.draining = true
	s.list.drain()
}
