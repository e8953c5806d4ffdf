package simulate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
)

// The API key that webhooks and REST calls are signed with.
const (
	apiKey    = "devkey"
	apiSecret = "a secret that is long enough for anybody"
)

// front is the function as LiveKit and REST clients reach it, and what they were answered.
type front struct {
	handler http.Handler
	journal *journal

	mu    sync.Mutex
	hooks []hookAnswer
	calls []restAnswer
}

// hookAnswer is a webhook that the function has taken.
type hookAnswer struct {
	event, person, session string
	at                     time.Time // of the answer
}

// restAnswer is a REST call that was answered with 202, or (doubtful) with a server's error.
type restAnswer struct {
	start     bool
	doubtful  bool
	person    string
	target    string // of a start
	recording string // of a start, or of a stop by id
	sent, at  time.Time
}

// serve has the function answer a request.
func (f *front) serve(method, path, authorization string, body []byte) (status int, answer []byte) {
	r, err := http.NewRequestWithContext(context.Background(), method, "https://api.simulated"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, r)
	return recorder.Code, recorder.Body.Bytes()
}

// event is a webhook as LiveKit sends it.
type event struct {
	name, room, person, session, reason string
	at                                  time.Time
}

func (e event) body(id int) []byte {
	participant := map[string]any{
		"sid": e.session, "identity": e.person, "joinedAt": strconv.FormatInt(e.at.Unix(), 10),
	}
	if e.name == "participant_joined" {
		participant["joinedAtMs"] = strconv.FormatInt(e.at.UnixMilli(), 10)
	}

	if e.reason != "" {
		participant["disconnectReason"] = e.reason
	}

	body, _ := json.Marshal(map[string]any{ // plain data
		"event":       e.name,
		"id":          fmt.Sprintf("EV_%d", id),
		"createdAt":   strconv.FormatInt(e.at.Unix(), 10),
		"room":        map[string]any{"name": e.room},
		"participant": participant,
	})

	return body
}

// post delivers a webhook, as the plan says, and as LiveKit does: it tries again for a while on 5xx.
func (f *front) post(e event, id int, fate Hook) {
	if fate.Never {
		f.journal.note("webhook", "%s of %s %s gets lost", e.name, e.person, e.session)
		return
	}

	body := e.body(id)
	deliver := func(after time.Duration) {
		time.Sleep(after)
		for wait := time.Second; wait < 30*time.Second; wait *= 2 {
			if status, _ := f.serve(http.MethodPost, "/recordings/webhooks", sign(body), body); status < 500 {
				f.journal.note("webhook", "%s of %s %s: %d", e.name, e.person, e.session, status)
				f.taken(e, status)
				return
			}
			time.Sleep(wait)
		}
		f.journal.note("webhook", "%s of %s %s is given up", e.name, e.person, e.session)
	}
	go deliver(seconds(fate.Late) + 50*time.Millisecond)
	if fate.Twice {
		go deliver(seconds(fate.Late)*2 + 200*time.Millisecond)
	}
}

func (f *front) taken(e event, status int) {
	if status != http.StatusOK {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hooks = append(f.hooks, hookAnswer{e.name, e.person, e.session, time.Now()})
}

func sign(body []byte) string {
	sum := sha256.Sum256(body)
	token := auth.NewAccessToken(apiKey, apiSecret).SetValidFor(time.Minute)
	jwt, _ := token.SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT() // the key is there
	return jwt
}

func bearer() string {
	token := auth.NewAccessToken(apiKey, apiSecret).SetVideoGrant(&auth.VideoGrant{RoomRecord: true})
	jwt, _ := token.SetValidFor(time.Minute).ToJWT() // the key is there
	return "Bearer " + jwt
}

// start asks for a recording by REST.
func (f *front) start(room, person, target string) {
	in := map[string]string{"room": room, "participant": person}
	switch target {
	case "audio", "video":
		in["media"] = target
	case "camera":
		in["track"] = target
	default:
		target = "av"
	}

	body, _ := json.Marshal(in) // plain data

	began := time.Now()
	status, out := f.serve(http.MethodPost, "/recordings/start", bearer(), body)
	var recording struct{ ID string }
	_ = json.Unmarshal(out, &recording) // empty unless it was accepted
	f.journal.note("rest", "start of %s %s: %d %s", person, target, status, recording.ID)

	f.accepted(status, restAnswer{
		start:     true,
		person:    person,
		target:    target,
		recording: recording.ID,
		sent:      began,
		at:        time.Now(),
	})
}

// stop asks for the end of everything of a person.
func (f *front) stop(room, person string) {
	body, _ := json.Marshal(map[string]string{"room": room, "participant": person}) // plain data
	began := time.Now()
	status, _ := f.serve(http.MethodPost, "/recordings/stop", bearer(), body)
	f.journal.note("rest", "stop of %s: %d", person, status)
	f.accepted(status, restAnswer{person: person, sent: began, at: time.Now()})
}

// stopID asks for the end of one recording of a person, by its id.
func (f *front) stopID(room, person string, pick func(n int) int) {
	status, out := f.serve(http.MethodGet, "/recordings?room="+room+"&participant="+person, bearer(), nil)
	var list struct{ Recordings []struct{ ID, State string } }
	if status != http.StatusOK || json.Unmarshal(out, &list) != nil {
		return
	}

	var running []string
	for _, r := range list.Recordings {
		if r.State == "recording" || r.State == "requested" {
			running = append(running, r.ID)
		}
	}

	if len(running) == 0 {
		return
	}

	id, began := running[pick(len(running))], time.Now()
	body, _ := json.Marshal(map[string]string{"id": id}) // plain data
	status, _ = f.serve(http.MethodPost, "/recordings/stop", bearer(), body)
	f.journal.note("rest", "stop of %s %s: %d", person, id, status)

	f.accepted(status, restAnswer{
		person:    person,
		recording: id,
		sent:      began,
		at:        time.Now(),
	})
}

// accepted notes a call, also one that was answered with a server's error: it may be in force all the same.
func (f *front) accepted(status int, c restAnswer) {
	if c.doubtful = status >= http.StatusInternalServerError; !c.doubtful && status != http.StatusAccepted {
		return
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
}
