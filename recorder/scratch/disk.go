// Package scratch is the local disk on which files grow until they are stored: who owns which directory of it, how
// much of it is left, and what a recorder that was killed has left behind.
package scratch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is the local disk. [OS] is this machine's; simulations have one in memory.
type Disk interface {
	// MakeDirectory makes a directory and its parents, unless they are there.
	MakeDirectory(path string) error
	// Write makes a small file appear, whole or not at all, in place of any earlier one.
	Write(path string, body []byte) error
	// Read returns a small file, or [io/fs.ErrNotExist].
	Read(path string) ([]byte, error)
	// List returns what is in a directory, by name; nothing if it is not there.
	List(directory string) ([]Entry, error)
	// Rename gives a file or directory another name, in place of any file of that name.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// Open opens a file to read from it and to release its space, or returns [io/fs.ErrNotExist].
	Open(path string) (File, error)
	// Create begins a file, in place of any earlier one.
	Create(path string) (io.WriteCloser, error)
	// Lock takes a lock that only one process can have, and loses when it ends. It is [ErrLocked] at once if another one
	// has it.
	Lock(path string) (unlock func(), err error)
	// Measure tells how much the files below a directory take, without their holes, and how much of its disk is left.
	Measure(directory string) (Usage, error)
}

// ErrLocked says that another process has a lock.
var ErrLocked = errors.New("another process has it")

// File is a file that may still grow.
type File interface {
	io.ReaderAt
	io.Closer
	// Size is how many bytes it has at the moment.
	Size() (int64, error)
	// Release gives the disk space of a range back, which reads as zeros from then on. A file system that cannot do that
	// keeps it.
	Release(offset, length int64)
}

// Entry is a file or directory in a directory.
type Entry struct {
	Name      string
	Directory bool
	Modified  time.Time
}

// Usage is how a disk is used, in bytes.
type Usage struct {
	Used  int64 // by the files below the directory
	Free  int64 // on the disk
	Total int64 // of the disk
}

// OS is the disk of this machine.
type OS struct{}

// MakeDirectory implements [Disk].
func (OS) MakeDirectory(path string) error { return os.MkdirAll(path, 0o755) }

// Write implements [Disk].
func (OS) Write(path string, body []byte) error {
	if err := os.WriteFile(path+".new", body, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Read implements [Disk].
func (OS) Read(path string) ([]byte, error) { return os.ReadFile(path) }

// List implements [Disk].
func (OS) List(directory string) ([]Entry, error) {
	found, err := os.ReadDir(directory)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}

	var entries []Entry
	for _, e := range found {
		info, err := e.Info()
		if err != nil {
			continue // it has gone meanwhile
		}
		entries = append(entries, Entry{Name: e.Name(), Directory: e.IsDir(), Modified: info.ModTime()})
	}
	return entries, nil
}

// Rename implements [Disk].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [Disk].
func (OS) Remove(path string) error { return os.Remove(path) }

// Open implements [Disk].
func (OS) Open(path string) (File, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{file}, nil
}

// Create implements [Disk].
func (OS) Create(path string) (io.WriteCloser, error) { return os.Create(path) }

// Lock implements [Disk].
func (OS) Lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written to it
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil // gives up the lock
}

// Measure implements [Disk].
func (OS) Measure(directory string) (Usage, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(directory, &disk); err != nil {
		return Usage{}, fmt.Errorf("measure %s: %w", directory, err)
	}

	now := Usage{Free: int64(disk.Bavail) * disk.Bsize, Total: int64(disk.Blocks) * disk.Bsize}
	_ = filepath.WalkDir(directory, func(path string, _ os.DirEntry, _ error) error { // what goes meanwhile does not count
		var stat unix.Stat_t
		if unix.Lstat(path, &stat) == nil {
			now.Used += stat.Blocks * 512
		}
		return nil
	})
	return now, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Release(offset, length int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
}
