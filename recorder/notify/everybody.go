package notify

import (
	"context"
	"errors"
	"strings"

	"livekit-recorder/shared/document"
)

// The event bus, as a receiver of notices: of the ends of recordings, and of their beginnings.
const (
	busOfEnds       = "event bus"
	busOfBeginnings = busOfEnds + ofBeginnings
)

// ofBeginnings ends the names of those who are told when a recording begins.
const ofBeginnings = ", of beginnings"

// ofParts ends the names of those who are told before parts are joined.
const ofParts = ", of parts"

// Everybody are all those who want to be told of recordings.
type Everybody struct {
	Webhooks *Notifier
	Bus      *Bus // nil: there is none
}

// Receivers names those who are to be told of a recording's end.
func (e *Everybody) Receivers(about document.Recording) []string {
	names := e.Webhooks.Receivers(about)
	if e.Bus != nil {
		names = append(names, busOfEnds)
	}
	return names
}

// ReceiversOfBeginnings names those who are to be told when it begins.
func (e *Everybody) ReceiversOfBeginnings(about document.Recording) (names []string) {
	if e.Webhooks.Started {
		for _, name := range e.Webhooks.Receivers(about) {
			names = append(names, name+ofBeginnings)
		}
	}
	if e.Bus != nil {
		names = append(names, busOfBeginnings)
	}
	return names
}

// ReceiversOfParts names those who are to be told before its parts are joined.
func (e *Everybody) ReceiversOfParts(about document.Recording) (names []string) {
	if !e.Webhooks.Stored {
		return nil
	}
	for _, name := range e.Webhooks.Receivers(about) {
		names = append(names, name+ofParts)
	}
	return names
}

// Begins says whether a receiver is one of beginnings, perhaps of a recorder whose settings are others.
func (e *Everybody) Begins(receiver string) bool { return strings.HasSuffix(receiver, ofBeginnings) }

// Deliver tells one of them. An error means that it should be tried again, perhaps by a recorder that knows the bus.
func (e *Everybody) Deliver(ctx context.Context, receiver string, recording document.Recording) error {
	switch {
	case receiver != busOfEnds && receiver != busOfBeginnings:
		return e.Webhooks.Deliver(ctx, receiver, recording)
	case e.Bus == nil:
		return errors.New("this recorder has no event bus: EVENT_BUS is not set")
	}
	recording.Webhooks = nil // as in notices
	return e.Bus.Put(ctx, recording)
}
