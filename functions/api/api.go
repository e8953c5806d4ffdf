// Package api answers the service's HTTP requests: it verifies and validates REST calls and LiveKit's webhooks, puts
// commands on the queues, and reads documents. It knows no media, and not where it runs: in a Lambda function
// (functions/lambda), or behind any other HTTP server.
package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/keys"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// maxBody is the largest request body, in bytes: LiveKit's webhooks and our requests are a few kilobytes.
const maxBody = 256 << 10

// sendTimeout bounds the sending of a command, the SDK's retries included: LiveKit drops webhooks that are not
// answered.
const sendTimeout = 8 * time.Second

// Config is what the handler works with.
type Config struct {
	Keys       *keys.Keys        // of LiveKit: they sign webhooks and tokens
	Starts     *queue.Queue      // takes start commands
	Controls   *queue.Queue      // takes stop commands
	Documents  *ledger.Documents // nil without a bucket: recordings cannot be looked at then
	AutoRecord Rules             // who is recorded when they join
	Kinds      Kinds             // of participants, to whom AutoRecord applies
	Targets    Targets           // what is recorded of them
	// PrivateWebhooks says that recordings may have webhooks that are not on the internet, or without TLS.
	PrivateWebhooks bool
	Now             func() time.Time // the clock that orders commands; nil: time.Now
	// Wake sees to it that there is somebody to take a start; nil: there always is. It is bounded, and may fail in
	// silence: the start waits on its queue.
	Wake func(context.Context)
	Log  logrus.FieldLogger
}

// api is the handler. It remembers nothing but what answered last.
type api struct {
	Config

	routes *http.ServeMux
	vitals vitals
}

// OpenAPI describes all routes and everything that they take and answer. The repository's top has a link to it.
//
//go:embed openapi.yaml
var OpenAPI []byte

// New makes the handler of all routes. It answers with JSON, errors too.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}

	a := &api{
		Config: c,
		routes: http.NewServeMux(),
	}
	a.route(http.MethodPost, "/recordings/start", a.start)
	a.route(http.MethodPost, "/recordings/stop", a.stop)
	a.route(http.MethodPost, "/recordings/webhooks", a.webhook)
	a.route(http.MethodGet, "/recordings", a.list)
	a.route(http.MethodGet, "/recordings/{id}", a.get)
	a.route(http.MethodGet, "/health", a.health)
	a.routes.HandleFunc("/openapi.yaml", a.describe)
	a.routes.HandleFunc("/", a.notFound)

	return a
}

// handler answers one kind of request.
type handler func(context.Context, request) (status int, answer any, err error)

// request is an HTTP request as far as it concerns us.
type request struct {
	authorization string
	body          []byte
	query         string
	id            string    // of /recordings/{id}
	received      time.Time // by our own clock
}

// route sends the requests for a path to its handler. The pattern names no method: ServeMux would answer other methods
// in plain text, take HEAD for GET, and the start in GET /recordings/start for an id.
func (a *api) route(method, pattern string, handle handler) {
	a.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			a.fail(w, r, notAllowed(r.Method, method))
			return
		}

		received := a.Now()
		body, err := read(w, r)
		if err != nil {
			a.fail(w, r, err)
			return
		}

		status, answer, err := handle(r.Context(), request{
			authorization: r.Header.Get("Authorization"),
			body:          body,
			query:         r.URL.RawQuery,
			id:            r.PathValue("id"),
			received:      received,
		})
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.answer(w, r, status, answer)
	})
}

// ServeHTTP answers a request. One slash at the end of the path is ignored. Paths with // or .. in them, which ServeMux
// would redirect to tidied ones, do not exist.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = identified(r)
	w.Header().Set(requestIDHeader, idOf(r.Context()))

	escaped, slash := strings.CutSuffix(r.URL.EscapedPath(), "/")
	if path.Clean("/"+escaped) != escaped {
		a.notFound(w, r)
		return
	}

	trimmed, address := *r, *r.URL
	trimmed.URL = &address
	if slash {
		address.Path = strings.TrimSuffix(address.Path, "/")
		address.RawPath = strings.TrimSuffix(address.RawPath, "/")
	}
	a.routes.ServeHTTP(w, &trimmed)
}

func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	a.fail(w, r, notFound("", "there is no such route"))
}

// read reads the body, and no more of it than is allowed.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))

	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &problem{
			status:  http.StatusRequestEntityTooLarge,
			Code:    "too_large",
			Message: fmt.Sprintf("the body has more than the %d bytes that are allowed", maxBody),
		}
	case err != nil:
		return nil, invalid("", "the body cannot be read: %v", err)
	}
	return body, nil
}

// fail logs an error and answers with it.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	log := a.logOf(r)
	if p.status >= http.StatusInternalServerError {
		log.WithError(p.cause).Error(p.Message)
	} else {
		log.WithFields(logrus.Fields{"status": p.status, "field": p.Field}).Info(p.Message)
	}

	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	a.answer(w, r, p.status, map[string]any{"error": p})
}

func (a *api) answer(w http.ResponseWriter, r *http.Request, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		a.fail(w, r, fmt.Errorf("encode answer: %w", err)) // of which the answer can be encoded
		return
	}

	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error says that the caller has gone
}

func (a *api) logOf(r *http.Request) logrus.FieldLogger {
	return a.logFor(r.Context()).WithFields(logrus.Fields{"method": r.Method, "path": r.URL.Path})
}

// send puts a command on its queue.
func (a *api) send(ctx context.Context, c command.Command) error {
	body, err := c.Encode()
	if err != nil {
		return err
	}

	q := a.Starts
	if c.Action == command.Stop {
		q = a.Controls
	}
	// Beside the sending: neither waits for the other, and a function that has answered is frozen.
	var waking sync.WaitGroup
	defer waking.Wait()
	if c.Action == command.Start && a.Wake != nil {
		waking.Go(func() { a.Wake(ctx) })
	}

	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := q.Send(bounded, body); err != nil {
		return unavailable("the command could not be queued, try again", err)
	}

	a.Log.WithFields(c.Trace()).WithField("action", c.Action).Info("command queued")
	return nil
}

// describe answers with [OpenAPI]: the only answer that is no JSON.
func (a *api) describe(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		a.fail(w, r, notAllowed(r.Method, http.MethodGet))
		return
	}

	w.Header().Set("Content-Type", "application/yaml")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(OpenAPI) // an error says that the caller has gone
}
