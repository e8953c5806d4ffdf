package simulate

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"livekit-recorder/shared/document"
)

// evidence is what is in the bucket, read.
type evidence struct {
	documents map[string]document.Recording // by id
	at        map[string]string             // where they lie, by id
	files     map[string]media              // of media objects, by key
	errors    map[string]error              // of those that cannot be read whole
	other     []string                      // keys of what should not be there
	uploads   []*multipart
}

// mediaKey says whether a key is that of a media file.
func mediaKey(key string) bool {
	switch path.Ext(key) {
	case ".webm", ".mp4", ".ogg":
		return !hidden(key)
	}
	return false
}

// hidden says whether a key is the recorder's own.
func hidden(key string) bool { return strings.HasPrefix(key, ".") || strings.Contains(key, "/.") }

// gather reads the bucket.
func (f *fleet) gather() evidence {
	e := evidence{
		documents: map[string]document.Recording{},
		at:        map[string]string{},
		files:     map[string]media{},
		errors:    map[string]error{},
	}

	objects, uploads := f.bucket.snapshot()
	e.uploads = slices.DeleteFunc(uploads, func(u *multipart) bool { return f.orphaned(u.writer) })
	for key, o := range objects {
		name := strings.TrimPrefix(key, directory+"/")
		switch {
		case strings.HasPrefix(name, ".ledger/"), strings.HasPrefix(name, ".recordings/rooms/"),
			strings.HasPrefix(name, ".recordings/participants/"):
		case strings.HasPrefix(name, ".recordings/id/"):
			e.pointer(o.body)
		case mediaKey(key):
			m, err := readMedia(o.body)
			e.files[key] = m
			if err != nil {
				e.errors[key] = err
			}

		case path.Ext(key) == ".json" && !hidden(key):
			e.document(key, o.body)
		case strings.HasPrefix(name, ".journal/") && f.orphaned(o.writer):
		default:
			e.other = append(e.other, key)
		}
	}

	f.dropRefused(e)
	return e
}

// dropRefused leaves out what the function has noted of starts that it then refused, since they could not be queued:
// the caller knows no id, and tries again.
func (f *fleet) dropRefused(e evidence) {
	accepted := map[string]bool{}
	f.front.mu.Lock()
	defer f.front.mu.Unlock()

	for _, c := range f.front.calls {
		if c.doubtful {
			continue
		}
		accepted[c.recording] = accepted[c.recording] || c.start
	}

	for id, r := range e.documents {
		if r.State == document.Requested && r.Session == "" && r.File == "" && !accepted[id] {
			delete(e.documents, id)
		}
	}
}

// pointer reads what the bucket has of a recording that has no file.
func (e *evidence) pointer(body []byte) {
	var p struct{ Recording *document.Recording }
	if json.Unmarshal(body, &p) == nil && p.Recording != nil {
		if _, known := e.documents[p.Recording.ID]; !known {
			e.documents[p.Recording.ID] = *p.Recording
		}
	}
}

func (e *evidence) document(key string, body []byte) {
	var r document.Recording
	if json.Unmarshal(body, &r) == nil && r.ID != "" {
		e.documents[r.ID], e.at[r.ID] = r, key
	}
}

// orphaned says of uploads and journal entries of a recorder that nobody can know of them: it could reach the bucket, but
// did not hear its answers, until its disk was lost. The bucket's lifecycle rules are for those (template.yaml).
func (f *fleet) orphaned(writer string) bool {
	for _, h := range f.hosts {
		h.mu.Lock()
		lost := slices.ContainsFunc(h.processes, func(r *running) bool { return r.name == writer && r.disk != h.disk })
		h.mu.Unlock()
		if lost {
			return true
		}
	}
	return false
}

// unfinished says what is still going on.
func (f *fleet) unfinished() (left []string) {
	for _, name := range []string{startQueue, controlQueue} {
		if n := f.queues.count(name); n > 0 {
			left = append(left, "messages on queue "+name)
		}
	}

	e := f.gather()
	for _, u := range e.uploads {
		left = append(left, "upload of "+u.key+" begun by "+u.writer)
	}

	for id, r := range e.documents {
		if !r.Final() {
			left = append(left, "document of "+id+" ("+r.Participant+", "+r.Target+") says "+string(r.State))
		}
		for _, p := range r.Parts {
			if !p.Final() {
				left = append(left, "part "+p.Key+" is "+string(p.State))
			}
		}
	}

	for _, key := range e.other {
		left = append(left, "leftover "+key)
	}
	return left
}

// calmBehind is for how long frames may get lost behind a disturbance.
const calmBehind = 90 * time.Second

// calm says whether no disturbance is near a time: frames may get lost 15 s before one until 90 s after it.
func (f *fleet) calm(at time.Time) bool {
	for _, d := range f.disturbances {
		if at.After(d.from.Add(-15*time.Second)) && at.Before(d.until.Add(calmBehind)) {
			return false
		}
	}
	return true
}
