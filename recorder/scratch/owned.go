package scratch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"livekit-recorder/shared/command"
)

// The scratch directory has a directory for each recorder, locked while it lives, and in it one for each of its
// attempts at a recording, with a note of what it is and its growing files:
//
//	RECORDER/.lock
//	RECORDER/RECORDING.ATTEMPT/note.json
//	RECORDER/RECORDING.ATTEMPT/partN.EXTENSION
const (
	lockFile = ".lock"
	noteFile = "note.json"
	// newPrefix hides a directory that has no lock yet.
	newPrefix = ".new-"
)

// Owned is the directory of one recorder, which has its lock.
type Owned struct {
	// Path is where it is.
	Path string

	disk   Disk
	unlock func()
}

// Open makes the directory of a recorder below root. It gets its name when it is locked: another recorder that starts
// on this disk would take it for a dead one's.
func Open(disk Disk, root, recorder string) (*Owned, error) {
	unlocked := filepath.Join(root, newPrefix+recorder)
	if err := disk.MakeDirectory(unlocked); err != nil {
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	unlock, err := disk.Lock(filepath.Join(unlocked, lockFile))
	if err != nil {
		return nil, fmt.Errorf("lock scratch directory: %w", err)
	}

	o := &Owned{Path: filepath.Join(root, recorder), disk: disk, unlock: unlock}
	if err := disk.Rename(unlocked, o.Path); err != nil {
		unlock()
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	return o, nil
}

// Close gives the directory up. It stays if files are left in it that could not be stored: another recorder on this
// disk will do so. That is the error.
func (o *Owned) Close() error {
	entries, err := o.disk.List(o.Path)
	for _, e := range entries {
		if !e.Directory { // the lock, and what a repair that was cut off has left
			err = errors.Join(err, o.disk.Remove(filepath.Join(o.Path, e.Name)))
		}
	}
	o.unlock()
	if err = errors.Join(err, o.disk.Remove(o.Path)); err != nil {
		return fmt.Errorf("remove scratch directory: %w", err)
	}
	return nil
}

// Abandoned takes over the directories of recorders below root that have ended, one after the other. Each is given up
// again when visit returns, and removed if nothing is left in it. The error says which ones it could not take over.
func Abandoned(disk Disk, root string, visit func(*Owned)) (all error) {
	entries, err := disk.List(root)
	if err != nil {
		return fmt.Errorf("list scratch directories: %w", err)
	}

	for _, e := range entries {
		if !e.Directory || strings.HasPrefix(e.Name, ".") {
			continue
		}
		path := filepath.Join(root, e.Name)
		unlock, err := disk.Lock(filepath.Join(path, lockFile))
		if errors.Is(err, ErrLocked) {
			continue // its recorder lives
		}
		if err != nil {
			all = errors.Join(all, err)
			continue
		}
		owned := &Owned{Path: path, disk: disk, unlock: unlock}
		visit(owned)
		_ = owned.Close() // what could not be stored stays, and has been reported
	}
	return all
}

// Note says what lies in a directory.
type Note struct {
	Start command.Command `json:"start"`
	// File is the recording's file name, and Epoch the number of the attempt; empty and 0 before the bucket has
	// answered.
	File  string `json:"file,omitempty"`
	Epoch int    `json:"epoch,omitempty"`
	// Orphan says that nobody else has the recording: whoever has stored the files sees to it that somebody gets it.
	Orphan bool `json:"orphan,omitempty"`
}

// Directory is where the files of one attempt at a recording grow.
type Directory struct {
	Path string

	disk Disk
}

// Attempt returns the directory of this recorder's attempt at a recording; it is not made yet.
func (o *Owned) Attempt(recording string, attempt int) Directory {
	return Directory{Path: filepath.Join(o.Path, recording+"."+strconv.Itoa(attempt)), disk: o.disk}
}

// Attempts returns all directories that there are.
func (o *Owned) Attempts() (all []Directory, err error) {
	entries, err := o.disk.List(o.Path)
	if err != nil {
		return nil, fmt.Errorf("list scratch directory: %w", err)
	}
	for _, e := range entries {
		if e.Directory {
			all = append(all, Directory{Path: filepath.Join(o.Path, e.Name), disk: o.disk})
		}
	}
	return all, nil
}

// Make makes the directory, if it is not there yet, and notes what it is.
func (d Directory) Make(n Note) error {
	if err := d.disk.MakeDirectory(d.Path); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode note: %w", err)
	}
	if err := d.disk.Write(filepath.Join(d.Path, noteFile), body); err != nil {
		return fmt.Errorf("write note: %w", err)
	}
	return nil
}

// Note reads what the directory is.
func (d Directory) Note() (n Note, err error) {
	body, err := d.disk.Read(filepath.Join(d.Path, noteFile))
	if err != nil {
		return n, fmt.Errorf("read note: %w", err)
	}
	if err := json.Unmarshal(body, &n); err != nil {
		return n, fmt.Errorf("read note: %w", err)
	}
	return n, nil
}

// Parts returns the names of the media files, in order of their numbers.
func (d Directory) Parts() (files []LocalName, err error) {
	entries, err := d.disk.List(d.Path)
	if err != nil {
		return nil, fmt.Errorf("list scratch directory: %w", err)
	}
	for _, e := range entries {
		if n, ok := ParseLocalName(e.Name); ok {
			files = append(files, n)
		}
	}
	return files, nil
}

// File is where a file in the directory is.
func (d Directory) File(name string) string { return filepath.Join(d.Path, name) }

// Clear removes the directory, unless a media file is left in it: that is the error.
func (d Directory) Clear() error {
	files, err := d.Parts()
	switch {
	case err != nil:
		return err
	case len(files) > 0:
		return fmt.Errorf("remove scratch directory: %s has not been stored", d.File(files[0].String()))
	}

	return d.Drop()
}

// Drop removes the directory with everything in it.
func (d Directory) Drop() error {
	entries, err := d.disk.List(d.Path)
	if err != nil {
		return fmt.Errorf("list scratch directory: %w", err)
	}
	for _, e := range entries {
		err = errors.Join(err, d.disk.Remove(d.File(e.Name)))
	}
	if removeErr := d.disk.Remove(d.Path); !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	if err != nil {
		return fmt.Errorf("remove scratch directory: %w", err)
	}
	return nil
}
