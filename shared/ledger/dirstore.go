package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// DirStore keeps the objects as files below a directory: the recorder's way of working without any bucket. One
// process only: its conditions are kept by a lock of that process.
type DirStore struct {
	Root string

	mu sync.Mutex
}

// Get implements [Store].
func (d *DirStore) Get(_ context.Context, key string) ([]byte, string, error) {
	body, err := os.ReadFile(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return nil, "", fmt.Errorf("get object: %w", err)
	}
	return body, contentTag(body), nil
}

// Put implements [Store]. The file appears whole or not at all.
func (d *DirStore) Put(ctx context.Context, key string, body []byte, tag string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, current, err := d.Get(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}

	if current != tag {
		return "", fmt.Errorf("put %s: %w", key, ErrConflict)
	}

	path := d.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("put object: %w", err)
	}
	making := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new") // no name of a recording begins with a dot
	if err := os.WriteFile(making, body, 0o644); err != nil {
		return "", fmt.Errorf("put object: %w", err)
	}

	if err := os.Rename(making, path); err != nil {
		return "", fmt.Errorf("put object: %w", err)
	}
	return contentTag(body), nil
}

// List implements [Store].
func (d *DirStore) List(_ context.Context, prefix, after string, limit int) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(d.path(filepath.Dir(prefix+"x")), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.Root, path)
		if key := filepath.ToSlash(name); err == nil && strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}

	slices.Sort(keys) // a directory's content comes behind what has the same name and more, "a/x" behind "a-b"
	return keys[:min(limit, len(keys))], nil
}

func (d *DirStore) path(key string) string { return filepath.Join(d.Root, filepath.FromSlash(key)) }

func contentTag(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
