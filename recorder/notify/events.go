package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
)

const (
	// eventSource and detailType are by what rules of EventBridge know our events.
	eventSource = "livekit-participant-recorder"
	detailType  = "Recording State Change"
	// maxEvent is how many bytes source, detail type and detail of an event may have together, at most (EventBridge user
	// guide, "Calculating PutEvents event entry size": less than 256 KB).
	maxEvent = 256<<10 - 1
)

// Bus is an EventBridge bus, which gets an event when a recording begins and when it ends: the detail is its document.
type Bus struct {
	Client *eventbridge.Client
	// Name is its name or ARN.
	Name string
	Log  logrus.FieldLogger
}

// Put puts the event of a recording's state on the bus. Any error means that it should be tried again: that the bus is
// missing, or that there is no right to it, is for somebody to repair, who has a day.
func (b *Bus) Put(ctx context.Context, recording document.Recording) error {
	log := b.Log.WithFields(recording.Trace()).WithField("state", recording.State)
	detail, err := detailOf(recording, log)
	if err != nil {
		return err
	}

	out, err := b.Client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.Name,
		Source:       aws.String(eventSource),
		DetailType:   aws.String(detailType),
		Detail:       aws.String(detail),
	}}})
	if err == nil {
		err = refused(out)
	}
	if err != nil {
		metrics.Notices.With("event_bus", "failed").Inc()
		return fmt.Errorf("put event: %w", err)
	}
	metrics.Notices.With("event_bus", "delivered").Inc()
	log.Info("event is on the bus")
	return nil
}

// refused is why an entry was not taken, although the call has succeeded: it does as long as it could be read.
func refused(out *eventbridge.PutEventsOutput) error {
	if out.FailedEntryCount == 0 {
		return nil
	}
	for _, entry := range out.Entries {
		if entry.ErrorCode != nil {
			return fmt.Errorf("%s: %s", *entry.ErrorCode, aws.ToString(entry.ErrorMessage))
		}
	}
	return errors.New("the entry was refused, without a reason")
}

// detailOf encodes a document, or as much of it as an event may have: without its gaps, then without what is said of
// tracks, then without parts. All of it is beside the recording's files, and answered over REST.
func detailOf(recording document.Recording, log logrus.FieldLogger) (string, error) {
	const room = maxEvent - len(eventSource) - len(detailType)
	for _, smaller := range []func(document.Recording) document.Recording{
		func(r document.Recording) document.Recording { return r },
		document.Recording.WithoutGaps,
		document.Recording.WithoutTracks,
		func(r document.Recording) document.Recording { r.Parts = nil; return r },
	} {
		recording = smaller(recording)
		detail, err := json.Marshal(recording)
		if err != nil {
			return "", fmt.Errorf("encode event: %w", err)
		}
		if len(detail) <= room {
			return string(detail), nil
		}
		log.WithField("bytes", len(detail)).Warn("document is too large for an event, some of it is left out")
	}
	return "", errors.New("encode event: the document is too large without any part") // names and reasons are bounded
}
