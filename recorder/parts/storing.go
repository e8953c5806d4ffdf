package parts

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/retry"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
)

const (
	// closeTimeout bounds the finishing of a file: an index is written, and nothing grows with the recording's length.
	closeTimeout = 30 * time.Second
	// hurriedClose is what is left of that when everything has to end.
	hurriedClose = 3 * time.Second
)

// storing keeps the files of one recording's parts, from where they grow to where they are kept. One goroutine owns it,
// and each part that has ended has one of its own until it is stored.
type storing struct {
	config Config
	list   list
	names

	broken atomic.Bool // a panic has kept a part from being stored

	mu    sync.Mutex // guards what follows, and the beginning of uploads against their being left
	ended []*held
}

// held is the file of one part, until it is stored.
type held struct {
	n         int // in the list, from 0
	number    int // in names, from 1
	path      string
	container string
	file      File // nil if it could not be opened

	named  chan struct{} // closed when the part has a name, and these:
	name   string
	upload Upload

	done chan struct{} // closed when it is stored, or this recorder will not do that, and this is set:
	left error         // why it stays on the disk
}

func newStoring(config Config) *storing {
	return &storing{config: config, list: list{changed: config.Changed}}
}

// begin opens the file of a new part. A part for which that fails is in the list all the same.
func (s *storing) begin(streams []mux.Stream, startedAt time.Time) (*held, error) {
	s.number++
	h := &held{
		number:    s.number,
		container: string(mux.ContainerOf(streams)),
		named:     make(chan struct{}),
		done:      make(chan struct{}),
	}
	err := s.open(h, streams)

	started := startedAt.UTC()
	part := document.Part{
		Container: h.container,
		State:     s.state(),
		StartedAt: &started,
		Tracks:    []document.TrackReport{},
	}
	if err != nil {
		part.State, part.Reason = document.Failed, err.Error()
		metrics.Parts.With("failed").Inc()
	}
	if s.file != "" {
		h.name = s.nameOf(h)
		part.Key = s.config.Key(h.name)
	}
	h.n = s.list.add(part)

	s.await(h)
	if err == nil {
		s.log(h).WithField("key", part.Key).Info("part begun")
	}
	return h, err
}

func (s *storing) open(h *held, streams []mux.Stream) error {
	directory, err := s.config.Directory()
	if err != nil {
		return err
	}

	h.path = filepath.Join(directory, scratch.LocalName{Number: h.number, Container: h.container}.String())
	file, err := s.config.Open(h.path, streams)
	if err != nil {
		return err
	}
	h.file = file
	return nil
}

// end lets a part be finished and stored.
func (s *storing) end(h *held) {
	s.mu.Lock()
	s.ended = append(s.ended, h)
	s.mu.Unlock()

	go func() { // until the part is stored or the context ends, for which wait waits
		defer close(h.done)
		if err := guard.Run(s.log(h), "store a part", func() { h.left = s.finish(h) }); err != nil {
			h.left = err
		}
		if h.left != nil {
			metrics.Parts.With("left").Inc()
			s.leave(h)
		}
	}()
}

// leave leaves the file of a part on the disk, for whoever finds it.
func (s *storing) leave(h *held) {
	if errors.Is(h.left, guard.ErrPanic) {
		s.broken.Store(true)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if h.upload != nil {
		_ = guard.Run(s.log(h), "leave a part", h.upload.Leave) // has been logged
	}
}

func (s *storing) wait(ctx context.Context) (err error) {
	s.mu.Lock()
	ended := slices.Clone(s.ended)
	s.mu.Unlock()

	for _, h := range ended {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.done:
		}
		if h.left != nil {
			err = h.left
		}
	}
	return err
}

// finish finishes a part's file and stores it. The error says why the file stays on the disk.
func (s *storing) finish(h *held) error {
	broken := s.closeFile(h)

	name, size, err := s.store(h)
	switch {
	case err != nil && s.config.Context.Err() != nil:
		s.log(h).WithError(err).Warn("part is not stored, its file stays on the disk")
		return s.config.Context.Err()
	case errors.Is(err, guard.ErrPanic):
		s.log(h).WithError(err).Error("part is not stored, its file stays on the disk")
		return err
	case err != nil:
		s.log(h).WithError(err).Error("part could not be stored")
		h.upload.Leave()
		metrics.Parts.With("failed").Inc()
		s.list.change(h.n, func(part *document.Part) {
			part.State, part.Reason = document.Failed, "upload failed: "+errors.Unwrap(err).Error()
		})
		return nil
	}

	return s.conclude(h, name, size, broken)
}

// closeFile finishes the file on the disk, and returns why that was not possible. It goes on for a moment after the
// context has ended: a whole file is worth more to whoever finds it.
func (s *storing) closeFile(h *held) error {
	ctx, cancel := retry.WithGrace(s.config.Context, closeTimeout, hurriedClose)
	defer cancel()
	err := h.file.Close(ctx)
	if err != nil {
		s.log(h).WithError(err).Error("ffmpeg failed, keeping what it wrote")
	} else if complaints := h.file.Complaints(); complaints != "" {
		s.log(h).WithField("ffmpeg", complaints).Warn("ffmpeg complained")
	}
	return err
}

// store finishes the upload, once the part has a name. It tries that again until it succeeds or the context ends, but
// not if there is no file: ffmpeg may have failed before it could make one.
func (s *storing) store(h *held) (name string, size int64, err error) {
	ctx := s.config.Context
	select {
	case <-ctx.Done():
	case <-h.named:
	}
	if ctx.Err() != nil {
		return "", 0, ctx.Err()
	}

	err = retry.Until(ctx, s.log(h), "store part", func(ctx context.Context) (err error) {
		name, size, err = h.upload.Finish(ctx)
		return err
	}, fs.ErrNotExist, guard.ErrPanic)
	return name, size, err
}

// conclude says what has become of a part that is stored under that name. Broken is why its file could not be finished.
// The error says that it has no index yet: it is not said to be complete then, and whoever takes the recording over
// finds it in the bucket.
func (s *storing) conclude(h *held, name string, size int64, broken error) error {
	part := s.list.get(h.n)
	part.State, part.Size = document.Completed, size
	if name != h.name {
		part.Key = s.config.Key(name)
	}
	if broken != nil && part.Reason == "" {
		part.Reason = broken.Error()
	}
	if broken != nil || h.upload.Torn() {
		err := retry.Until(s.config.Context, s.log(h), "give file an index", func(ctx context.Context) error {
			return s.config.Repair(ctx, &part, name)
		})
		if err != nil {
			s.log(h).WithError(err).Warn("part is stored, but has no index yet")
			return err
		}
	}

	log := s.log(h).WithFields(logrus.Fields{"key": part.Key, "bytes": part.Size})
	if name == h.name {
		log.Info("part stored")
		metrics.Parts.With("stored").Inc()
		s.list.change(h.n, func(p *document.Part) { *p = part })
		return nil
	}
	log.Warn("part stored as an extra file, another recorder has made one of what had been stored of it")
	metrics.Parts.With("extra").Inc()
	s.list.leave(h.n)
	s.list.add(part)
	return nil
}

func (s *storing) log(h *held) logrus.FieldLogger {
	return s.config.Log.WithFields(logrus.Fields{"part": h.number, "file": h.path})
}
