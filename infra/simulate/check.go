package simulate

import (
	"fmt"
	"math"
	"path"
	"strings"
	"time"

	"livekit-recorder/shared/document"
)

// tolerance is by how much durations may be off, in seconds: silence that is filled in, and the last frame's length.
const tolerance = 1.5

// check looks at everything when the run is over.
func (f *fleet) check() Result {
	e := f.gather()
	f.checkDocuments(e)
	f.checkObjects(e)
	f.checkWrites(e)
	f.checkDropped(e)
	f.checkNotices(e)
	f.checkAccepted(e)
	f.checkPoison(e)
	return f.checkFrames(e)
}

// checkLeftovers looks at what should be gone when all is quiet, while the recorders still run.
func (f *fleet) checkLeftovers() {
	for _, name := range []string{startQueue, controlQueue} {
		if n := f.queues.count(name + deadSuffix); n > 0 {
			f.violate("no-dead-letters", "%d messages of queue %s are dead", n, name)
		}
		if n := f.queues.count(name); n > 0 {
			f.violate("no-leftovers", "%d messages are left on queue %s", n, name)
		}
	}

	e := f.gather()
	for _, u := range e.uploads {
		f.violate("no-leftovers", "the upload of %s, begun by %s %s ago, is left", u.key, u.writer, age(u.begun))
	}

	for _, key := range e.other {
		f.violate("no-leftovers", "%s is left in the bucket", key)
	}

	for _, h := range f.hosts {
		if !h.working() {
			continue
		}
		for _, name := range h.disk.names() {
			if strings.HasSuffix(strings.TrimSuffix(name, ".new"), "lock") || len(h.disk.content(name)) == 0 {
				continue
			}
			f.violate("no-leftovers", "%s is left on the disk of %s", name, h.name)
		}
	}
}

func (f *fleet) checkDocuments(e evidence) {
	excuse := f.planned(Vanish, DiskFull, MuxerDies, MuxerHangs) || f.bootedOnNewDisk()
	for id, r := range e.documents {
		who := fmt.Sprintf("%s (%s, %s)", id, r.Participant, r.Target)
		if !r.Final() {
			f.violate("documents-final", "the document of %s says %s", who, r.State)
		}

		for _, p := range r.Parts {
			switch {
			case !p.Final():
				f.violate("parts-final", "part %s of %s is %s", p.Key, who, p.State)
			case p.State == document.Failed && !excuse:
				f.violate("failed-only-with-disk", "part %s of %s has failed (%s), and no disk is gone", p.Key, who, p.Reason)
			case p.State == document.Completed:
				f.checkPart(e, who, p)
			}
		}
	}
}

// checkPart compares what a document says of a file with the file.
func (f *fleet) checkPart(e evidence, who string, p document.Part) {
	m, ok := e.files[p.Key]
	if !ok {
		f.violate("listed-is-stored", "part %s of %s is completed and not in the bucket", p.Key, who)
		return
	}

	objects, _ := f.bucket.snapshot()
	if size := int64(len(objects[p.Key].body)); size != p.Size {
		f.violate("sizes-true", "part %s of %s has %d bytes, its document says %d", p.Key, who, size, p.Size)
	}
	if length := m.length().Seconds(); math.Abs(length-p.Duration) > tolerance {
		f.violate("durations-true", "part %s of %s is %.1f s long, its document says %.1f", p.Key, who, length, p.Duration)
	}

	if !m.closed && len(m.records) > 0 {
		f.violate("files-closed", "part %s of %s has no index", p.Key, who)
	}
}

func (f *fleet) checkObjects(e evidence) {
	listed := map[string]string{}
	for id, r := range e.documents {
		for _, p := range r.Parts {
			if p.State != document.Completed {
				continue
			}
			if other, twice := listed[p.Key]; twice {
				f.violate("listed-once", "%s is listed by %s and %s", p.Key, other, id)
			}
			listed[p.Key] = id
		}
	}

	for key := range e.files {
		if _, ok := listed[key]; !ok {
			f.violate("stored-is-listed", "%s is in the bucket, and no document has it as completed", key)
		}
		if err := e.errors[key]; err != nil {
			f.violate("no-zeroed-range", "%s cannot be read behind frame %d: %v", key, len(e.files[key].records), err)
		}
	}
}

// kept are the frames that are in any file of the bucket.
func (e evidence) kept() map[stamp]bool {
	kept := map[stamp]bool{}
	for _, m := range e.files {
		for _, r := range m.records {
			if s, ok := readStamp(r.data); ok {
				kept[s] = true
			}
		}
	}
	return kept
}

// checkDropped looks at the files that were removed from disks: whatever the times were like, what a recorder has on a
// disk that is there is not lost. A start may turn out to be a double, or void, within a second in which its first
// frames come.
func (f *fleet) checkDropped(e evidence) {
	const first = 4 // of two tracks
	kept := e.kept()
	disks := map[*disk]bool{}
	for _, h := range f.hosts {
		for _, r := range h.processes {
			disks[r.disk] = true
		}
	}

	for d := range disks {
		for _, file := range d.dropped {
			lost := 0
			for _, s := range file.frames {
				if !kept[s] {
					lost++
				}
			}
			if lost > first {
				f.violate("no-dropped-file", "%d of %d frames of %s are in no file of the bucket, and %s has removed it",
					lost, len(file.frames), file.name, file.by)
			}
		}
	}
}

// checkWrites looks at what was written over: without looking first, or so that frames are gone.
func (f *fleet) checkWrites(e evidence) {
	kept := e.kept()

	for _, w := range f.bucket.written() {
		if !mediaKey(w.key) || w.before == nil {
			continue
		}
		if w.after != nil && !w.conditional {
			f.violate("no-overwrite", "%s (%s) writes over %s of %s without having looked",
				w.by, w.operation, w.key, w.before.writer)
		}

		before, _ := readMedia(w.before.body)
		lost := 0
		for _, r := range before.records {
			if s, ok := readStamp(r.data); ok && !kept[s] {
				lost++
			}
		}

		if lost > 0 && (lost > aroundCut || !e.joined(w.key)) {
			f.violate("no-lost-frame", "%d of %d frames are gone since %s (%s) wrote %s of %s anew",
				lost, len(before.records), w.by, w.operation, w.key, w.before.writer)
		}
	}
}

// aroundCut is how many frames of a part may be in no file when it has been joined: where parts overlap, one of them is
// cut, and the other may have lost a frame.
const aroundCut = 4

// joined says whether a file is in another one now, by a document.
func (e evidence) joined(key string) bool {
	for _, r := range e.documents {
		for _, p := range r.Parts {
			for _, j := range p.Joined {
				if j.Key == key {
					return true
				}
			}
		}
	}
	return false
}

func (f *fleet) checkNotices(e evidence) {
	told, begun := map[string]bool{}, map[string]bool{}
	for _, n := range f.notices {
		if n.recording.Final() {
			told[n.recording.ID] = true
		} else {
			begun[n.recording.ID] = true
		}
	}
	for id, r := range e.documents {
		if product.Beginnings && r.Final() && len(r.Parts) > 0 && !begun[id] && e.at[id] != "" {
			f.violate("notices", "nobody was told that %s (%s, %s) had begun", id, r.Participant, r.Target)
		}
		if r.Final() && !told[id] && e.at[id] != "" {
			f.violate("notices", "nobody was told of %s (%s, %s), which is %s", id, r.Participant, r.Target, r.State)
		}
	}
}

// checkAccepted sees that no start that was accepted is forgotten.
func (f *fleet) checkAccepted(e evidence) {
	for _, c := range f.front.calls {
		if c.doubtful {
			continue
		}
		if !c.start {
			continue
		}
		if _, ok := e.documents[c.recording]; !ok && f.calm(c.at) {
			f.violate("starts-are-known", "the start of %s for %s was accepted, and there is no document of it",
				c.recording, c.person)
		}
	}
}

// planned says whether the plan has one of some moves.
func (f *fleet) planned(actions ...Action) bool {
	for _, m := range f.plan.Moves {
		for _, a := range actions {
			if m.Do == a {
				return true
			}
		}
	}
	return false
}

func (f *fleet) bootedOnNewDisk() bool {
	for _, m := range f.plan.Moves {
		if m.Do == Boot && m.NewDisk {
			return true
		}
	}
	return false
}

// content is what a file has that is neither empty nor all holes.
func (d *disk) content(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if file := d.files[path.Clean(name)]; file != nil {
		return file.data
	}
	return nil
}

// ranges puts times that follow each other closely together, for messages: "12.0-15.5 s, 20.0-20.5 s".
func (f *fleet) ranges(times []time.Time) string {
	var text []string
	for n := 0; n < len(times); {
		first := n
		for n++; n < len(times) && times[n].Sub(times[n-1]) < 2*frameInterval+time.Second; n++ {
		}
		from, until := times[first].Sub(f.journal.began), times[n-1].Sub(f.journal.began)
		text = append(text, fmt.Sprintf("%.1f-%.1f s", from.Seconds(), until.Seconds()))
	}

	if len(text) > 5 {
		text = append(text[:5], fmt.Sprintf("and %d more", len(text)-5))
	}
	return strings.Join(text, ", ")
}
