package document

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MostUnended is how many attempts to join a recording's parts may go wrong without a word in a row: recorders may have
// died of them.
const MostUnended = 5

// ErrUnjoinable says that the parts of a recording cannot be joined, or not by whoever has tried: the document has
// another state, or another recorder has begun to.
var ErrUnjoinable = errors.New("the parts of the recording are not to be joined, or not by this attempt")

// Joining says what has come of the joining of a recording's parts into one file.
type Joining struct {
	// Attempts counts all of them. The newest one alone may write down what has come of it.
	Attempts int `json:"attempts"`
	// Unended is how many have begun since one said how it had ended: 1 while one is under way.
	Unended int `json:"unended,omitempty"`
	// Reason says why parts have stayed that could be joined.
	Reason string `json:"reason,omitempty"`
}

// Joined is a part that is in another one now: its file is gone. Numbers of packets are those of sound and pictures
// together.
type Joined struct {
	Key       string     `json:"key"`
	StartedAt *time.Time `json:"startedAt,omitempty"`
	Duration  float64    `json:"duration"` // seconds
	Size      int64      `json:"size"`     // bytes
	Recovered bool       `json:"recovered,omitempty"`
	// Reason is why it ended before the recording did, or what is missing in its middle.
	Reason string `json:"reason,omitempty"`
	// Packets is how many the file had, Cut how many of them have been left out, because another part had the same.
	Packets int64 `json:"packets"`
	Cut     int64 `json:"cut,omitempty"`
}

// Several says that there is something to join: more files than one, and not known to have to be separate.
func (r Recording) Several() bool {
	files, separate := 0, 0
	for _, p := range r.Parts {
		if p.State == Completed {
			files++
		}
		if p.State == Completed && p.Separate != "" {
			separate++
		}
	}
	return files > 1 && separate < files-1
}

// BeginJoin returns the document of a recording whose parts are about to be joined, by the attempt that it counts last.
func (r Recording) BeginJoin() (Recording, error) {
	if !r.Final() || !r.Several() {
		return r, ErrUnjoinable
	}
	var join Joining
	if r.Join != nil {
		join = *r.Join
	}
	join.Attempts++
	join.Unended++
	r.Join = &join
	return r, nil
}

// EndJoin returns the document when an attempt has ended without a file, and says why. Nothing has come of it if the
// reason is empty: the recorder shuts down, or the bucket is away.
func (r Recording) EndJoin(attempt int, reason string) (Recording, error) {
	if r.Join == nil || r.Join.Attempts != attempt {
		return r, ErrUnjoinable
	}
	r.Join = &Joining{Attempts: attempt, Reason: reason}
	return r, nil
}

// JoinedInto returns the document with the files that an attempt has made in place of the parts that they are made of.
// Other parts stay beside them; separate says why, by their keys, as far as the attempt knows of them.
func (r Recording) JoinedInto(attempt int, files []Part, separate map[string]string) (Recording, error) {
	r, err := r.EndJoin(attempt, "")
	if err != nil {
		return r, err
	}
	kept := slices.DeleteFunc(slices.Clone(r.Parts), func(p Part) bool {
		return slices.ContainsFunc(files, func(f Part) bool { return f.Key == p.Key })
	})
	for n := range kept {
		kept[n].Separate = separate[kept[n].Key]
	}
	r.Parts = arranged(slices.Concat(withoutJoined(kept, files), files))
	return r, nil
}

// GoneInto are the parts that are in one part now, so that their files can go: those that are not listed any more.
func (r Recording) GoneInto(joined Part) []Joined {
	return slices.DeleteFunc(slices.Clone(joined.Joined), func(j Joined) bool {
		return slices.ContainsFunc(r.Parts, func(other Part) bool { return other.Key == j.Key })
	})
}

// withoutJoined leaves out the parts that are in one of those files: who writes them down has not heard of it yet. A
// file of another size is another one.
func withoutJoined(parts, files []Part) []Part {
	return slices.DeleteFunc(slices.Clone(parts), func(p Part) bool {
		for _, f := range files {
			for _, j := range f.Joined {
				if j.Key == p.Key && (j.Size == p.Size || p.State != Completed) {
					return true
				}
			}
		}
		return false
	})
}

// JoinedMark is behind a recording's name in the names of joined files, before anything else.
const JoinedMark = ".joined"

// JoinedName is what file number n (from 1) of an attempt to join the parts of a recording is called where it is
// stored. No two attempts write the same name.
func JoinedName(file string, attempt, n int, container string) string {
	return PartName(JoinedFile(file, attempt), 1, n, container)
}

// JoinedFile is what the names of an attempt's files begin with.
func JoinedFile(file string, attempt int) string {
	file += JoinedMark
	if attempt > 1 {
		file += strconv.Itoa(attempt)
	}
	return file
}

// ofAttempt is what comes behind a recording's name in the names of joined files.
var ofAttempt = regexp.MustCompile(`^\.joined([0-9]*)(\.part[0-9]+)?\.[a-z0-9]+$`)

// JoinedBy is the attempt that writes joined files of that name; ours says whether they are of that recording.
func JoinedBy(file, name string) (attempt int, ours bool) {
	rest, begins := strings.CutPrefix(name, file)
	match := ofAttempt.FindStringSubmatch(rest)
	if !begins || match == nil || strings.HasSuffix(name, ".json") {
		return 0, false
	}
	if match[1] == "" {
		return 1, true
	}
	attempt, err := strconv.Atoi(match[1])
	return attempt, err == nil && attempt > 1 && strconv.Itoa(attempt) == match[1]
}

// FewestGaps bounds the list of a track's gaps: the longest ones are left. Omitted is how many are not.
func FewestGaps(gaps []Gap) (left []Gap, omitted int) {
	if len(gaps) <= MaxGaps {
		return gaps, 0
	}
	return longest(gaps, MaxGaps), len(gaps) - MaxGaps
}
