package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Directory keeps finished files in a local directory: the way to record without any bucket.
type Directory struct{ Root string }

// Move is one file on its way into the directory.
type Move struct {
	root string
	path string
	name string
}

// Key is where a file with that name goes, below the directory.
func (d *Directory) Key(name string) string { return name }

// Begin notes where the file at path will go when it is finished.
func (d *Directory) Begin(path, name, _ string) *Move {
	return &Move{root: d.Root, path: path, name: name}
}

// Finish moves the file to its place, where it appears whole or not at all, and never in place of another one: if there
// is one, it gets an extra name, FILE.rest.EXT. It returns the name and the size in bytes. It may be called again until
// it succeeds. [ErrEmpty] says that the file has no bytes.
func (m *Move) Finish(context.Context) (name string, size int64, err error) {
	info, err := os.Stat(m.path)
	if err != nil {
		return "", 0, fmt.Errorf("look at finished file: %w", err)
	}
	if info.Size() == 0 {
		return "", 0, fmt.Errorf("move %s: %w", m.name, ErrEmpty)
	}

	for n := 0; n <= mostRests; n++ {
		name = m.name
		if n > 0 {
			name = restName(m.name, n)
		}
		there, err := m.place(filepath.Join(m.root, filepath.FromSlash(name)))
		if err != nil {
			return "", 0, fmt.Errorf("move finished file: %w", err)
		}
		if there {
			return name, info.Size(), nil
		}
	}
	return "", 0, fmt.Errorf("move finished file: %d names of %s are taken", mostRests+1, m.name)
}

// Broken is never so: nothing happens while the file grows.
func (m *Move) Broken() bool { return false }

// Torn is never so: nothing is given back before the whole is where it belongs.
func (m *Move) Torn() bool { return false }

// Leave leaves the file where it is.
func (m *Move) Leave() {}

// place moves the file to a target, unless there is another one.
func (m *Move) place(target string) (bool, error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return false, err
	}

	err := os.Link(m.path, target)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = copyTo(m.path, target) // on another file system, or one without links
	}
	if errors.Is(err, fs.ErrExist) {
		same, err := sameContent(m.path, target)
		if err != nil || !same {
			return false, err
		}
	} else if err != nil {
		return false, err
	}

	// Only this may have failed the last time.
	return true, os.Remove(m.path)
}

// copyTo makes a file of the same content appear at target, unless there is one.
func copyTo(path, target string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(target), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(to.Name()) // what is still there

	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Chmod(0o644), to.Sync(), to.Close()); err != nil {
		return err
	}

	err = os.Link(to.Name(), target)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fs.ErrExist, err)
	}
	return os.Rename(to.Name(), target)
}

// sameContent compares two files.
func sameContent(a, b string) (bool, error) {
	x, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer y.Close()

	const size = 1 << 16
	left, right := make([]byte, size), make([]byte, size)
	for {
		n, errLeft := io.ReadFull(x, left)
		m, errRight := io.ReadFull(y, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		if errLeft != nil || errRight != nil {
			return ended(errLeft) && ended(errRight), errors.Join(failure(errLeft), failure(errRight))
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func failure(err error) error {
	if ended(err) {
		return nil
	}
	return err
}
