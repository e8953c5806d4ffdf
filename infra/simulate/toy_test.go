package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/queue"
)

// toy is a product that is right for as long as nothing goes wrong, and knows nothing of faults: with it the
// simulator itself is tested.
var toy = Product{
	Recorder: func(m Machine) (Recorder, error) {
		return &toyRecorder{m: m, running: map[string]context.CancelFunc{}}, nil
	},
	Function: toyFunction,
}

func toyFunction(c Cloud) http.Handler {
	send := func(w http.ResponseWriter, r *http.Request, url string, in command.Command) {
		body, err := in.Encode()
		if err == nil {
			err = (&queue.Queue{Client: c.SQS, URL: url}).Send(r.Context(), body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if !strings.HasSuffix(r.URL.Path, "webhooks") {
			w.WriteHeader(http.StatusAccepted)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"id": in.Recording}) // into memory
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Event             string
			Room, Participant json.RawMessage
			Media             command.Media
		}
		_ = json.NewDecoder(r.Body).Decode(&in) // empty for lists
		var roomName, person string
		var hookRoom struct{ Name string }
		var hookPerson struct{ Sid, Identity string }
		_, _ = json.Unmarshal(in.Room, &roomName), json.Unmarshal(in.Participant, &person)
		_, _ = json.Unmarshal(in.Room, &hookRoom), json.Unmarshal(in.Participant, &hookPerson)
		switch {
		case in.Event == "participant_joined":
			start := command.NewStart(hookRoom.Name, hookPerson.Identity, time.Now())
			start.Session = hookPerson.Sid
			send(w, r, c.Starts, start)
		case r.URL.Path == "/recordings/stop" && person != "":
			send(w, r, c.Controls, command.NewStop(roomName, person, time.Now()))
		case r.URL.Path == "/recordings/start":
			start := command.NewStart(roomName, person, time.Now())
			if in.Media != "" {
				start.Media = in.Media
			}
			send(w, r, c.Starts, start)
		}
	})
}

type toyRecorder struct {
	m  Machine
	mu sync.Mutex

	running map[string]context.CancelFunc // by person and target
	work    sync.WaitGroup
}

func (t *toyRecorder) Stopped(string) {}

func (t *toyRecorder) Run(ctx context.Context) error {
	if err := t.m.Disk.MakeDirectory(scratchDirectory); err != nil {
		return err
	}
	starts := &queue.Queue{Client: t.m.Cloud.SQS, URL: t.m.Cloud.Starts}
	controls := &queue.Queue{Client: t.m.Cloud.SQS, URL: t.m.Cloud.Controls}
	t.work.Go(func() {
		t.poll(ctx, starts, func(c command.Command, m queue.Message) {
			t.work.Go(func() { t.record(ctx, starts, c, m) })
		})
	})
	t.poll(ctx, controls, func(c command.Command, m queue.Message) {
		t.mu.Lock()
		for who, stop := range t.running {
			if strings.HasPrefix(who, c.Participant+"/") {
				stop()
			}
		}
		t.mu.Unlock()
		_ = controls.Delete(context.Background(), m) // a toy
	})
	t.work.Wait()
	return nil
}

func (t *toyRecorder) poll(ctx context.Context, q *queue.Queue, take func(command.Command, queue.Message)) {
	for ctx.Err() == nil {
		messages, err := q.Receive(ctx, 10, 30*time.Second)
		if err != nil {
			_ = pause(ctx, time.Second) // a toy
		}
		for _, m := range messages {
			if c, err := command.Decode(m.Body); err == nil {
				take(c, m)
			}
		}
	}
}

func (t *toyRecorder) record(ctx context.Context, starts *queue.Queue, c command.Command, m queue.Message) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t.mu.Lock()
	t.running[c.Participant+"/"+c.Target()] = stop
	t.mu.Unlock()
	doc := document.NewRecording(c)
	path := scratchDirectory + "/" + c.Recording
	file, err := t.m.Muxer.Open(path, nil)
	if err != nil {
		return
	}

	begun, frames := t.frames(ctx, starts, c, m, file)
	_ = file.Close(context.Background()) // a toy
	whole, err := t.m.Disk.Read(path)
	if err != nil {
		return
	}
	doc.File, doc.State = c.Participant+"/"+c.Recording, document.Completed
	key := directory + "/" + doc.File + ".webm"
	if frames > 0 {
		parsed, _ := readMedia(whole)
		doc.Parts = []document.Part{{
			Key: key, State: document.Completed, StartedAt: &begun, Size: int64(len(whole)), Duration: parsed.length().Seconds(),
		}}
		t.put(key, whole)
	}
	body, _ := json.Marshal(doc)
	t.put(directory+"/"+doc.File+".json", body)
	_ = t.m.Disk.Remove(path)                  // a toy
	_ = t.m.Tell(context.Background(), doc)    // a toy
	_ = starts.Delete(context.Background(), m) // a toy
}

func (t *toyRecorder) put(key string, body []byte) {
	_, _ = t.m.Cloud.S3.PutObject(context.Background(), &s3.PutObjectInput{ // a toy
		Bucket: aws.String(bucketName), Key: &key, Body: bytes.NewReader(body),
	})
}

// frames writes what comes until the participant has left, or ctx is done.
func (t *toyRecorder) frames(ctx context.Context, starts *queue.Queue, c command.Command, m queue.Message,
	to *MediaFile) (begun time.Time, n int) {
	f := t.m.Rooms.Follow(c.Room, room.Interest{Identity: c.Participant, Tracks: []string{"camera", "microphone"}}, nil)
	defer f.Close()
	renew := time.NewTicker(10 * time.Second)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return begun, n
		case <-renew.C:
			_, _ = starts.Hide(ctx, []string{m.Receipt}, 30*time.Second) // a toy
		case e := <-f.Events():
			switch e := e.(type) {
			case room.Left, room.Closed:
				return begun, n
			case room.Joined:
				if c.Session != "" && e.Session != c.Session {
					return begun, n
				}
			case room.TrackFrame:
				if c.Media == command.AudioOnly && e.Track.Codec().Kind == track.Video {
					continue
				}
				if n++; n == 1 {
					begun = e.Track.Time(e.Frame)
				}
				_ = to.Write(0, e.Track.Time(e.Frame).Sub(begun), e.Frame.Key, e.Frame.Data) // a toy
			}
		}
	}
}
