// Package document has what is written down about a recording: the document that lies beside its files, is answered
// over REST, and is sent to webhooks; and the names of it and of its files. It is plain data, without any store.
package document

import (
	_ "embed"
	"time"

	"livekit-recorder/shared/command"
)

// State is how far a recording, or a part of one, has come.
type State string

// The states of a recording, in order.
const (
	Requested State = "requested"
	Active    State = "recording"
	Completed State = "completed" // final
	Failed    State = "failed"    // final
	// Draining is the state of a part whose recorder shuts down, and goes on until another recorder's part runs.
	Draining State = "draining"
)

// Schema is the JSON Schema of a [Recording].
//
//go:embed recording.schema.json
var Schema []byte

// Recording is the document of one recording: the same JSON in the bucket, in REST answers and in completion webhooks.
// Times are UTC; durations are in seconds.
type Recording struct {
	ID string `json:"id"`
	// RequestID is the id of the HTTP request that asked for it: all that is logged about it has it, as "request".
	RequestID   string `json:"requestId,omitempty"`
	Room        string `json:"room"`
	Participant string `json:"participant"`
	Session     string `json:"session,omitempty"` // the participant's SID
	// Profile is what LiveKit said of the participant when a recorder first saw them; Changes are what it said later, and
	// ChangesOmitted counts those that are not listed, beyond [MaxChanges].
	Profile
	Changes        []Change      `json:"changes,omitempty"`
	ChangesOmitted int           `json:"changesOmitted,omitempty"`
	Target         string        `json:"target"` // av, audio, video, screen, a source, or a track SID
	Media          command.Media `json:"media,omitempty"`
	Track          string        `json:"track,omitempty"`
	State          State         `json:"state"`
	// Reason says in words why a recording failed or ended.
	Reason      string    `json:"reason,omitempty"`
	RequestedAt time.Time `json:"requestedAt"`
	// StartedAt and EndedAt are the wall-clock times of the first and behind the last frame, by the publisher's clock.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	// Labels and Webhooks are those that the caller has given. Notices and events do not have the webhooks: an address
	// may be a secret.
	Labels   map[string]string `json:"labels,omitempty"`
	Webhooks []string          `json:"webhooks,omitempty"`
	// File is the name the recording got, below S3_DIRECTORY and without extension; RequestedFile is the one it was
	// asked to get, when that was taken already.
	File          string `json:"file,omitempty"`
	RequestedFile string `json:"requestedFile,omitempty"`
	Bucket        string `json:"bucket,omitempty"`
	Recorder      string `json:"recorder,omitempty"`
	Epoch         int    `json:"epoch,omitempty"`
	Parts         []Part `json:"parts,omitempty"`
	// Join says what has come of the joining of its parts, if it had several.
	Join *Joining `json:"join,omitempty"`
	// Unrecorded are tracks that could not be recorded; UnrecordedOmitted counts those beyond [MaxUnrecorded].
	Unrecorded        []Unrecorded `json:"unrecorded,omitempty"`
	UnrecordedOmitted int          `json:"unrecordedOmitted,omitempty"`
	UpdatedAt         time.Time    `json:"updatedAt"`
}

// Part is one media file of a recording.
type Part struct {
	Key       string `json:"key"` // in the bucket (below S3_DIRECTORY already), or the path below RECORDINGS_DIR
	Container string `json:"container"`
	State     State  `json:"state"`
	// Reason says why a part ended before the recording did, why it failed, or what is missing in its middle.
	Reason    string     `json:"reason,omitempty"`
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// Recovered says that the part's recorder disappeared, and that another one made this file: of what had been stored,
	// so that up to its last 10 seconds are missing, or of all that was on the disk. Its tracks' counts may be up to
	// five minutes old, and gaps of the last minute be missing.
	Recovered bool    `json:"recovered,omitempty"`
	Duration  float64 `json:"duration"` // seconds
	Size      int64   `json:"size"`     // bytes
	// Overlap is for how many seconds, from this part's beginning on, the parts before it have the same.
	Overlap float64       `json:"overlap,omitempty"`
	Tracks  []TrackReport `json:"tracks"`
	// Joined are the parts that this one was made of when the recording had ended, in order of time.
	Joined []Joined `json:"joined,omitempty"`
	// Separate says why this part is not in one file with those before it.
	Separate string `json:"separate,omitempty"`
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
	// GapsOmitted counts those that are not listed, beyond [MaxGaps] and [MaxAllGaps].
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
	// GapUnrecorded is between two parts that have been joined: no recorder was there, or none of this track's kind came.
	GapUnrecorded GapKind = "unrecorded"
)

// MaxGaps bounds the list of a track's gaps in one part, and MaxAllGaps what is listed in one document: of more, each
// track's longest are. A document is written again and again.
const (
	MaxGaps    = 500
	MaxAllGaps = 5000
)

// MaxParts is how many parts a recording may have. It ends then, like one whose tracks change too often: no file may be
// missing in its document. More are added only for what other recorders have left.
const MaxParts = 1000

// NewRecording makes the document of a start command before anything has come of it.
func NewRecording(c command.Command) Recording {
	return Recording{
		ID: c.Recording, RequestID: c.ID, Room: c.Room, Participant: c.Participant, Session: c.Session, Target: c.Target(),
		Media: c.Media, Track: c.Track, Labels: c.Labels, Webhooks: c.Webhooks,
		State: Requested, RequestedAt: c.RequestedAt, UpdatedAt: c.RequestedAt,
	}
}

// Trace is what every line of the log has that is about a recording, as of the command that asked for it.
func (r Recording) Trace() map[string]any {
	asked := command.Command{ID: r.RequestID, Recording: r.ID, Room: r.Room, Participant: r.Participant}
	return asked.Trace()
}

// Final says that nothing will change any more.
func (r Recording) Final() bool { return r.State == Completed || r.State == Failed }
