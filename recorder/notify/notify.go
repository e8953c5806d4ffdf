// Package notify tells webhooks about recordings that have come to their end.
package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/document"
)

const (
	attemptTimeout = 10 * time.Second
	tokenTTL       = 5 * time.Minute
	// maxPause is the longest pause between two attempts; they begin with a second.
	maxPause = 5 * time.Minute
	// deliverFor is how long a receiver may be away.
	deliverFor = 24 * time.Hour
)

// Event is the body of a completion webhook.
type Event struct {
	Event string `json:"event"` // "recording_ended"
	// ID is the same whenever the same state of a recording is told again.
	ID        string             `json:"id"`
	CreatedAt int64              `json:"createdAt"` // Unix time in seconds, as in LiveKit's webhooks
	Recording document.Recording `json:"recording"`
}

// Notifier posts to all URLs, signed as LiveKit signs its webhooks: a JWT of the API key in Authorization, whose
// sha256 claim is the base64 of the body's SHA-256.
type Notifier struct {
	URLs              []string
	APIKey, APISecret string
	Log               logrus.FieldLogger
}

// Tell tells every URL that a recording has come to its end, and returns when all of them have it. A receiver that is
// away is tried again for a day; one that refuses is not. The error is that ctx was done before.
func (n *Notifier) Tell(ctx context.Context, recording document.Recording) error {
	bounded, cancel := context.WithTimeout(ctx, deliverFor)
	defer cancel()

	event := Event{
		Event:     "recording_ended",
		ID:        eventID(recording),
		CreatedAt: time.Now().Unix(),
		Recording: recording,
	}

	var deliveries sync.WaitGroup
	for _, url := range n.URLs {
		deliveries.Go(func() {
			log := n.Log.WithFields(logrus.Fields{
				"url":         url,
				"recording":   recording.ID,
				"room":        recording.Room,
				"participant": recording.Participant,
			})
			if err := n.post(bounded, url, event); err == nil {
				log.Info("completion webhook delivered")
			} else if ctx.Err() == nil {
				log.WithError(err).Error("completion webhook could not be delivered")
			}
		})
	}

	deliveries.Wait()
	return context.Cause(ctx)
}

// eventID names one state of a recording's document.
func eventID(recording document.Recording) string {
	sum := sha256.Sum256(fmt.Append(nil, recording.ID, recording.UpdatedAt.UnixNano()))
	return "EV_" + hex.EncodeToString(sum[:8])
}

func (n *Notifier) post(ctx context.Context, url string, event Event) error {
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/webhook+json")

	client := n.client(sha256.Sum256(body))
	if err := client.PrepareRetry(request.Request); err != nil {
		return fmt.Errorf("sign event: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("post event: %w", err)
	}
	_ = response.Body.Close() // nothing of it is read
	if response.StatusCode >= 300 {
		return fmt.Errorf("post event: the receiver answered %s", response.Status)
	}
	return nil
}

// client tries again until its request's context is done, each time with a fresh signature of the body with that sum.
func (n *Notifier) client(sum [sha256.Size]byte) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.RetryMax, client.RetryWaitMax, client.HTTPClient.Timeout = math.MaxInt, maxPause, attemptTimeout
	client.PrepareRetry = func(r *http.Request) error {
		token, err := auth.NewAccessToken(n.APIKey, n.APISecret).SetValidFor(tokenTTL).
			SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
		r.Header.Set("Authorization", token)
		return err
	}
	return client
}
