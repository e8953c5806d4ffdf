package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

var errAway = errors.New("the bucket is away")

// bucket keeps entries and documents in a directory, and media files in memory.
type bucket struct {
	ledger.Store

	mu      sync.Mutex
	objects map[string]int    // sizes of media files, by key
	growing map[string]string // paths of those that are on their way: everything of them is in the bucket at once
	tags    map[string]map[string]string
	away    bool
	pause   time.Duration // before each answer
	silent  time.Time     // until when there is none
	calls   int
	reads   func(key string) error // is asked before anything is read
	writes  func(key string)       // is told before anything is written
}

func newBucket(root string) *bucket {
	return &bucket{
		Store:   &ledger.DirStore{Root: root},
		objects: map[string]int{},
		growing: map[string]string{},
		tags:    map[string]map[string]string{},
	}
}

func (b *bucket) set(change func(b *bucket)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

// silence makes the bucket answer nothing for a while.
func (b *bucket) silence(length time.Duration) {
	b.set(func(b *bucket) { b.silent = time.Now().Add(length) })
}

// media are the files that are there, with their sizes.
func (b *bucket) media() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.objects)
}

// call takes its time, and fails while the bucket is away.
func (b *bucket) call(ctx context.Context) error {
	b.mu.Lock()
	b.calls++
	wait, away := max(b.pause, time.Until(b.silent)), b.away
	b.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	if away {
		return errAway
	}
	return ctx.Err()
}

func (b *bucket) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := b.call(ctx); err != nil {
		return nil, "", err
	}
	if b.reads != nil {
		if err := b.reads(key); err != nil {
			return nil, "", err
		}
	}
	return b.Store.Get(ctx, key)
}

func (b *bucket) Put(ctx context.Context, key string, body []byte, tag string) (string, error) {
	if err := b.call(ctx); err != nil {
		return "", err
	}
	if b.writes != nil {
		b.writes(key)
	}
	return b.Store.Put(ctx, key, body, tag)
}

func (b *bucket) Key(name string) string { return name }

func (b *bucket) Begin(_ logrus.FieldLogger, path, name, _ string) parts.Upload {
	b.set(func(b *bucket) { b.growing[name] = path })
	return &storing{b, path, name}
}

func (b *bucket) Resume(_ context.Context, log logrus.FieldLogger, path, name, container string) (parts.Upload, error) {
	return b.Begin(log, path, name, container), nil
}

func (b *bucket) Begun(ctx context.Context, file string) (names []string, err error) {
	if err := b.call(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.growing {
		if document.IsPart(file, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (b *bucket) Stored(ctx context.Context, file string) (sizes map[string]int64, err error) {
	if err := b.call(ctx); err != nil {
		return nil, err
	}
	sizes = map[string]int64{}
	for name, size := range b.media() {
		if document.IsPart(file, name) {
			sizes[name] = int64(size)
		}
	}
	return sizes, nil
}

func (b *bucket) Recover(ctx context.Context, name, _ string) (upload.Recovered, error) {
	if err := b.call(ctx); err != nil {
		return upload.Recovered{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if body, err := os.ReadFile(b.growing[name]); err == nil {
		b.objects[name] = len(body)
		delete(b.growing, name)
	}
	if _, ok := b.objects[name]; !ok {
		return upload.Recovered{}, upload.ErrNotFound
	}
	return upload.Recovered{Size: int64(b.objects[name])}, nil
}

func (b *bucket) Read(ctx context.Context, _, _ string, _ []byte, _ int64) error { return b.call(ctx) }

func (b *bucket) Replace(ctx context.Context, path, name, _, _ string) (recovery.Replacement, error) {
	return replacement{storing{b, path, name}}, b.call(ctx)
}

func (b *bucket) Tidy(ctx context.Context, _ string) error { return b.call(ctx) }

func (b *bucket) Tag(ctx context.Context, key string, labels map[string]string) error {
	if err := b.call(ctx); err != nil {
		return err
	}
	b.set(func(b *bucket) { b.tags[key] = labels })
	return nil
}

func (b *bucket) Sweep(ctx context.Context) error { return b.call(ctx) }

// replacement is a repaired file on its way into the bucket.
type replacement struct{ storing }

func (r replacement) PartSize() int64 { return 1 << 20 }

func (r replacement) Advance(ctx context.Context) error { return r.call(ctx) }

func (r replacement) Finish(ctx context.Context) (int64, error) {
	if err := r.call(ctx); err != nil {
		return 0, err
	}
	info, err := os.Stat(r.path)
	if err != nil {
		return 0, err
	}
	r.set(func(b *bucket) { b.objects[r.name] = int(info.Size()) })
	return info.Size(), nil
}

func (r replacement) Close(context.Context, bool) error { return nil }

// storing is a file on its way into the bucket.
type storing struct {
	*bucket
	path, name string
}

func (s *storing) Broken() bool { return false }
func (s *storing) Torn() bool   { return false }
func (s *storing) Leave()       {}

func (s *storing) Finish(ctx context.Context) (name string, size int64, err error) {
	if err := s.call(ctx); err != nil {
		return "", 0, err
	}
	body, err := os.ReadFile(s.path)
	if err != nil {
		return "", 0, err
	}
	s.set(func(b *bucket) {
		name = s.name
		if _, taken := b.objects[name]; taken {
			name = "rest of " + filepath.Base(name)
		}
		b.objects[name] = len(body)
		delete(b.growing, s.name)
	})
	return name, int64(len(body)), os.Remove(s.path)
}

// media is a file of frames, one behind the other.
type media struct{ *os.File }

func openMedia(path string, _ []mux.Stream) (parts.File, error) {
	file, err := os.Create(path)
	return media{file}, err
}

func (m media) Write(_ int, _ time.Duration, _ bool, data []byte) error {
	_, err := m.File.Write(data)
	return err
}

// Close ends the file, by the clock of the bubble.
func (m media) Close(context.Context) error {
	return errors.Join(m.File.Close(), os.Chtimes(m.Name(), time.Time{}, time.Now()))
}

func (m media) Complaints() string { return "" }

// repairedLength is how long every file is that has been repaired.
const repairedLength = 7 * time.Second

func repairMedia(_ context.Context, from io.Reader, repaired, _ string) (mux.Repaired, error) {
	body, err := io.ReadAll(from)
	if err != nil {
		return mux.Repaired{}, fmt.Errorf("repair: %w", err)
	}
	return mux.Repaired{Length: repairedLength}, os.WriteFile(repaired, append(body, "index"...), 0o600)
}
