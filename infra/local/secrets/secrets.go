// Package secrets is a stand-in for AWS Secrets Manager on one machine: it has one secret, whose versions can be read by
// their labels, in the AWS JSON 1.1 protocol.
package secrets

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ARN is the address of the secret.
const ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:livekit-AbCdEf"

// Server has the secret.
type Server struct {
	mu       sync.Mutex
	versions []version // the newest is the last
	previous bool      // the version before has its label
	status   int       // of every answer, unless it is 0
	reads    int
}

type version struct {
	text string
	made time.Time
}

// New makes a server with a first version of the secret.
func New(text string) *Server {
	s := &Server{}
	s.Put(text, time.Now())
	return s
}

// KeyText is the text of a secret that has an API key.
func KeyText(id, secret string) string {
	text, _ := json.Marshal(map[string]string{"LIVEKIT_API_KEY": id, "LIVEKIT_API_SECRET": secret}) // of strings
	return string(text)
}

// Put makes a text the current version, as of a time. The one before becomes the previous version.
func (s *Server) Put(text string, made time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.previous = len(s.versions) > 0
	s.versions = append(s.versions, version{text, made})
}

// Forget takes the label away from the previous version.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.previous = false
}

// Fail answers every call with a status; 0 ends that.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Reads is how often a current version has been read.
func (s *Server) Reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ SecretId, VersionStage string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "SerializationException", err.Error())
		return
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.status >= http.StatusInternalServerError:
		refuse(w, s.status, "InternalServiceError", "out of order")
	case s.status != 0:
		refuse(w, s.status, "AccessDeniedException", "not authorized to perform: secretsmanager:GetSecretValue")
	case r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue":
		refuse(w, http.StatusBadRequest, "UnknownOperationException", "")
	case in.SecretId != ARN:
		refuse(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	default:
		s.answer(w, in.VersionStage)
	}
}

func (s *Server) answer(w http.ResponseWriter, stage string) {
	n := len(s.versions) - 1
	switch {
	case stage == "AWSCURRENT" || stage == "":
		s.reads++
	case stage == "AWSPREVIOUS" && s.previous:
		n--
	default:
		refuse(w, http.StatusBadRequest, "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value for staging label: "+stage)
		return
	}

	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client has gone
		"ARN":          ARN,
		"CreatedDate":  float64(s.versions[n].made.UnixMilli()) / 1000,
		"Name":         "livekit",
		"SecretString": s.versions[n].text,
		"VersionId":    fmt.Sprintf("%08d-0000-4000-8000-000000000000", n),
	})
}

func refuse(w http.ResponseWriter, status int, name, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": name, "message": message}) // the client has gone
}
