package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Directory keeps finished files in a local directory: the way to record without any bucket.
type Directory struct{ Root string }

// Move is one file on its way into the directory.
type Move struct{ path, target string }

// Key is where a file with that name goes, below the directory.
func (d *Directory) Key(name string) string { return name }

// Begin notes where the file at path will go when it is finished.
func (d *Directory) Begin(path, name, _ string) *Move {
	return &Move{path: path, target: filepath.Join(d.Root, filepath.FromSlash(name))}
}

// Finish moves the file to its place, where it appears whole or not at all. It returns its size in bytes.
func (m *Move) Finish(context.Context) (int64, error) {
	info, err := os.Stat(m.path)
	if err != nil {
		return 0, fmt.Errorf("look at finished file: %w", err)
	}
	if info.Size() == 0 {
		return 0, errors.New("nothing was written")
	}
	if err := os.MkdirAll(filepath.Dir(m.target), 0o755); err != nil {
		return 0, fmt.Errorf("move finished file: %w", err)
	}
	err = os.Rename(m.path, m.target)
	if errors.Is(err, syscall.EXDEV) {
		err = copyThenRemove(m.path, m.target)
	}
	if err != nil {
		return 0, fmt.Errorf("move finished file: %w", err)
	}
	return info.Size(), nil
}

// copyThenRemove moves a file to another file system.
func copyThenRemove(path, target string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(target + ".new")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return errors.Join(err, os.Remove(target+".new"))
	}
	return errors.Join(os.Rename(target+".new", target), os.Remove(path))
}
