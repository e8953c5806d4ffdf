package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"time"
)

// RestartLiveKit kills the LiveKit server and, after a while, starts it again at the same addresses.
func (s *Stack) RestartLiveKit(ctx context.Context, after time.Duration) error {
	s.liveKit.Kill()
	if err := Pass(ctx, after); err != nil {
		return err
	}
	return s.runLiveKit(ctx)
}

// Pass lets time pass.
func Pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// SilenceS3 makes S3 answer nothing at all on any connection, or lets new connections pass again.
func (s *Stack) SilenceS3(on bool) { s.s3Gate.Silence(on) }

// SilenceSQS makes SQS answer nothing at all, or only what it is asked from now on.
func (s *Stack) SilenceSQS(on bool) { s.sqsSilent.Store(on) }

// StopS3 kills the S3 stand-in. What is in the bucket stays.
func (s *Stack) StopS3() { s.s3.Kill() }

// StartS3 starts it again at the same address.
func (s *Stack) StartS3(ctx context.Context) error { return s.runS3(ctx) }

// CutSQS makes SQS answer nothing but errors, or ends that.
func (s *Stack) CutSQS(down bool) { s.sqsDown.Store(down) }

// DisturbSQS makes SQS do what it may, and rarely does: messages arrive late by up to 2 seconds, so not in their
// order, and one in three twice.
func (s *Stack) DisturbSQS(on bool) { s.disturbed.Store(on) }

// disturb does with a request to SQS what the faults say.
func (s *Stack) disturb(queues http.Handler, w http.ResponseWriter, r *http.Request) {
	switch {
	case s.sqsSilent.Load():
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice the end of the connection
		<-r.Context().Done()
	case s.sqsDown.Load():
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	case s.disturbed.Load():
		repeat(queues, w, r)
	default:
		queues.ServeHTTP(w, r)
	}
}

// repeat delays what is sent, and sends some of it twice.
func repeat(queues http.Handler, w http.ResponseWriter, r *http.Request) {
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
