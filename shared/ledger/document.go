// Package ledger keeps the service's whole state in the bucket, next to the files: which recording of which participant
// is wanted and who fulfils it (entries), and what became of each recording (documents). There is no other database.
//
//	.ledger/ROOM/PARTICIPANT.json              the newest wish for one participant; conditional writes only
//	.recordings/id/RECORDING.json              one recording by its id: its document, or where that is
//	.recordings/room/ROOM/PARTICIPANT/RECORDING  an index for lists, the object's name says it all
//	FILE.json beside FILE.webm                 the recording's document
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"livekit-recorder/shared/command"
)

// State is how far a recording, or a part of one, has come.
type State string

// The states of a recording, in order. The last two are final.
const (
	Requested State = "requested"
	Active    State = "recording"
	Completed State = "completed"
	Failed    State = "failed"
	// Draining is the state of a part whose recorder shuts down, and goes on until another recorder's part runs.
	Draining State = "draining"
)

// Recording is the document of one recording: the same JSON in the bucket, in REST answers and in completion webhooks.
// Times are UTC; durations are in seconds.
type Recording struct {
	ID          string        `json:"id"`
	Room        string        `json:"room"`
	Participant string        `json:"participant"`
	Session     string        `json:"session,omitempty"` // the participant's SID
	Target      string        `json:"target"`            // av, audio, video, a source, or a track SID
	Media       command.Media `json:"media,omitempty"`
	Track       string        `json:"track,omitempty"`
	State       State         `json:"state"`
	// Reason says in words why a recording failed or ended.
	Reason      string    `json:"reason,omitempty"`
	RequestedAt time.Time `json:"requestedAt"`
	// StartedAt and EndedAt are the wall-clock times of the first and behind the last frame, by the publisher's clock.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	// File is the name the recording got, below S3_DIRECTORY and without extension; RequestedFile is the one it was
	// asked to get, when that was taken already.
	File          string    `json:"file,omitempty"`
	RequestedFile string    `json:"requestedFile,omitempty"`
	Bucket        string    `json:"bucket,omitempty"`
	Recorder      string    `json:"recorder,omitempty"`
	Epoch         int       `json:"epoch,omitempty"`
	Parts         []Part    `json:"parts,omitempty"`
	UpdatedAt     time.Time `json:"updatedAt"`
}

// Part is one media file of a recording.
type Part struct {
	Key       string     `json:"key"` // in the bucket (below S3_DIRECTORY already), or the path below RECORDINGS_DIR
	Container string     `json:"container"`
	State     State      `json:"state"`
	Reason    string     `json:"reason,omitempty"` // why a part ended before the recording did, or why it failed
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// Recovered says that the part's recorder disappeared, and that another one made this file of what had been stored: up
	// to its last 10 seconds are missing, and its tracks' counts may be up to a minute old.
	Recovered bool    `json:"recovered,omitempty"`
	Duration  float64 `json:"duration"` // seconds
	Size      int64   `json:"size"`     // bytes
	// Overlap is for how many seconds, from this part's beginning on, the part before it has the same.
	Overlap float64       `json:"overlap,omitempty"`
	Tracks  []TrackReport `json:"tracks"`
}

// Final says that nothing will change any more.
func (p Part) Final() bool { return p.State == Completed || p.State == Failed }

// TrackReport says what was received of one track and where it lies in the part.
type TrackReport struct {
	SID    string `json:"sid"`
	Source string `json:"source"`
	Kind   string `json:"kind"`
	Codec  string `json:"codec"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	// FirstFrameAt is the wall-clock time of the first frame by the publisher's NTP clock: what aligns recordings of
	// several participants.
	FirstFrameAt    *time.Time `json:"firstFrameAt,omitempty"`
	Offset          float64    `json:"offset"`   // seconds from the beginning of the part to the track's first frame
	Duration        float64    `json:"duration"` // seconds from the track's first frame to behind its last
	Frames          int64      `json:"frames"`
	KeyFrames       int64      `json:"keyFrames,omitempty"`
	DroppedFrames   int64      `json:"droppedFrames"`           // incomplete, or not decodable without one that was
	FilledSilence   float64    `json:"filledSilence,omitempty"` // seconds
	PacketsReceived int64      `json:"packetsReceived"`
	PacketsLost     int64      `json:"packetsLost"` // never arrived, not even after NACK
	// Gaps are the times without frames of this track; audio is filled with silence there, video holds its last picture.
	// GapsOmitted counts those beyond [MaxGaps].
	Gaps        []Gap `json:"gaps,omitempty"`
	GapsOmitted int   `json:"gapsOmitted,omitempty"`
	// ClockOffset is by how many seconds the publisher's clock is ahead of the recorder's, the packets' way included.
	ClockOffset float64 `json:"clockOffset,omitempty"`
}

// Gap is a time without frames of one track. Gaps of the same kind that follow each other closely are listed as one.
type Gap struct {
	Kind   GapKind `json:"kind"`
	Start  float64 `json:"start"`  // seconds from the beginning of the part
	Length float64 `json:"length"` // seconds
}

// GapKind says why there is a gap.
type GapKind string

// The kinds of gaps.
const (
	GapMuted  GapKind = "muted"  // the publisher muted the track
	GapLoss   GapKind = "loss"   // packets never arrived
	GapAbsent GapKind = "absent" // the track had ended, and another one went on in its place: a device change, a reconnect
	GapUnsent GapKind = "unsent" // nothing was sent: silence, by discontinuous transmission
)

// MaxGaps bounds the list of a track's gaps in one part.
const MaxGaps = 500

// NewRecording makes the document of a start command before anything has come of it.
func NewRecording(c command.Command) Recording {
	return Recording{
		ID: c.Recording, Room: c.Room, Participant: c.Participant, Session: c.Session, Target: c.Target(),
		Media: c.Media, Track: c.Track, State: Requested, RequestedAt: c.RequestedAt, UpdatedAt: c.RequestedAt,
	}
}

// Final says that nothing will change any more.
func (r Recording) Final() bool { return r.State == Completed || r.State == Failed }

// Documents reads and writes the documents of recordings in a store.
type Documents struct{ Store Store }

// pointer is what lies under .recordings/id/: a recording of which there is no more than the wish, or where its document is.
type pointer struct {
	Document  string     `json:"document,omitempty"`
	Recording *Recording `json:"recording,omitempty"`
}

func pointerKey(id string) string { return path.Join(".recordings", "id", id+".json") }

func listKey(room, participant, id string) string {
	return path.Join(".recordings", "room", Segment(room), Segment(participant), id)
}

// DocumentKey is where the document of a recording with that file name lies.
func DocumentKey(file string) string { return file + ".json" }

// Request notes a recording that has been asked for, so that it can be found by its id from then on.
// A recording that is known already is left as it is.
func (d Documents) Request(ctx context.Context, recording Recording) error {
	if err := d.putNew(ctx, listKey(recording.Room, recording.Participant, recording.ID), struct{}{}); err != nil {
		return err
	}
	return d.putNew(ctx, pointerKey(recording.ID), pointer{Recording: &recording})
}

func (d Documents) putNew(ctx context.Context, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if _, err = d.Store.Put(ctx, key, body, ""); errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// Reserve gives a recording its file name: the wanted one, or with the next free suffix (-2, -3 …), and writes its
// document there. Nobody else can take that name from then on. A recording that has reserved a name keeps it, and the
// document it has so far is returned: that is how a take-over finds the earlier parts.
func (d Documents) Reserve(ctx context.Context, recording Recording, wanted string) (Recording, error) {
	if err := d.Request(ctx, recording); err != nil {
		return recording, err
	}
	existing, err := d.ByID(ctx, recording.ID)
	if err != nil {
		return recording, err
	}
	if existing.File != "" {
		return existing, nil
	}
	for n := 1; n <= 1000; n++ {
		recording.File, recording.RequestedFile = wanted, ""
		if n > 1 {
			recording.File, recording.RequestedFile = fmt.Sprintf("%s-%d", wanted, n), wanted
		}
		body, err := encodeDocument(recording)
		if err != nil {
			return recording, err
		}
		_, err = d.Store.Put(ctx, DocumentKey(recording.File), body, "")
		if errors.Is(err, ErrConflict) {
			taken, err := d.at(ctx, DocumentKey(recording.File))
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errNoDocument) {
				return recording, err
			}
			if taken.ID != recording.ID {
				continue
			}
		} else if err != nil {
			return recording, err
		}
		return recording, d.point(ctx, recording)
	}
	return recording, fmt.Errorf("reserve file name: %q and 999 suffixes of it are taken", wanted)
}

// point makes the id lead to the document.
func (d Documents) point(ctx context.Context, recording Recording) error {
	body, err := json.Marshal(pointer{Document: DocumentKey(recording.File)})
	if err != nil {
		return fmt.Errorf("encode pointer: %w", err)
	}
	return d.replace(ctx, pointerKey(recording.ID), func([]byte) ([]byte, error) { return body, nil })
}

var errNoDocument = errors.New("object is not the document of a recording")

// ErrSuperseded says that a document was last written by a recorder with a higher epoch: the writer has lost the recording.
var ErrSuperseded = errors.New("another recorder has taken this recording over")

// Save writes a recording's document. A document of a higher epoch is not overwritten: [ErrSuperseded]. What another
// recorder has written of parts that it brought to their end (see [Documents.Amend]) is kept.
func (d Documents) Save(ctx context.Context, recording Recording) error {
	if recording.File == "" {
		body, err := json.Marshal(pointer{Recording: &recording})
		if err != nil {
			return fmt.Errorf("encode recording: %w", err)
		}
		return d.replace(ctx, pointerKey(recording.ID), func([]byte) ([]byte, error) { return body, nil })
	}
	return d.replace(ctx, DocumentKey(recording.File), func(old []byte) ([]byte, error) {
		var current Recording
		if json.Unmarshal(old, &current) == nil && current.ID == recording.ID {
			if current.Epoch > recording.Epoch {
				return nil, ErrSuperseded
			}
			recording.Parts = merge(recording.Parts, current.Parts, func(mine, theirs Part) bool { return !mine.Final() && theirs.Final() })
		}
		return encodeDocument(recording)
	})
}

// Amend writes what became of a recorder's own parts into a document that belongs to another recorder by now.
func (d Documents) Amend(ctx context.Context, recording Recording, parts []Part) error {
	return d.replace(ctx, DocumentKey(recording.File), func(old []byte) ([]byte, error) {
		var current Recording
		if err := json.Unmarshal(old, &current); err != nil || current.ID != recording.ID {
			return nil, fmt.Errorf("amend document of %s: %w", recording.ID, errNoDocument)
		}
		current.Parts = merge(current.Parts, parts, func(mine, theirs Part) bool {
			return !mine.Final() || mine.State == Failed && theirs.State == Completed
		})
		if current.State == Failed && slices.ContainsFunc(parts, func(p Part) bool { return p.State == Completed }) {
			current.State = Completed
		}
		return encodeDocument(current)
	})
}

// merge takes those of the other parts that are about the same files where better says so, and those about others.
func merge(parts, others []Part, better func(mine, theirs Part) bool) []Part {
	merged := slices.Clone(parts)
	for _, other := range others {
		n := slices.IndexFunc(merged, func(p Part) bool { return p.Key == other.Key })
		switch {
		case n < 0:
			merged = append(merged, other)
		case better(merged[n], other):
			merged[n] = other
		}
	}
	return merged
}

// replace writes over an object whatever change makes of it; old is nil if there is none yet.
func (d Documents) replace(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	for {
		old, tag, err := d.Store.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		body, err := change(old)
		if err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		_, err = d.Store.Put(ctx, key, body, tag)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// ByID finds a recording, or returns [ErrNotFound].
func (d Documents) ByID(ctx context.Context, id string) (Recording, error) {
	body, _, err := d.Store.Get(ctx, pointerKey(id))
	if err != nil {
		return Recording{}, err
	}
	var p pointer
	if err := json.Unmarshal(body, &p); err != nil {
		return Recording{}, fmt.Errorf("read pointer of %s: %w", id, err)
	}
	if p.Recording != nil {
		return *p.Recording, nil
	}
	return d.at(ctx, p.Document)
}

func (d Documents) at(ctx context.Context, key string) (Recording, error) {
	var recording Recording
	body, _, err := d.Store.Get(ctx, key)
	if err != nil {
		return recording, err
	}
	if err := json.Unmarshal(body, &recording); err != nil || recording.ID == "" {
		return recording, fmt.Errorf("read %s: %w", key, errNoDocument)
	}
	return recording, nil
}

// List finds the recordings of a room, or of one participant in it (participant empty: of all), at most limit.
func (d Documents) List(ctx context.Context, room, participant string, limit int) ([]Recording, error) {
	prefix := path.Join(".recordings", "room", Segment(room)) + "/"
	if participant != "" {
		prefix += Segment(participant) + "/"
	}
	keys, err := d.Store.List(ctx, prefix, limit)
	if err != nil {
		return nil, err
	}
	recordings := make([]Recording, 0, len(keys))
	for _, key := range keys {
		recording, err := d.ByID(ctx, key[strings.LastIndexByte(key, '/')+1:])
		if errors.Is(err, ErrNotFound) {
			continue // the index is written first
		}
		if err != nil {
			return nil, err
		}
		recordings = append(recordings, recording)
	}
	return recordings, nil
}

func encodeDocument(recording Recording) ([]byte, error) {
	recording.UpdatedAt = time.Now().UTC()
	body, err := json.MarshalIndent(recording, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return append(body, '\n'), nil
}
