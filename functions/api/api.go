package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/livekit/protocol/auth"
	"github.com/sirupsen/logrus"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// maxBody is the largest request body, in bytes: LiveKit's webhooks and our requests are a few kilobytes.
const maxBody = 256 << 10

// sendTimeout bounds the sending of a command, the SDK's retries included: LiveKit drops webhooks that are not answered.
const sendTimeout = 8 * time.Second

// attemptTimeout bounds one attempt of a call to SQS or S3: a connection whose other end has gone, perhaps while the
// function was frozen, must leave time for another one.
const attemptTimeout = 3 * time.Second

// api answers requests. It has no state of its own.
type api struct {
	keys             auth.KeyProvider
	starts, controls *queue.Queue
	documents        *ledger.Documents // nil without a bucket
	rules            rules
	log              logrus.FieldLogger
}

// request is an HTTP request as far as it concerns us.
type request struct {
	authorization string
	body          []byte
	query         map[string]string
	id            string // the last segment of /recordings/{id}
}

// problem is an error answer.
type problem struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	allow   string // methods, for 405
	cause   error
}

func (p *problem) Error() string { return p.Message }

// route is one row of the routing table.
type route struct {
	method, path string
	handle       func(*api, context.Context, request) (status int, answer any, err error)
}

var routes = []route{
	{http.MethodPost, "/recordings/start", (*api).start},
	{http.MethodPost, "/recordings/stop", (*api).stop},
	{http.MethodPost, "/recordings/webhooks", (*api).webhook},
	{http.MethodGet, "/recordings", (*api).list},
	{http.MethodGet, "/recordings/{id}", (*api).get},
	{http.MethodGet, "/health", (*api).health},
}

// handle answers one event of an HTTP API with payload format 2.0.
func (a *api) handle(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	method := event.RequestContext.HTTP.Method
	status, answer, err := a.serve(ctx, method, event)
	headers := map[string]string{"content-type": "application/json", "cache-control": "no-store"}
	log := a.log.WithFields(logrus.Fields{
		"method": method, "path": event.RawPath, "request": event.RequestContext.RequestID,
	})
	if err != nil {
		p := asProblem(err)
		if p.status >= http.StatusInternalServerError {
			log.WithError(p.cause).Error(p.Message)
		} else {
			log.WithFields(logrus.Fields{"status": p.status, "field": p.Field}).Info(p.Message)
		}
		if p.allow != "" {
			headers["allow"] = p.allow
		}
		status, answer = p.status, map[string]any{"error": p}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, fmt.Errorf("encode answer: %w", err)
	}
	return events.APIGatewayV2HTTPResponse{StatusCode: status, Headers: headers, Body: string(body)}, nil
}

func (a *api) serve(ctx context.Context, method string, event events.APIGatewayV2HTTPRequest) (int, any, error) {
	path := strings.TrimSuffix(event.RawPath, "/")
	var allowed []string
	for _, r := range routes {
		id, ok := match(r.path, path)
		if !ok || slices.Contains(allowed, r.method) {
			continue
		}
		if r.method != method {
			allowed = append(allowed, r.method)
			continue
		}
		body, err := bodyOf(event)
		if err != nil {
			return 0, nil, err
		}
		return r.handle(a, ctx, request{
			authorization: header(event, "authorization"), body: body, query: event.QueryStringParameters, id: id,
		})
	}
	if len(allowed) > 0 {
		return 0, nil, &problem{status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
			Message: method + " is not allowed here, only " + strings.Join(allowed, ", "), allow: strings.Join(allowed, ", ")}
	}
	return 0, nil, &problem{status: http.StatusNotFound, Code: "not_found", Message: "there is no such route"}
}

// match compares a path with a pattern; the pattern may end in {id}. Named paths win over {id}.
func match(pattern, path string) (id string, ok bool) {
	prefix, hasID := strings.CutSuffix(pattern, "{id}")
	if !hasID {
		return "", pattern == path
	}
	id, ok = strings.CutPrefix(path, prefix)
	named := slices.ContainsFunc(routes, func(r route) bool { return r.path == path })
	return id, ok && id != "" && !strings.Contains(id, "/") && !named
}

func bodyOf(event events.APIGatewayV2HTTPRequest) ([]byte, error) {
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return nil, invalid("", "the body is not valid base64")
		}
		body = decoded
	}
	if len(body) > maxBody {
		return nil, &problem{status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Message: fmt.Sprintf("the body has %d bytes, at most %d are allowed", len(body), maxBody)}
	}
	return body, nil
}

// header finds a header whatever its case: API Gateway sends lower case, other front ends may not.
func header(event events.APIGatewayV2HTTPRequest, name string) string {
	for key, value := range event.Headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

func invalid(field, format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, Code: "invalid", Message: fmt.Sprintf(format, args...), Field: field}
}

// unavailable is an answer after which the caller should try again: LiveKit does so for its webhooks.
func unavailable(message string, cause error) *problem {
	return &problem{status: http.StatusServiceUnavailable, Code: "unavailable", Message: message, cause: cause}
}

func asProblem(err error) *problem {
	var p *problem
	var field *command.FieldError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &field):
		return invalid(field.Field, "%s", field.Error())
	}
	return &problem{status: http.StatusInternalServerError, Code: "internal", Message: "internal error", cause: err}
}

// send puts a command on its queue.
func (a *api) send(ctx context.Context, c command.Command) error {
	body, err := c.Encode()
	if err != nil {
		return err
	}
	q := a.starts
	if c.Action == command.Stop {
		q = a.controls
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := q.Send(ctx, body); err != nil {
		return unavailable("the command could not be queued, try again", err)
	}
	a.log.WithFields(logrus.Fields{
		"action": c.Action, "command": c.ID, "recording": c.Recording, "room": c.Room, "participant": c.Participant,
	}).Info("command queued")
	return nil
}

func (a *api) health(context.Context, request) (int, any, error) {
	return http.StatusOK, map[string]string{"status": "ok"}, nil
}
