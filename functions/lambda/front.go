package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"livekit-recorder/functions/api"
)

// front makes HTTP requests of API Gateway's events with payload format 2.0, and its responses of the handler's answers
// (API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs").
type front struct{ handler http.Handler }

// handle answers one event.
func (f front) handle(
	ctx context.Context, event events.APIGatewayV2HTTPRequest,
) (events.APIGatewayV2HTTPResponse, error) {
	ctx = api.WithRequestID(ctx, event.RequestContext.RequestID)
	r, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, "/", bodyOf(event))
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, fmt.Errorf("read event: %w", err)
	}

	r.URL = addressOf(event)
	for name, value := range event.Headers {
		r.Header.Set(name, value) // several values come joined by commas, which means the same
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	if len(event.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}

	w := &answer{header: http.Header{}}
	f.handler.ServeHTTP(w, r)
	return w.response(), nil
}

// bodyOf decodes the body while it is read: the handler's limit holds for that too, and its faults are the handler's to
// answer.
func bodyOf(event events.APIGatewayV2HTTPRequest) io.Reader {
	body := strings.NewReader(event.Body)
	if event.IsBase64Encoded {
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}

// addressOf takes the path encoded or not: HTTP APIs have decoded rawPath, despite its name, function URLs have not. A
// path that is decoded twice has a percent sign in it even then; no path and no id of ours has any.
func addressOf(event events.APIGatewayV2HTTPRequest) *url.URL {
	address := &url.URL{Path: event.RawPath, RawQuery: event.RawQueryString}
	if decoded, err := url.PathUnescape(event.RawPath); err == nil {
		address.Path, address.RawPath = decoded, event.RawPath
	}
	return address
}

// answer collects what the handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header are the headers so far.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status; the first one counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write adds to the body, and never fails.
func (a *answer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}

// response is for text: there is nothing else that our handler answers with.
func (a *answer) response() events.APIGatewayV2HTTPResponse {
	a.WriteHeader(http.StatusOK)

	headers := map[string]string{}
	for name, values := range a.header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	return events.APIGatewayV2HTTPResponse{
		StatusCode: a.status,
		Headers:    headers,
		Body:       a.body.String(),
	}
}
