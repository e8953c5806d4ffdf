// Package notify tells others of recordings that have begun, or have come to their end.
package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

const (
	attemptTimeout = 10 * time.Second
	tokenTTL       = 5 * time.Minute
)

// Event is the body of a webhook.
type Event struct {
	Event string `json:"event"` // "recording_started", "recording_stored" or "recording_ended"
	// ID is the same whenever the same beginning, or the same state of a recording that has ended, is told again.
	ID        string             `json:"id"`
	CreatedAt int64              `json:"createdAt"` // Unix time in seconds, as in LiveKit's webhooks
	Recording document.Recording `json:"recording"`
}

// Notifier posts to receivers, signed as LiveKit signs its webhooks: a JWT of the API key in Authorization, whose
// sha256 claim is the base64 of the body's SHA-256.
type Notifier struct {
	// Started says that receivers are told of beginnings, too.
	Started bool
	// Stored says that they are told of recordings with several parts before these are joined, too.
	Stored bool

	urls    map[string]*url.URL // by the names of receivers
	keys    *keys.Keys
	client  http.Client
	outside http.Client // for receivers that callers have named
	private bool        // these may be anywhere
	log     logrus.FieldLogger
}

// client calls a receiver.
func client() http.Client {
	return http.Client{
		Timeout: attemptTimeout,
		// The signed body goes to nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// New makes a notifier for these URLs. Private says whether recordings may have webhooks of their own that are not on
// the internet, or without TLS.
func New(urls []string, private bool, by *keys.Keys, log logrus.FieldLogger) (*Notifier, error) {
	n := &Notifier{
		urls:    map[string]*url.URL{},
		keys:    by,
		client:  client(),
		outside: outsideClient(private),
		private: private,
		log:     log,
	}
	for _, text := range urls {
		to, err := url.Parse(text)
		if err != nil {
			return nil, errors.New("read URLs of receivers of notices: one of them is no URL")
		}
		n.urls[nameOf(to)] = to
	}
	return n, nil
}

// nameOf names a receiver by its host, and what tells it from others there: the rest of a URL may be a secret.
func nameOf(to *url.URL) string {
	sum := sha256.Sum256([]byte(to.String()))
	return to.Host + "-" + hex.EncodeToString(sum[:4])
}

// Receivers names those who are to be told of a recording.
func (n *Notifier) Receivers(about document.Recording) []string {
	return slices.Concat(slices.Sorted(maps.Keys(n.urls)), slices.Sorted(maps.Keys(n.own(about))))
}

// Deliver tells a receiver that a recording has begun, or has come to its end. An error means that it should be tried
// again: the receiver cannot be reached, or asks for patience (429), or has a fault of its own (5xx). Whoever refuses,
// is no receiver any more, or is none that may be called, is not told again, and that is logged.
func (n *Notifier) Deliver(ctx context.Context, receiver string, recording document.Recording) error {
	log := n.log.WithFields(recording.Trace()).WithField("receiver", receiver)
	name, begins := strings.CutSuffix(receiver, ofBeginnings)
	name, stored := strings.CutSuffix(name, ofParts)
	to, by := n.receiver(name, recording)
	switch {
	case to == nil:
		log.Error("webhook cannot be delivered: this is no receiver any more")
		return nil
	case by == &n.outside && !n.private && to.Scheme != "https":
		metrics.Notices.With("webhook", "refused").Inc()
		log.Error("webhook is not delivered: its address is not https, and WEBHOOK_PRIVATE is off")
		return nil
	}

	recording.Webhooks = nil // an address may be a secret, and nobody else's business
	event := Event{
		Event:     "recording_ended",
		ID:        eventID(recording),
		CreatedAt: time.Now().Unix(),
		Recording: recording,
	}
	if begins {
		event.Event, event.ID = "recording_started", beginningID(recording)
	}
	if stored {
		event.Event, event.ID = "recording_stored", event.ID+"-stored"
	}
	status, err := n.tell(ctx, by, to, event)
	switch {
	case errors.Is(err, errPrivate): // neither will it be another time
		metrics.Notices.With("webhook", "refused").Inc()
		log.WithError(err).Error("webhook is not delivered, and not tried again")
		return nil
	case err != nil:
		metrics.Notices.With("webhook", "failed").Inc()
		return err
	case status < http.StatusMultipleChoices:
		metrics.Notices.With("webhook", "delivered").Inc()
		log.Info("webhook delivered")
		return nil
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		metrics.Notices.With("webhook", "failed").Inc()
		return fmt.Errorf("post event: the receiver answered %d %s", status, http.StatusText(status))
	}
	metrics.Notices.With("webhook", "refused").Inc()
	log.WithField("status", status).Error("webhook was refused, it is not tried again")
	return nil
}

// eventID names one state of a recording's document.
func eventID(recording document.Recording) string {
	sum := sha256.Sum256(fmt.Append(nil, recording.ID, recording.UpdatedAt.UnixNano()))
	return "EV_" + hex.EncodeToString(sum[:8])
}

// beginningID names a recording's beginning: it is told of with whatever the document says by then.
func beginningID(recording document.Recording) string {
	sum := sha256.Sum256([]byte(recording.ID + " begins"))
	return "EV_" + hex.EncodeToString(sum[:8])
}

// errSignature says that a receiver does not accept the signature.
var errSignature = errors.New("the signature was refused")

// tell posts an event, signed with the API key that the receiver accepts: the current one, or, while keys are changed,
// another. The status is the last answer's.
func (n *Notifier) tell(ctx context.Context, with *http.Client, to *url.URL, event Event) (status int, err error) {
	body, err := json.Marshal(event)
	if err != nil {
		return 0, fmt.Errorf("encode event: %w", err)
	}

	refused := func(err error) bool { return errors.Is(err, errSignature) }
	err = n.keys.Try(ctx, refused, func(key keys.Key) (err error) {
		status, err = n.post(ctx, with, to, key, body)
		if err == nil && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
			return errSignature
		}
		return err
	})
	if refused(err) {
		return status, nil // by all keys: that is the receiver's answer
	}
	return status, err
}

func (n *Notifier) post(ctx context.Context, with *http.Client, to *url.URL, key keys.Key, body []byte) (
	status int, err error) {
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(key.ID, key.Secret).SetValidFor(tokenTTL).
		SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
	if err != nil {
		return 0, fmt.Errorf("sign event: %w", err)
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/webhook+json")
	request.Header.Set("Authorization", token)
	response, err := with.Do(request)
	if err != nil {
		var whole *url.Error // names the URL, too
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return 0, fmt.Errorf("post event: %w", err)
	}
	_ = response.Body.Close() // nothing of it is read
	return response.StatusCode, nil
}
