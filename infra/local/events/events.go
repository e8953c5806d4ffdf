// Package events is a stand-in for Amazon EventBridge on one machine: the operation PutEvents, in the AWS JSON 1.1
// protocol, with what a caller has to reckon with: entries that are refused although the call succeeds, and entries that
// are too large.
package events

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

// maxEntries and maxBytes bound one call (EventBridge user guide, "Amazon EventBridge quotas", and "Calculating PutEvents
// event entry size": what counts is source, detail type and detail).
const (
	maxEntries = 10
	maxBytes   = 256 << 10
)

// Event is one that a bus has got.
type Event struct {
	EventBusName, Source, DetailType, Detail string
}

// Bus takes events for one bus.
type Bus struct {
	// Name is the only bus there is.
	Name string

	mu      sync.Mutex // guards:
	events  []Event
	failing int // entries that are still to be refused
}

// Events are those that have come so far.
func (b *Bus) Events() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

// Fail has so many of the next entries refused, in calls that succeed.
func (b *Bus) Fail(entries int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = entries
}

// result is what is answered for one entry.
type result struct {
	EventId, ErrorCode, ErrorMessage string `json:",omitempty"`
}

// ServeHTTP implements [http.Handler].
func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if target := r.Header.Get("X-Amz-Target"); target != "AWSEvents.PutEvents" {
		refuse(w, "UnknownOperationException", target)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4*maxBytes))
	if err != nil {
		refuse(w, "ValidationException", err.Error())
		return
	}
	var in struct{ Entries []Event }
	if err := json.Unmarshal(body, &in); err != nil || len(in.Entries) < 1 || len(in.Entries) > maxEntries {
		refuse(w, "ValidationException", "1 to 10 entries are allowed")
		return
	}
	size := 0
	for _, e := range in.Entries {
		size += len(e.Source) + len(e.DetailType) + len(e.Detail)
	}
	if size >= maxBytes {
		refuse(w, "ValidationException", fmt.Sprintf("total size of the entries in the request is over the limit: %d", size))
		return
	}

	var out struct {
		FailedEntryCount int
		Entries          []result
	}
	for _, e := range in.Entries {
		answer := b.take(e)
		if answer.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, answer)
	}
	_ = json.NewEncoder(w).Encode(out) // an error says that the caller has gone
}

// take takes one entry, or says why it does not.
func (b *Bus) take(e Event) result {
	b.mu.Lock()
	defer b.mu.Unlock()
	var detail map[string]any
	switch {
	case b.failing > 0:
		b.failing--
		return result{ErrorCode: "InternalFailure", ErrorMessage: "try again"}
	case e.EventBusName != b.Name:
		return result{ErrorCode: "ResourceNotFoundException", ErrorMessage: "Event bus " + e.EventBusName + " does not exist."}
	case e.Source == "" || e.DetailType == "" || json.Unmarshal([]byte(e.Detail), &detail) != nil:
		return result{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	}
	b.events = append(b.events, e)
	return result{EventId: fmt.Sprintf("event-%d", len(b.events))}
}

// refuse answers that a call makes no sense.
func refuse(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message}) // as above
}
