package simulate

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Plan is a run as data. The same plan gives alike runs, though not equal ones: goroutines are not scheduled alike.
type Plan struct {
	Seed   uint64 `json:"seed"`
	Hosts  int    `json:"hosts"`
	People int    `json:"people"`
	// Length is how long moves are made, in seconds; then everything is mended.
	Length float64 `json:"length"`
	// Hold is after how many seconds a recorder hands a recording over, as SQS forces it to after 12 hours; 0: after
	// 12 hours.
	Hold  float64 `json:"hold,omitempty"`
	Moves []Move  `json:"moves"`
	// Violation is the invariant that this plan has broken, for a plan that is kept.
	Violation string `json:"violation,omitempty"`
}

// Move is one thing that happens.
type Move struct {
	At float64 `json:"at"` // seconds from the beginning
	Do Action  `json:"do"`

	Host    int     `json:"host,omitempty"`
	Person  int     `json:"person,omitempty"`
	Target  string  `json:"target,omitempty"`  // of start: "", "audio", "video", "camera"; of mute: a source
	Service string  `json:"service,omitempty"` // of cut and outage; of clock, if it is not a host's: LiveKit
	Mode    Mode    `json:"mode,omitempty"`    // of cut and outage
	Seconds float64 `json:"seconds,omitempty"` // how long something lasts; by how much a clock is ahead
	Lost    bool    `json:"lost,omitempty"`    // of leave and hop: nobody meant it
	NewDisk bool    `json:"newDisk,omitempty"` // of boot
	Webhook Hook    `json:"webhook,omitzero"`  // what becomes of the webhooks of join, leave and hop
	Next    *Hook   `json:"next,omitempty"`    // of hop: what becomes of the new session's, if it is something else
}

// Hook is what becomes of a webhook. The zero Hook arrives at once, and once.
type Hook struct {
	Late  float64 `json:"late,omitempty"` // seconds
	Twice bool    `json:"twice,omitempty"`
	Never bool    `json:"never,omitempty"`
}

// Action is what a move does.
type Action string

// The actions.
const (
	Join            Action = "join"
	Leave           Action = "leave"
	Hop             Action = "hop"  // a reload: another session
	Mute            Action = "mute" // and unmute, in turn
	StartByREST     Action = "start"
	StopPerson      Action = "stop"   // everything of a person
	StopRecording   Action = "stopID" // one recording of a person
	Kill            Action = "kill"   // the disk stays
	Vanish          Action = "vanish" // with its disk
	Terminate       Action = "terminate"
	Boot            Action = "boot"
	Cut             Action = "cut"    // a host from a service
	Outage          Action = "outage" // of a service, for everybody
	Redeliver       Action = "redeliver"
	Duplicate       Action = "duplicate"
	MuxerDies       Action = "muxerDies"
	MuxerHangs      Action = "muxerHangs"
	DiskFull        Action = "diskFull"
	Clock           Action = "clock" // a machine's clock is set, or LiveKit's
	LiveKitRestarts Action = "liveKitRestarts"
	// Poison makes a person one whose frames kill whoever records them, a second after the first, for so many seconds.
	// Machines whose recorder has died of that start another one.
	Poison Action = "poison"
)

// String is a move in one line.
func (m Move) String() string {
	text := fmt.Sprintf("%7.1f s  %s", m.At, m.Do)
	body, _ := json.Marshal(m) // plain data
	fields := map[string]any{}
	_ = json.Unmarshal(body, &fields) // as above

	switch m.Do {
	case Join, Leave, Hop, Mute, StartByREST, StopPerson, StopRecording, Poison:
		text += fmt.Sprintf(" person%d", m.Person)
	case Kill, Vanish, Terminate, Boot, Cut, MuxerDies, MuxerHangs, DiskFull, Clock:
		text += fmt.Sprintf(" host%d", m.Host)
	}

	for _, name := range []string{"target", "service", "mode", "seconds", "lost", "newDisk", "webhook", "next"} {
		if v, ok := fields[name]; ok {
			text += fmt.Sprintf(" %s=%v", name, v)
		}
	}

	return text
}

// Read reads a plan from a file.
func Read(path string) (p Plan, err error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return p, fmt.Errorf("read plan: %w", err)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("read plan %s: %w", path, err)
	}
	return p, nil
}

// Write writes a plan to a file.
func (p Plan) Write(path string) error {
	body, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	if err := os.WriteFile(path, append(body, '\n'), 0o644); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
