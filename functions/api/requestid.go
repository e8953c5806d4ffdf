package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/livekit/protocol/utils/guid"
	"github.com/sirupsen/logrus"
)

// requestIDHeader is where a caller may name its request, and where the answer says how it is called.
const requestIDHeader = "X-Request-Id"

// maxRequestID is the longest id that is taken over from a caller, in bytes.
const maxRequestID = 128

// requestID is the key of a request's id in its context.
type requestID struct{}

// WithRequestID gives a request an id: it is answered, and everything that is logged about what the request asks for
// has it, in this program and in recorders. Without one, the id is the caller's, in the header X-Request-Id, or a new
// one.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestID{}, id)
}

// idOf is a request's id; empty if it has none.
func idOf(ctx context.Context) string {
	id, _ := ctx.Value(requestID{}).(string)
	return id
}

// identified is a request with an id.
func identified(r *http.Request) *http.Request {
	if idOf(r.Context()) != "" {
		return r
	}
	id := r.Header.Get(requestIDHeader)
	if !plain(id) {
		id = guid.New("RQ_")
	}
	return r.WithContext(WithRequestID(r.Context(), id))
}

// plain says whether a caller's id can be taken over: it goes into logs, documents and headers.
func plain(id string) bool {
	return id != "" && len(id) <= maxRequestID && !strings.ContainsFunc(id, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\\'
	})
}

// logFor is the log of one request.
func (a *api) logFor(ctx context.Context) logrus.FieldLogger {
	return a.Log.WithField("request", idOf(ctx))
}
