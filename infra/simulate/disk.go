package simulate

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"livekit-recorder/recorder/scratch"
)

// diskSize is how large a machine's disk is, in bytes: more than everybody's frames of a run.
const diskSize = 1 << 30

// disk is a machine's disk in memory. It outlives the processes that use it, each through a [mount] of its own.
type disk struct {
	mu          sync.Mutex
	files       map[string]*file
	directories map[string]time.Time
	locks       map[string]*lock
	full        bool
	dropped     []dropped
}

// dropped is a media file that was removed, or written anew.
type dropped struct {
	name, by string
	frames   []stamp // that it had
}

// file is one file on it. Whoever has it open keeps it, when it is removed or has another name.
type file struct {
	data     []byte
	freed    []span // holes, in order
	modified time.Time
}

type span struct{ start, end int64 }

func newDisk() *disk {
	return &disk{files: map[string]*file{}, directories: map[string]time.Time{}, locks: map[string]*lock{}}
}

// setFull makes everything that is written fail from now on, or ends that.
func (d *disk) setFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

// names are the paths of all files, in order.
func (d *disk) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, 0, len(d.files))
	for name := range d.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// mount is a disk as one process sees it: dead processes get no further.
type mount struct {
	*disk
	process *process
}

var _ scratch.Disk = mount{}

// enter begins a call: it waits for ever if the process is dead, and takes the lock. It never blocks with the lock
// held.
func (m mount) enter() (leave func(), err error) {
	if err := m.process.alive(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	return m.mu.Unlock, nil
}

func missing(operation, name string) error {
	return &fs.PathError{Op: operation, Path: name, Err: fs.ErrNotExist}
}

func noSpace(name string) error { return &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC} }

// MakeDirectory implements [scratch.Disk].
func (m mount) MakeDirectory(directory string) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()

	for directory = path.Clean(directory); directory != "/" && directory != "."; directory = path.Dir(directory) {
		if _, ok := m.directories[directory]; !ok {
			m.directories[directory] = time.Now()
		}
	}
	return nil
}

// parent checks that the directory of a new file is there.
func (m mount) parent(name string) error {
	directory := path.Dir(name)
	if _, ok := m.directories[directory]; !ok && directory != "/" && directory != "." {
		return missing("open", name)
	}
	return nil
}

// Write implements [scratch.Disk].
func (m mount) Write(name string, body []byte) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()

	name = path.Clean(name)
	if m.full {
		return noSpace(name)
	}
	if err := m.parent(name); err != nil {
		return err
	}
	m.files[name] = &file{data: slices.Clone(body), modified: time.Now()}
	return nil
}

// Read implements [scratch.Disk].
func (m mount) Read(name string) ([]byte, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()

	f := m.files[path.Clean(name)]
	if f == nil {
		return nil, missing("read", name)
	}
	return slices.Clone(f.data), nil
}

// List implements [scratch.Disk].
func (m mount) List(directory string) ([]scratch.Entry, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()

	directory = path.Clean(directory)
	var entries []scratch.Entry
	for name, f := range m.files {
		if path.Dir(name) == directory {
			entries = append(entries, scratch.Entry{Name: path.Base(name), Modified: f.modified})
		}
	}
	for name, made := range m.directories {
		if path.Dir(name) == directory {
			entries = append(entries, scratch.Entry{Name: path.Base(name), Directory: true, Modified: made})
		}
	}
	slices.SortFunc(entries, func(a, b scratch.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Rename implements [scratch.Disk].
func (m mount) Rename(from, to string) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()

	from, to = path.Clean(from), path.Clean(to)
	if err := m.parent(to); err != nil {
		return err
	}
	if f := m.files[from]; f != nil {
		delete(m.files, from)
		m.files[to] = f
		return nil
	}
	if _, ok := m.directories[from]; !ok {
		return missing("rename", from)
	}
	move(m.files, from, to)
	move(m.directories, from, to)
	move(m.locks, from, to)
	return nil
}

// move gives everything at and below a directory another beginning.
func move[V any](all map[string]V, from, to string) {
	moved := map[string]V{}
	for name, v := range all {
		if rest, ok := strings.CutPrefix(name, from); ok && (rest == "" || rest[0] == '/') {
			moved[to+rest] = v
			delete(all, name)
		}
	}
	for name, v := range moved {
		all[name] = v
	}
}

// Remove implements [scratch.Disk].
func (m mount) Remove(name string) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()

	name = path.Clean(name)
	if m.files[name] != nil {
		m.drop(name)
		delete(m.files, name)
		delete(m.locks, name)
		return nil
	}

	if _, ok := m.directories[name]; !ok {
		return missing("remove", name)
	}

	for other := range m.files {
		if strings.HasPrefix(other, name+"/") {
			return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
		}
	}

	for other := range m.directories {
		if strings.HasPrefix(other, name+"/") {
			return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
		}
	}

	delete(m.directories, name)
	return nil
}

// drop notes what a media file has that is about to go. The lock is held.
func (m mount) drop(name string) {
	f := m.files[name]
	if f == nil || !mediaKey(name) {
		return
	}
	d := dropped{name: name, by: m.process.name}
	whole, _ := readMedia(f.data) // as far as it can be read: what has been released is in the bucket
	for _, r := range whole.records {
		if s, ok := readStamp(r.data); ok {
			d.frames = append(d.frames, s)
		}
	}
	m.dropped = append(m.dropped, d)
}

// Open implements [scratch.Disk].
func (m mount) Open(name string) (scratch.File, error) {
	f, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return &opened{mount: m, file: f, name: name}, nil
}

func (m mount) find(name string) (*file, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()

	f := m.files[path.Clean(name)]
	if f == nil {
		return nil, missing("open", name)
	}
	return f, nil
}

// Create implements [scratch.Disk].
func (m mount) Create(name string) (io.WriteCloser, error) { return m.create(name) }

func (m mount) create(name string) (*opened, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()

	name = path.Clean(name)
	if err := m.parent(name); err != nil {
		return nil, err
	}
	m.drop(name)
	f := &file{modified: time.Now()}
	m.files[name] = f
	return &opened{mount: m, file: f, name: name}, nil
}

// Lock implements [scratch.Disk]. The lock of a dead process is free.
func (m mount) Lock(name string) (unlock func(), err error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()

	name = path.Clean(name)
	if err := m.parent(name); err != nil {
		return nil, err
	}
	if held := m.locks[name]; held != nil && !held.owner.killed() {
		return nil, fmt.Errorf("lock %s: %w", name, scratch.ErrLocked)
	}
	if m.files[name] == nil {
		m.files[name] = &file{modified: time.Now()}
	}
	l := &lock{m.process}
	m.locks[name] = l
	return func() { m.unlock(l) }, nil
}

// lock is one that a process has, under whatever name its file has by now.
type lock struct{ owner *process }

// unlock gives a lock up. It does not ask whether its process lives: that makes no difference.
func (d *disk) unlock(given *lock) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, l := range d.locks {
		if l == given {
			delete(d.locks, name)
		}
	}
}

// release gives up all locks of a process that has ended.
func (d *disk) release(owner *process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, l := range d.locks {
		if l.owner == owner {
			delete(d.locks, name)
		}
	}
}

// Measure implements [scratch.Disk].
func (m mount) Measure(directory string) (scratch.Usage, error) {
	leave, err := m.enter()
	if err != nil {
		return scratch.Usage{}, err
	}
	defer leave()

	var below, all int64
	for name, f := range m.files {
		all += f.allocated()
		if strings.HasPrefix(name, path.Clean(directory)+"/") {
			below += f.allocated()
		}
	}
	usage := scratch.Usage{Used: below, Free: diskSize - all, Total: diskSize}
	if m.full {
		usage.Free = 0
	}
	return usage, nil
}
