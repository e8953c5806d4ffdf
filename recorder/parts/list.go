package parts

import (
	"sync"

	"livekit-recorder/shared/document"
)

// list is what there is to say about the parts of a recording. The composer's owner changes it, and goroutines that
// store.
type list struct {
	changed func(n int, part document.Part)

	// changing is held by whoever changes something until it is told, so that changes are told in their order.
	changing sync.Mutex

	mu    sync.Mutex // guards parts for those who only read, and is never held while something is told
	parts []entry
}

// entry is one part. What it points to is replaced and never changed, so that copies can be given away.
type entry struct {
	document.Part
	elsewhere bool // another recorder has made a file of it, and speaks for it
}

// add appends a part, and returns its number in the list.
func (l *list) add(part document.Part) (n int) {
	l.changing.Lock()
	defer l.changing.Unlock()

	l.mu.Lock()
	n = len(l.parts)
	l.parts = append(l.parts, entry{Part: part})
	l.mu.Unlock()

	l.changed(n, part)
	return n
}

// change changes a part, and tells it.
func (l *list) change(n int, change func(*document.Part)) {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.set(n, change)
}

// set does that for whoever holds changing.
func (l *list) set(n int, change func(*document.Part)) {
	l.changed(n, l.put(n, change))
}

func (l *list) put(n int, change func(*document.Part)) document.Part {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.parts[n].Part)
	return l.parts[n].Part
}

// drain marks the parts that are not stored yet.
func (l *list) drain() {
	l.changing.Lock()
	defer l.changing.Unlock()

	for n, e := range l.parts {
		if e.State == document.Active && !e.elsewhere {
			l.set(n, func(part *document.Part) { part.State = document.Draining })
		}
	}
}

// leave leaves a part to the recorder that has made a file of it: nothing more is told about it.
func (l *list) leave(n int) {
	l.changing.Lock()
	defer l.changing.Unlock()

	l.mu.Lock()
	l.parts[n].elsewhere = true
	l.mu.Unlock()
}

func (l *list) get(n int) document.Part {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parts[n].Part
}

// all returns the parts that this recorder speaks for.
func (l *list) all() (parts []document.Part) {
	l.mu.Lock()
	defer l.mu.Unlock()

	for _, e := range l.parts {
		if !e.elsewhere {
			parts = append(parts, e.Part)
		}
	}
	return parts
}
