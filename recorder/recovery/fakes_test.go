package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

var errAway = errors.New("the bucket is away")

// bucket keeps media files in memory. What recorders had uploaded of a file before they disappeared becomes a file when
// it is recovered.
type bucket struct {
	tags     map[string]map[string]string // of files, by key
	mu       sync.Mutex
	objects  map[string]string // by key
	begun    map[string]string
	away     bool
	repaired string // the tag of what another recorder has repaired
	taken    bool   // whatever is stored gets an extra name
	gone     error  // what storing a repaired file answers
	given    int    // replacements that were given up
	tidied   []string
	// before is called before each call, without the lock.
	before func(call string)
}

// call does something unless the bucket is away.
func (b *bucket) call(name string, do func() error) error {
	b.before(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errAway
	}
	return do()
}

func (b *bucket) set(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

// stored are the files that are there, by key.
func (b *bucket) stored() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.objects)
}

func (b *bucket) Key(name string) string { return "media/" + name }

func (b *bucket) Begin(_ logrus.FieldLogger, path, name, _ string) parts.Upload {
	return &storing{b, path, name}
}

func (b *bucket) Resume(_ context.Context, _ logrus.FieldLogger, path, name, _ string) (parts.Upload, error) {
	return &storing{b, path, name}, b.call("resume", func() error { return nil })
}

func (b *bucket) Recover(_ context.Context, name, _ string) (found upload.Recovered, err error) {
	err = b.call("recover", func() error {
		key := b.Key(name)
		if body, ok := b.begun[key]; ok {
			b.objects[key] = body
			delete(b.begun, key)
		}
		body, ok := b.objects[key]
		if !ok {
			return fmt.Errorf("recover: %w", upload.ErrNotFound)
		}
		found = upload.Recovered{Size: int64(len(body)), Tag: body, Repaired: b.repaired}
		return nil
	})
	return found, err
}

func (b *bucket) Read(_ context.Context, name, tag string, p []byte, offset int64) error {
	return b.call("read", func() error {
		body := b.objects[b.Key(name)]
		if body != tag {
			return fmt.Errorf("read: %w", upload.ErrChanged)
		}
		copy(p, body[offset:])
		return nil
	})
}

func (b *bucket) Replace(_ context.Context, path, name, _, tag string) (Replacement, error) {
	r := &replacement{bucket: b, path: path, key: b.Key(name), tag: tag}
	return r, b.call("begin", func() error { return r.check() })
}

func (b *bucket) Tag(_ context.Context, key string, labels map[string]string) error {
	return b.call("tag", func() error {
		if b.tags == nil {
			b.tags = map[string]map[string]string{}
		}
		b.tags[key] = labels
		return nil
	})
}

func (b *bucket) Sweep(context.Context) error { return nil }

func (b *bucket) Tidy(_ context.Context, name string) error {
	return b.call("tidy", func() error {
		b.tidied = append(b.tidied, name)
		return nil
	})
}

// replacement is a repaired file on its way into the bucket.
type replacement struct {
	*bucket
	path, key, tag string
}

// partSize is how much is read at once, so that every file is read in several chunks.
const partSize = 2

func (r *replacement) check() error {
	if r.objects[r.key] != r.tag {
		return fmt.Errorf("replace: %w", upload.ErrChanged)
	}
	return nil
}

func (r *replacement) PartSize() int64 { return partSize }

func (r *replacement) Advance(context.Context) error {
	return r.call("advance", func() error { return r.gone })
}

func (r *replacement) Finish(context.Context) (size int64, err error) {
	err = r.call("replace", func() error {
		body, err := os.ReadFile(r.path)
		if err != nil {
			return err
		}
		if len(body) == 0 {
			return fmt.Errorf("replace: %w", upload.ErrEmpty)
		}
		if err := r.check(); err != nil {
			return err
		}
		r.objects[r.key], size = string(body), int64(len(body))
		return nil
	})
	return size, err
}

func (r *replacement) Close(_ context.Context, done bool) error {
	return r.call("close", func() error {
		if !done {
			r.given++
		}
		return nil
	})
}

// Begun implements [Storage].
func (b *bucket) Begun(_ context.Context, file string) (names []string, err error) {
	err = b.call("begun", func() error {
		for key := range b.begun {
			name := strings.TrimPrefix(key, b.Key(""))
			if document.IsPart(file, name) {
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}

// Stored implements [Storage].
func (b *bucket) Stored(_ context.Context, file string) (sizes map[string]int64, err error) {
	sizes = map[string]int64{}
	err = b.call("stored", func() error {
		for key, body := range b.objects {
			if name := strings.TrimPrefix(key, b.Key("")); document.IsPart(file, name) {
				sizes[name] = int64(len(body))
			}
		}
		return nil
	})
	return sizes, err
}

// storing is a file on its way into the bucket.
type storing struct {
	*bucket
	path, name string
}

func (s *storing) Broken() bool { return false }
func (s *storing) Torn() bool   { return false }
func (s *storing) Leave()       {}

func (s *storing) Finish(context.Context) (name string, size int64, err error) {
	name = s.name
	err = s.call("finish", func() error {
		body, err := os.ReadFile(s.path)
		if err != nil {
			return err
		}
		if s.taken {
			name = filepath.Join(filepath.Dir(name), "rest-"+filepath.Base(name))
		}
		s.objects[s.Key(name)], size = string(body), int64(len(body))
		return os.Remove(s.path)
	})
	return name, size, err
}

// small is a disk that has so many bytes left.
type small struct {
	scratch.OS
	mu   sync.Mutex
	free int64
}

func (s *small) Measure(string) (scratch.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return scratch.Usage{Free: s.free}, nil
}

func (s *small) set(free int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = free
}

// site is a recorder with its disk, and a bucket.
type site struct {
	*Recovery
	bucket *bucket
	disk   *small
	told   []document.Recording
	sent   []command.Command
	unsent bool // notices cannot be sent
}

// repairedLength is how long every file is that has been repaired.
const repairedLength = 3 * time.Second

func newSite(t *testing.T) *site {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := &site{disk: &small{free: 1 << 40}}
	s.bucket = &bucket{objects: map[string]string{}, begun: map[string]string{}, before: func(string) {}}
	root, store := t.TempDir(), &ledger.DirStore{Root: t.TempDir()}
	s.Recovery = (&Recovery{
		Storage:   s.bucket,
		Documents: ledger.Documents{Store: store},
		Ledger:    &ledger.Ledger{Store: store},
		Disk:      s.disk,
		Root:      root,
		Work:      t.TempDir(),
		Repair:    repair,
		New: func(c command.Command) (document.Recording, string) {
			return document.NewRecording(c).Owned("this recorder", "bucket", 0), "a/name"
		},
		Send: func(_ context.Context, c command.Command) error {
			s.sent = append(s.sent, c)
			return nil
		},
		Tell: func(ctx context.Context, about document.Recording) error {
			if s.unsent {
				return errAway
			}
			r, err := s.Documents.ByID(ctx, about.ID)
			if about.Final() {
				s.told = append(s.told, r)
			}
			return err
		},
		Log: log,
	}).Init()
	return s
}

// repair puts an index behind a file.
func repair(_ context.Context, from io.Reader, repaired, _ string) (mux.Repaired, error) {
	body, err := io.ReadAll(from)
	if err != nil {
		return mux.Repaired{}, fmt.Errorf("repair: %w", err)
	}
	made := mux.Repaired{Length: repairedLength, Torn: bytes.Contains(body, []byte("hole"))}
	return made, os.WriteFile(repaired, append(body, "+index"...), 0o600)
}

// start is a start that another recorder had got.
func start() command.Command { return command.NewStart("room", "alice", time.Now()) }

// leave makes the directory of a recorder that was killed on this disk, with its attempt at a recording.
func (s *site) leave(t *testing.T, note scratch.Note, files ...string) scratch.Directory {
	t.Helper()
	dead, err := scratch.Open(s.Disk, s.Root, "dead")
	require.NoError(t, err)
	defer func() { _ = dead.Close() }() // which cannot remove it
	d := dead.Attempt(note.Start.Recording, 1)
	require.NoError(t, d.Make(note))
	for _, name := range files {
		write(t, d.File(name), "media")
	}
	return d
}

// write writes a file by the clock of the bubble.
func write(t *testing.T, path, body string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(body), 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now()))
}

// claimed is a recording that a recorder has, with that many attempts before it.
func (s *site) claimed(t *testing.T, c command.Command, owners ...string) document.Recording {
	t.Helper()
	recording, file := s.New(c)
	for _, owner := range owners {
		grant, err := s.Ledger.Bid(t.Context(), ledger.Bid{Start: c, Owner: owner, Attempt: owner, At: time.Now()})
		require.NoError(t, err)
		recording = recording.Owned(owner, "bucket", grant.Epoch)
	}
	recording, err := s.Documents.Reserve(t.Context(), recording, file)
	require.NoError(t, err)
	return recording
}

// document is what is written down of a recording.
func (s *site) document(t *testing.T, c command.Command) document.Recording {
	t.Helper()
	r, err := s.Documents.ByID(t.Context(), c.Recording)
	require.NoError(t, err)
	return r
}

// pass lets time pass, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// running plays a story while the recovery of this disk runs.
func running(t *testing.T, play func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		go s.Run(t.Context())
		play(t, s)
	})
}
