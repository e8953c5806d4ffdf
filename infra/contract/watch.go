package contract

import (
	"bytes"
	"net/http"
	"slices"
	"sync"
)

// Watch collects what is not as promised. It may be used by several goroutines.
type Watch struct {
	Contract *Contract

	mu     sync.Mutex
	broken []string
	seen   int
}

// Note notes what the check of something has said.
func (w *Watch) Note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	if err != nil && !slices.Contains(w.broken, err.Error()) {
		w.broken = append(w.broken, err.Error())
	}
}

// Broken is everything so far that was not as promised, and how much was looked at.
func (w *Watch) Broken() (broken []string, seen int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.broken), w.seen
}

// Answers checks everything that a handler answers.
func (w *Watch) Answers(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: out}
		handler.ServeHTTP(a, r)
		if a.status == 0 && r.Context().Err() != nil {
			return // the caller has gone, and nobody has answered
		}
		w.Note(w.Contract.Answer(r.Method, r.URL.EscapedPath(), a.status, a.Header(), a.body.Bytes()))
	})
}

// answer passes on what a handler writes, and keeps it.
type answer struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

// WriteHeader passes on the status; the first one counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write passes on a part of the body.
func (a *answer) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.body.Write(data)
	return a.ResponseWriter.Write(data)
}
