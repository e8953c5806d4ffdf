// Package sqs is a stand-in for Amazon SQS on one machine: the operations that the service uses, of standard queues,
// in the AWS JSON 1.0 protocol. It keeps what the service rests on: messages that come back, their receive counts,
// the counts of visible and in-flight messages, redrive, and the limit of 12 hours.
package sqs

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	// maxMessage is SQS's limit for one message, in bytes.
	maxMessage = 1 << 20
)

// Server serves any number of queues.
type Server struct {
	// URL is where clients reach it, without a slash at the end.
	URL string

	mu     sync.Mutex
	queues map[string]*queue
	change chan struct{} // closed and replaced whenever a message may have become visible
	nextID int
	path   string // of the file that everything is kept in; empty: none
}

// New makes a server without queues.
func New(url string) *Server {
	return &Server{URL: url, queues: map[string]*queue{}, change: make(chan struct{})}
}

// fault is an error answer: the name of the exception, its code in the older query protocol, and words.
type fault struct{ name, code, message string }

func invalid(format string, args ...any) *fault {
	return &fault{"InvalidParameterValue", "InvalidParameterValue", fmt.Sprintf(format, args...)}
}

var noQueue = &fault{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
	"The specified queue does not exist."}

// request has the fields of all operations.
type request struct {
	QueueName, QueueUrl, QueueNamePrefix string
	Attributes, Tags                     map[string]string
	AttributeNames                       []string
	MessageBody, ReceiptHandle           string
	MessageAttributes                    map[string]json.RawMessage
	DelaySeconds, VisibilityTimeout      *int
	MaxNumberOfMessages, WaitTimeSeconds *int
	MessageAttributeNames                []string
	MessageSystemAttributeNames          []string
	Entries                              []entry
}

type entry struct {
	Id, MessageBody, ReceiptHandle  string
	MessageAttributes               map[string]json.RawMessage
	DelaySeconds, VisibilityTimeout *int
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}

	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		answer(w, nil, &fault{"SerializationException", "SerializationException", err.Error()})
		return
	}

	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	if operation == "ReceiveMessage" {
		out, f := s.receive(r, in)
		answer(w, out, f)
		return
	}

	s.mu.Lock()
	out, f := s.do(operation, in, time.Now())
	if f == nil && changes[operation] {
		f = s.kept()
	}
	s.mu.Unlock()
	answer(w, out, f)
}

// changes are the operations after which the file is written anew. A restart gives messages in flight some time of
// their own, so that it needs not know what ChangeMessageVisibility has said.
var changes = map[string]bool{
	"CreateQueue":        true,
	"DeleteQueue":        true,
	"PurgeQueue":         true,
	"TagQueue":           true,
	"SetQueueAttributes": true,
	"SendMessage":        true,
	"SendMessageBatch":   true,
	"DeleteMessage":      true,
	"DeleteMessageBatch": true,
}

// kept writes the file; a fault of it is the service's.
func (s *Server) kept() *fault {
	if err := s.keep(); err != nil {
		return &fault{internal, internal, err.Error()}
	}
	return nil
}

// internal is the name of a fault that is not the caller's, who tries again.
const internal = "InternalFailure"

func answer(w http.ResponseWriter, out any, f *fault) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if f != nil {
		status, whose := http.StatusBadRequest, "Sender"
		if f.name == internal {
			status, whose = http.StatusInternalServerError, "Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", f.code+";"+whose)
		w.WriteHeader(status)
		out = map[string]string{"__type": "com.amazonaws.sqs#" + f.name, "message": f.message}
	}
	if out == nil {
		out = struct{}{}
	}
	_ = json.NewEncoder(w).Encode(out) // the client has gone
}

// do carries out every operation but ReceiveMessage, under the lock.
func (s *Server) do(operation string, in request, now time.Time) (any, *fault) {
	switch operation {
	case "CreateQueue":
		return s.create(in, now)
	case "ListQueues":
		return s.list(in), nil
	}

	name := in.QueueName
	if operation != "GetQueueUrl" {
		name = in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]
	}

	q := s.queues[name]
	if q == nil {
		return nil, noQueue
	}
	defer s.wake()

	switch operation {
	case "GetQueueUrl":
		return map[string]string{"QueueUrl": q.url}, nil
	case "DeleteQueue":
		delete(s.queues, name)
	case "PurgeQueue":
		q.messages, q.handles = nil, map[string]*message{}
	case "TagQueue":
		maps.Copy(q.tags, in.Tags)
	case "SetQueueAttributes":
		maps.Copy(q.attributes, in.Attributes)
	case "GetQueueAttributes":
		return map[string]any{"Attributes": q.describe(in.AttributeNames, now)}, nil
	case "SendMessage":
		return s.send(q, entry{
			MessageBody:       in.MessageBody,
			MessageAttributes: in.MessageAttributes,
			DelaySeconds:      in.DelaySeconds,
		}, now)
	case "DeleteMessage":
		q.delete(in.ReceiptHandle)
	case "ChangeMessageVisibility":
		return nil, q.changeVisibility(in.ReceiptHandle, value(in.VisibilityTimeout, 0), now)
	case "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
		return s.batch(operation, q, in.Entries, now)
	default:
		return nil, &fault{"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation",
			operation + " is not kept by this stand-in."}
	}

	return nil, nil
}

// wake lets long polls look again.
func (s *Server) wake() {
	close(s.change)
	s.change = make(chan struct{})
}

func (s *Server) create(in request, now time.Time) (any, *fault) {
	if in.Attributes["FifoQueue"] == "true" {
		return nil, invalid("FIFO queues are not kept by this stand-in.")
	}

	q := s.queues[in.QueueName]
	if q == nil {
		q = &queue{
			name:       in.QueueName,
			url:        s.URL + "/" + account + "/" + in.QueueName,
			created:    now,
			arn:        fmt.Sprintf("arn:aws:sqs:%s:%s:%s", region, account, in.QueueName),
			attributes: map[string]string{},
			tags:       map[string]string{},
			handles:    map[string]*message{},
		}
		maps.Copy(q.attributes, in.Attributes)
		maps.Copy(q.tags, in.Tags)
		s.queues[in.QueueName] = q
	}

	return map[string]string{"QueueUrl": q.url}, nil
}

func (s *Server) list(in request) any {
	urls := []string{}
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			urls = append(urls, s.queues[name].url)
		}
	}
	return map[string]any{"QueueUrls": urls}
}

func (q *queue) describe(names []string, now time.Time) map[string]string {
	visible, inFlight, delayed := q.counts(now)
	all := map[string]string{
		"QueueArn":                              q.arn,
		"VisibilityTimeout":                     "30",
		"DelaySeconds":                          "0",
		"ReceiveMessageWaitTimeSeconds":         "0",
		"MaximumMessageSize":                    strconv.Itoa(maxMessage),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
	}

	maps.Copy(all, q.attributes)
	maps.DeleteFunc(all, func(name, _ string) bool {
		return !slices.Contains(names, "All") && !slices.Contains(names, name)
	})
	return all
}

func (s *Server) send(q *queue, e entry, now time.Time) (any, *fault) {
	if len(e.MessageBody) == 0 || len(e.MessageBody) > maxMessage {
		return nil, invalid("One or more parameters are invalid. Reason: Message must be between 1 and %d bytes.", maxMessage)
	}
	s.nextID++
	m := &message{
		id:         fmt.Sprintf("%08x-0000-4000-8000-%012x", now.Unix()&0xffffffff, s.nextID),
		body:       e.MessageBody,
		attributes: e.MessageAttributes,
	}
	q.send(m, e.DelaySeconds, now)
	return map[string]string{"MessageId": m.id, "MD5OfMessageBody": md5Hex(m.body)}, nil
}

func (s *Server) batch(operation string, q *queue, entries []entry, now time.Time) (any, *fault) {
	switch {
	case len(entries) == 0:
		return nil, &fault{"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest",
			"The batch request doesn't contain any entries."}
	case len(entries) > 10:
		return nil, &fault{"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			"The batch request contains more entries than permissible."}
	}

	successful, failed := []any{}, []any{}
	for _, e := range entries {
		result := map[string]string{"Id": e.Id}
		var f *fault
		switch operation {
		case "SendMessageBatch":
			var out any
			if out, f = s.send(q, e, now); f == nil {
				maps.Copy(result, out.(map[string]string))
			}
		case "DeleteMessageBatch":
			q.delete(e.ReceiptHandle)
		case "ChangeMessageVisibilityBatch":
			f = q.changeVisibility(e.ReceiptHandle, value(e.VisibilityTimeout, 0), now)
		}

		if f != nil {
			failed = append(failed, map[string]any{
				"Id":          e.Id,
				"Code":        f.code,
				"Message":     f.message,
				"SenderFault": true,
			})
			continue
		}

		successful = append(successful, result)
	}

	return map[string]any{"Successful": successful, "Failed": failed}, nil
}

// receive waits for messages without the lock.
func (s *Server) receive(r *http.Request, in request) (any, *fault) {
	name := in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]
	limit := value(in.MaxNumberOfMessages, 1)
	if limit < 1 || limit > 10 {
		return nil, invalid("Value %d for parameter MaxNumberOfMessages is invalid. Reason: must be between 1 and 10.", limit)
	}

	deadline := time.Time{}
	for {
		s.mu.Lock()
		q := s.queues[name]
		if q == nil {
			s.mu.Unlock()
			return nil, noQueue
		}

		now := time.Now()
		if deadline.IsZero() {
			wait := value(in.WaitTimeSeconds, int(q.seconds("ReceiveMessageWaitTimeSeconds", 0)/time.Second))
			deadline = now.Add(time.Duration(wait) * time.Second)
		}
		if r.Context().Err() != nil {
			s.mu.Unlock()
			return nil, nil // nobody would get the messages
		}

		hidden := value(in.VisibilityTimeout, int(q.seconds("VisibilityTimeout", 30)/time.Second))
		visibility := time.Duration(hidden) * time.Second
		taken, died := q.receive(limit, visibility, now, s.byARN)
		out := describeAll(taken, in)
		if len(taken) > 0 || died {
			if f := s.kept(); f != nil {
				s.mu.Unlock()
				return nil, f
			}
		}
		wait, coming := q.next(now)
		change := s.change
		s.mu.Unlock()
		if len(taken) > 0 || !now.Before(deadline) {
			return map[string]any{"Messages": out}, nil
		}

		if left := deadline.Sub(now); !coming || wait > left {
			wait = left
		}

		select {
		case <-r.Context().Done():
		case <-change:
		case <-time.After(max(wait, time.Millisecond)):
		}
	}
}

func (s *Server) byARN(arn string) *queue { return s.queues[arn[strings.LastIndexByte(arn, ':')+1:]] }

func describeAll(messages []*message, in request) []any {
	out := []any{}
	for _, m := range messages {
		system := map[string]string{
			"ApproximateReceiveCount":          strconv.Itoa(m.receives),
			"SentTimestamp":                    millis(m.sent),
			"SenderId":                         account,
			"ApproximateFirstReceiveTimestamp": millis(m.first),
		}
		if m.source != "" {
			system["DeadLetterQueueSourceArn"] = m.source
		}

		names := slices.Concat(in.MessageSystemAttributeNames, in.AttributeNames)
		maps.DeleteFunc(system, func(name, _ string) bool {
			return !slices.Contains(names, "All") && !slices.Contains(names, name)
		})
		attributes := maps.Clone(m.attributes)
		maps.DeleteFunc(attributes, func(name string, _ json.RawMessage) bool {
			return !slices.Contains(in.MessageAttributeNames, "All") && !slices.Contains(in.MessageAttributeNames, name)
		})

		out = append(out, map[string]any{
			"MessageId":         m.id,
			"ReceiptHandle":     m.handle,
			"Body":              m.body,
			"MD5OfBody":         md5Hex(m.body),
			"Attributes":        system,
			"MessageAttributes": attributes,
		})
	}

	return out
}

func value(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}
