package sqs

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// maxInFlight is the longest that a message stays invisible, from its receive (SQS developer guide, "Amazon SQS
// visibility timeout").
const maxInFlight = 12 * time.Hour

// message is a message of a standard queue.
type message struct {
	id         string
	body       string
	attributes map[string]json.RawMessage
	sent       time.Time
	visible    time.Time // not before
	delayed    bool      // until visible, because it was sent with a delay
	received   time.Time
	first      time.Time
	receives   int
	handle     string // of the newest receive
	source     string // ARN of the queue it died on
}

func (m *message) inFlight(now time.Time) bool { return m.receives > 0 && m.visible.After(now) }

// queue is a standard queue. Its server's lock guards it.
type queue struct {
	name, url, arn string
	attributes     map[string]string
	tags           map[string]string
	created        time.Time
	messages       []*message
	handles        map[string]*message // every handle ever given out for a message that is there
}

type redrive struct {
	Target string      `json:"deadLetterTargetArn"`
	Max    json.Number `json:"maxReceiveCount"` // number or string
}

func (r *redrive) UnmarshalJSON(b []byte) error {
	var raw struct {
		Target string `json:"deadLetterTargetArn"`
		Max    any    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	r.Target, r.Max = raw.Target, json.Number(fmt.Sprint(raw.Max))
	return nil
}

func (q *queue) seconds(attribute string, otherwise int) time.Duration {
	n, err := strconv.Atoi(q.attributes[attribute])
	if err != nil {
		n = otherwise
	}
	return time.Duration(n) * time.Second
}

func (q *queue) send(m *message, delay *int, now time.Time) {
	wait := q.seconds("DelaySeconds", 0)
	if delay != nil {
		wait = time.Duration(*delay) * time.Second
	}
	m.sent, m.visible, m.delayed = now, now.Add(wait), wait > 0
	q.messages = append(q.messages, m)
}

// receive takes up to limit visible messages. Those that were received too often move to the dead-letter queue: died
// says that there were any.
func (q *queue) receive(
	limit int, visibility time.Duration, now time.Time, dead func(arn string) *queue,
) (taken []*message, died bool) {
	var dying []*message
	policy, maximum := q.redrivePolicy()
	for _, m := range q.messages {
		if m.visible.After(now) || len(taken) == limit {
			continue
		}
		if maximum > 0 && m.receives >= maximum && dead(policy.Target) != nil {
			dying = append(dying, m)
			continue
		}

		if m.receives++; m.receives == 1 {
			m.first = now
		}

		m.received, m.visible, m.delayed = now, now.Add(visibility), false
		m.handle = fmt.Sprintf("%s#%d", m.id, m.receives)
		q.handles[m.handle] = m
		taken = append(taken, m)
	}

	for _, m := range dying {
		q.remove(m)
		m.source, m.receives, m.visible = q.arn, 0, now
		target := dead(policy.Target)
		target.messages = append(target.messages, m)
	}

	return taken, len(dying) > 0
}

func (q *queue) redrivePolicy() (redrive, int) {
	var policy redrive
	if json.Unmarshal([]byte(q.attributes["RedrivePolicy"]), &policy) != nil {
		return policy, 0
	}
	maximum, _ := policy.Max.Int64() // 0 when it is no number: no redrive
	return policy, int(maximum)
}

func (q *queue) remove(m *message) {
	q.messages = slices.DeleteFunc(q.messages, func(o *message) bool { return o == m })
	for handle, of := range q.handles {
		if of == m {
			delete(q.handles, handle)
		}
	}
}

// delete removes a message by its newest handle. An older one does nothing, and says so to nobody, as in SQS.
func (q *queue) delete(handle string) {
	if m := q.handles[handle]; m != nil && m.handle == handle {
		q.remove(m)
	}
}

func (q *queue) changeVisibility(handle string, timeout int, now time.Time) *fault {
	m := q.handles[handle]
	switch {
	case timeout < 0 || timeout > int(maxInFlight/time.Second):
		return invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: must be between 0 and 43200.", timeout)
	case m == nil:
		return &fault{"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle is invalid."}
	case m.handle != handle || !m.inFlight(now):
		return &fault{"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight",
			"The message referred to isn't in flight."}
	}

	until := now.Add(time.Duration(timeout) * time.Second)
	if until.After(m.received.Add(maxInFlight + time.Second)) {
		return invalid("Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
	}

	m.visible = until
	return nil
}

// next is when a message becomes visible again, if none is now.
func (q *queue) next(now time.Time) (wait time.Duration, any bool) {
	for _, m := range q.messages {
		if d := m.visible.Sub(now); !any || d < wait {
			wait, any = d, true
		}
	}
	return wait, any
}

func (q *queue) counts(now time.Time) (visible, inFlight, delayed int) {
	for _, m := range q.messages {
		switch {
		case !m.visible.After(now):
			visible++
		case m.delayed:
			delayed++
		default:
			inFlight++
		}
	}

	return visible, inFlight, delayed
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
