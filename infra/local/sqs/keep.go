package sqs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kept is what a file has of a queue.
type kept struct {
	Name, URL, ARN   string
	Attributes, Tags map[string]string
	Created          time.Time
	Messages         []keptMessage
}

// keptMessage is what a file has of a message.
type keptMessage struct {
	ID, Body                       string
	Attributes                     map[string]json.RawMessage
	Sent, Visible, Received, First time.Time
	Delayed                        bool
	Receives                       int
	Handle, Source                 string
}

// held is for how long messages in flight stay so after a restart, at least: whoever holds one renews it within that
// time.
const held = 30 * time.Second

// NewKept makes a server whose queues and messages are in a file, so that they are there again after a restart. Only
// for how long a message is invisible is not written whenever it changes.
func NewKept(url, path string) (*Server, error) {
	s := New(url)
	s.path = path
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read queues: %w", err)
	}

	var file struct {
		NextID int
		Queues []kept
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read queues of %s: %w", path, err)
	}
	s.nextID = file.NextID
	for _, k := range file.Queues {
		s.queues[k.Name] = k.queue(time.Now())
	}
	return s, nil
}

// queue is the queue again. Handles from before the restart are good for as long as their messages.
func (k kept) queue(now time.Time) *queue {
	q := &queue{
		name:       k.Name,
		url:        k.URL,
		arn:        k.ARN,
		attributes: map[string]string{},
		tags:       map[string]string{},
		created:    k.Created,
		handles:    map[string]*message{},
	}
	maps.Copy(q.attributes, k.Attributes)
	maps.Copy(q.tags, k.Tags)

	for _, m := range k.Messages {
		again := &message{
			id:         m.ID,
			body:       m.Body,
			attributes: m.Attributes,
			sent:       m.Sent,
			visible:    m.Visible,
			delayed:    m.Delayed,
			received:   m.Received,
			first:      m.First,
			receives:   m.Receives,
			handle:     m.Handle,
			source:     m.Source,
		}
		if m.Receives > 0 {
			q.handles[m.Handle] = again
			again.visible = latest(m.Visible, now.Add(held))
		}
		q.messages = append(q.messages, again)
	}
	return q
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// keep writes everything to the file, if there is one. Its caller holds the lock.
func (s *Server) keep() error {
	if s.path == "" {
		return nil
	}

	file := struct {
		NextID int
		Queues []kept
	}{NextID: s.nextID}
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		file.Queues = append(file.Queues, s.queues[name].kept())
	}
	text, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("keep queues: %w", err)
	}
	if err := replace(s.path, text); err != nil {
		return fmt.Errorf("keep queues: %w", err)
	}
	return nil
}

func (q *queue) kept() kept {
	k := kept{
		Name:       q.name,
		URL:        q.url,
		ARN:        q.arn,
		Attributes: q.attributes,
		Tags:       q.tags,
		Created:    q.created,
	}
	for _, m := range q.messages {
		k.Messages = append(k.Messages, keptMessage{
			ID:         m.id,
			Body:       m.body,
			Attributes: m.attributes,
			Sent:       m.sent,
			Visible:    m.visible,
			Received:   m.received,
			First:      m.first,
			Delayed:    m.delayed,
			Receives:   m.receives,
			Handle:     m.handle,
			Source:     m.source,
		})
	}
	return k
}

// replace puts a new file in an old one's place, so that there is always a whole one, also after a power failure.
func replace(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // what is left of it is in nobody's way
		}
	}()

	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Ensure makes a queue with its dead-letter queue, NAME-dead, unless they are there.
func (s *Server) Ensure(name string, maxReceives int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if _, f := s.create(request{QueueName: name + "-dead"}, now); f != nil {
		return errors.New(f.message)
	}

	policy, err := json.Marshal(map[string]any{
		"deadLetterTargetArn": s.queues[name+"-dead"].arn,
		"maxReceiveCount":     maxReceives,
	})
	if err != nil {
		return fmt.Errorf("encode redrive policy: %w", err)
	}
	if _, f := s.create(request{QueueName: name}, now); f != nil {
		return errors.New(f.message)
	}
	maps.Copy(s.queues[name].attributes, map[string]string{
		"RedrivePolicy":                 string(policy),
		"VisibilityTimeout":             "30",
		"ReceiveMessageWaitTimeSeconds": "20",
	})
	return s.keep()
}
