package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"livekit-recorder/infra/local/sqs"
	"livekit-recorder/recorder/worker"
)

// queueAddress is where the simulated SQS is.
const queueAddress = "https://sqs.simulated"

// The queues of the service, each with a dead-letter queue ("-dead" behind its name), as template.yaml has them.
const (
	startQueue   = "starts"
	controlQueue = "controls"
	deadSuffix   = "-dead"
	// maxReceives is after how many receives a message is dead.
	maxReceives = worker.MaxReceives
)

// queues are the service's queues in memory: the same stand-in for SQS that the local system has, called without a
// network. They remember the messages that are in flight, so that a plan can have one delivered again.
type queues struct {
	server *sqs.Server

	mu       sync.Mutex
	received map[string]receipt // by message id
}

type receipt struct{ queue, handle, body string }

func newQueues() (*queues, error) {
	q := &queues{server: sqs.New(queueAddress), received: map[string]receipt{}}
	for _, name := range []string{startQueue, controlQueue} {
		if err := q.do("CreateQueue", map[string]any{"QueueName": name + deadSuffix}, nil); err != nil {
			return nil, err
		}
		policy := fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:000000000000:%s","maxReceiveCount":%d}`,
			region, name+deadSuffix, maxReceives)
		attributes := map[string]string{"RedrivePolicy": policy}
		if err := q.do("CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, nil); err != nil {
			return nil, err
		}
	}

	return q, nil
}

// queueURL is a queue's address as SQS clients have it.
func queueURL(name string) string { return queueAddress + "/000000000000/" + name }

// ServeHTTP answers SQS calls, and notes which messages it hands out.
func (q *queues) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
		q.server.ServeHTTP(w, r)
		return
	}

	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	q.server.ServeHTTP(recorder, r)
	q.note(body, recorder.Body.Bytes())

	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(recorder.Body.Bytes()) // into memory
}

func (q *queues) note(request, response []byte) {
	var in struct{ QueueUrl string }
	var out struct {
		Messages []struct{ MessageId, ReceiptHandle, Body string }
	}
	if json.Unmarshal(request, &in) != nil || json.Unmarshal(response, &out) != nil {
		return
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range out.Messages {
		q.received[m.MessageId] = receipt{in.QueueUrl, m.ReceiptHandle, m.Body}
	}
}

// do calls SQS as nobody in particular, past every cut.
func (q *queues) do(operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s: %w", operation, err)
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, queueAddress, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", operation, err)
	}

	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	recorder := httptest.NewRecorder()
	q.server.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusOK {
		return fmt.Errorf("call %s: %s", operation, recorder.Body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), out); err != nil {
		return fmt.Errorf("decode answer of %s: %w", operation, err)
	}
	return nil
}

// count is how many messages a queue has, those in flight and those to come included.
func (q *queues) count(name string) int {
	var out struct{ Attributes map[string]string }
	in := map[string]any{"QueueUrl": queueURL(name), "AttributeNames": []string{"All"}}
	if err := q.do("GetQueueAttributes", in, &out); err != nil {
		return 0
	}

	total := 0
	for _, state := range []string{"", "NotVisible", "Delayed"} {
		n, _ := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"+state]) // SQS says numbers
		total += n
	}
	return total
}

// redeliver makes one of the messages in flight visible again, as SQS may at any time. It says whether there was one.
func (q *queues) redeliver(dice *dice) bool {
	return q.again(dice, func(m receipt) error {
		return q.do("ChangeMessageVisibility", map[string]any{
			"QueueUrl": m.queue, "ReceiptHandle": m.handle, "VisibilityTimeout": 0,
		}, nil)
	})
}

// duplicate sends a message that has been received once more, as a sender does whose answer got lost.
func (q *queues) duplicate(dice *dice) bool {
	return q.again(dice, func(m receipt) error {
		return q.do("SendMessage", map[string]any{"QueueUrl": m.queue, "MessageBody": m.body}, nil)
	})
}

// again tries an action on messages that have been received, in any order, until one succeeds.
func (q *queues) again(dice *dice, act func(receipt) error) bool {
	q.mu.Lock()
	var all []receipt
	for _, m := range q.received {
		all = append(all, m)
	}
	q.mu.Unlock()

	for len(all) > 0 {
		n := dice.below(len(all))
		if act(all[n]) == nil {
			return true
		}
		all = append(all[:n], all[n+1:]...)
	}
	return false
}
