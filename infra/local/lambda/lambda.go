// Package lambda runs a Lambda function's bootstrap binary behind a local HTTP listener: it speaks the Lambda Runtime
// API (AWS Lambda developer guide, "Using the Lambda runtime API") to the binary, and makes API Gateway's payload 2.0
// events of HTTP requests.
package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/livekit/protocol/utils/guid"
)

// maxRequest is API Gateway's limit for a request body, in bytes.
const maxRequest = 10 << 20

// Gateway hands HTTP requests to a function as events. Any number of instances may poll its Runtime API.
type Gateway struct {
	invocations chan *invocation
	timeout     time.Duration // the function's time limit

	mu      sync.Mutex
	waiting map[string]*invocation
}

type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	done     chan outcome // has room for one
}

type outcome struct {
	body   []byte
	failed bool
}

// New makes a gateway without any instance yet, to a function that may take so long.
func New(timeout time.Duration) *Gateway {
	return &Gateway{invocations: make(chan *invocation), timeout: timeout, waiting: map[string]*invocation{}}
}

// ServeHTTP is the HTTP API's side.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		message(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}

	event, err := json.Marshal(eventOf(r, body))
	if err != nil {
		message(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}

	ctx, cancel := context.WithTimeout(r.Context(), g.timeout)
	defer cancel()
	out, err := g.invoke(ctx, event)
	if err != nil {
		message(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}

	respond(w, out)
}

func (g *Gateway) invoke(ctx context.Context, event []byte) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	i := &invocation{
		id:       guid.New("invocation-"),
		event:    event,
		deadline: deadline,
		done:     make(chan outcome, 1),
	}

	g.mu.Lock()
	g.waiting[i.id] = i
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.waiting, i.id)
		g.mu.Unlock()
	}()

	select {
	case g.invocations <- i:
	case <-ctx.Done():
		return nil, ctx.Err()
	}

	select {
	case out := <-i.done:
		if out.failed {
			return nil, fmt.Errorf("function failed: %s", out.body)
		}
		return out.body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// eventOf makes the payload 2.0 event (API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP
// APIs"): header names in lower case, several values joined by commas, cookies apart, and bodies in base64 unless
// they are text.
func eventOf(r *http.Request, body []byte) events.APIGatewayV2HTTPRequest {
	event := events.APIGatewayV2HTTPRequest{
		Version:        "2.0",
		RouteKey:       "$default",
		RawPath:        r.URL.EscapedPath(),
		RawQueryString: r.URL.RawQuery,
		Headers:        map[string]string{"host": r.Host},
		Body:           string(body),
	}
	if path := r.URL.Path; path != "" {
		event.RawPath = path
	}

	for name, values := range r.Header {
		if name = strings.ToLower(name); name == "cookie" {
			event.Cookies = strings.Split(strings.Join(values, "; "), "; ")
			continue
		}
		event.Headers[name] = strings.Join(values, ",")
	}

	for name, values := range r.URL.Query() {
		if event.QueryStringParameters == nil {
			event.QueryStringParameters = map[string]string{}
		}
		event.QueryStringParameters[name] = strings.Join(values, ",")
	}

	source, _, _ := net.SplitHostPort(r.RemoteAddr) // empty when there is none
	event.RequestContext = events.APIGatewayV2HTTPRequestContext{
		RouteKey:  "$default",
		Stage:     "$default",
		RequestID: guid.New("request-"),
		TimeEpoch: time.Now().UnixMilli(),
		HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
			Method:    r.Method,
			Path:      event.RawPath,
			Protocol:  r.Proto,
			SourceIP:  source,
			UserAgent: r.UserAgent(),
		},
	}
	if len(body) > 0 && !isText(r.Header.Get("Content-Type")) {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}

	return event
}

func isText(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType) // what cannot be read is no text
	switch media {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(media, "text/")
}

func respond(w http.ResponseWriter, out []byte) {
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(out, &response); err != nil || response.StatusCode == 0 {
		message(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}

	body := []byte(response.Body)
	if response.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(response.Body)
		if err != nil {
			message(w, http.StatusInternalServerError, "Internal Server Error")
			return
		}
		body = decoded
	}

	for name, value := range response.Headers {
		w.Header().Set(name, value)
	}

	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(body) // the client has gone
}

func message(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text}) // the client has gone
}

// Runtime is the Runtime API's side, for AWS_LAMBDA_RUNTIME_API.
func (g *Gateway) Runtime() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case i := <-g.invocations:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(i.deadline.UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:local")
			_, _ = w.Write(i.event) // a binary that dies now leaves the invocation to its timeout
		}
	})

	finish := func(failed bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err = errors.Join(err, g.finish(r.PathValue("id"), outcome{body, failed})); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusAccepted)
		}
	}

	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", finish(false))
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", finish(true))
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

func (g *Gateway) finish(id string, out outcome) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.waiting[id]
	if i == nil {
		return errors.New("there is no such invocation")
	}
	delete(g.waiting, id)
	i.done <- out
	return nil
}
