// Package notify tells webhooks about recordings that have come to their end.
package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/utils/guid"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/ledger"
)

const (
	attemptTimeout = 10 * time.Second
	tokenTTL       = 5 * time.Minute
	retries        = 8 // with pauses of 1, 2, 4 … 30 s: about two minutes
)

// Event is the body of a completion webhook.
type Event struct {
	Event     string           `json:"event"` // "recording_ended"
	ID        string           `json:"id"`
	CreatedAt int64            `json:"createdAt"` // Unix time in seconds, as in LiveKit's webhooks
	Recording ledger.Recording `json:"recording"`
}

// Notifier posts to all URLs, signed as LiveKit signs its webhooks: a JWT of the API key in Authorization, whose sha256
// claim is the base64 of the body's SHA-256.
type Notifier struct {
	URLs              []string
	APIKey, APISecret string
	Log               logrus.FieldLogger

	wg sync.WaitGroup
}

// Ended tells every URL that a recording has come to its end. It returns at once.
func (n *Notifier) Ended(recording ledger.Recording) {
	event := Event{Event: "recording_ended", ID: guid.New("EV_"), CreatedAt: time.Now().Unix(), Recording: recording}
	for _, url := range n.URLs {
		n.wg.Go(func() {
			log := n.Log.WithFields(logrus.Fields{"url": url, "recording": recording.ID, "room": recording.Room,
				"participant": recording.Participant})
			if err := n.post(url, event); err != nil {
				log.WithError(err).Error("completion webhook could not be delivered")
				return
			}
			log.Info("completion webhook delivered")
		})
	}
}

// Wait returns when all is delivered or given up, or when ctx is done.
func (n *Notifier) Wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { n.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		n.Log.Warn("shutting down before every completion webhook was delivered")
	}
}

func (n *Notifier) post(url string, event Event) error {
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	sum := sha256.Sum256(body)
	client := retryablehttp.NewClient()
	client.Logger, client.RetryMax, client.HTTPClient.Timeout = nil, retries, attemptTimeout
	client.PrepareRetry = func(r *http.Request) error {
		token, err := auth.NewAccessToken(n.APIKey, n.APISecret).SetValidFor(tokenTTL).
			SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
		r.Header.Set("Authorization", token)
		return err
	}
	request, err := retryablehttp.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/webhook+json")
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
