package stack

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
)

// DisturbSQS makes SQS do what it may, and rarely does: messages arrive late by up to 2 seconds, so not in their order, and
// one in three twice.
func (s *Stack) DisturbSQS(on bool) { s.disturbed.Store(on) }

func disturb(queues http.Handler, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var message map[string]any
	if r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessage" && json.Unmarshal(body, &message) == nil {
		again := func(to http.ResponseWriter) {
			message["DelaySeconds"] = rand.IntN(3)
			changed, _ := json.Marshal(message) // it came from JSON
			copied := r.Clone(r.Context())
			copied.Body = io.NopCloser(bytes.NewReader(changed))
			queues.ServeHTTP(to, copied)
		}
		if rand.IntN(3) == 0 {
			again(httptest.NewRecorder())
		}
		again(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	queues.ServeHTTP(w, r)
}
