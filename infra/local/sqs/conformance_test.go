package sqs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	standin "livekit-recorder/infra/local/sqs"
)

var ctx = context.Background()
var client *sqs.Client
var n atomic.Int64

// TestMain runs the tests against the stand-in, or against the endpoint in SQS_ENDPOINT (SQS itself, say).
func TestMain(m *testing.M) {
	if endpoint := os.Getenv("SQS_ENDPOINT"); endpoint != "" {
		client = sqs.New(sqs.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		})
		os.Exit(m.Run())
	}
	var err error
	if client, _, _, err = standin.Local(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func mk(t *testing.T, attrs map[string]string) string {
	t.Helper()
	name := fmt.Sprintf("q%d-%d", time.Now().UnixNano()%1e9, n.Add(1))
	if attrs == nil {
		attrs = map[string]string{}
	}
	o, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs})
	if err != nil {
		t.Fatal("CreateQueue:", err)
	}
	return *o.QueueUrl
}
func send(t *testing.T, q, body string, f ...func(*sqs.SendMessageInput)) *sqs.SendMessageOutput {
	t.Helper()
	in := &sqs.SendMessageInput{QueueUrl: &q, MessageBody: &body}
	for _, x := range f {
		x(in)
	}
	o, err := client.SendMessage(ctx, in)
	if err != nil {
		t.Fatal("SendMessage:", err)
	}
	return o
}
func recv(t *testing.T, q string, wait, max int32, f ...func(*sqs.ReceiveMessageInput)) []types.Message {
	t.Helper()
	in := &sqs.ReceiveMessageInput{QueueUrl: &q, WaitTimeSeconds: wait, MaxNumberOfMessages: max,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"}}
	for _, x := range f {
		x(in)
	}
	o, err := client.ReceiveMessage(ctx, in)
	if err != nil {
		t.Fatal("ReceiveMessage:", err)
	}
	return o.Messages
}
func vis(v int32) func(*sqs.ReceiveMessageInput) {
	return func(i *sqs.ReceiveMessageInput) { i.VisibilityTimeout = v }
}
func bodies(ms []types.Message) string {
	var s []string
	for _, m := range ms {
		s = append(s, *m.Body)
	}
	return strings.Join(s, ",")
}
func del(t *testing.T, q string, m types.Message) {
	t.Helper()
	if _, err := client.DeleteMessage(ctx,
		&sqs.DeleteMessageInput{QueueUrl: &q, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Error("DeleteMessage:", err)
	}
}
func attr(t *testing.T, q string, names ...types.QueueAttributeName) map[string]string {
	t.Helper()
	o, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q, AttributeNames: names})
	if err != nil {
		t.Fatal("GetQueueAttributes:", err)
	}
	return o.Attributes
}

func TestBasic(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	name := q[strings.LastIndex(q, "/")+1:]
	if o, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name}); err != nil || *o.QueueUrl != q {
		t.Error("GetQueueUrl", err)
	}
	o := send(t, q, "héllo \U0001F600 {\"a\":1}\n<x>&amp;", func(i *sqs.SendMessageInput) {
		i.MessageAttributes = map[string]types.MessageAttributeValue{
			"k": {DataType: aws.String("String"), StringValue: aws.String("v")},
			"n": {DataType: aws.String("Number"), StringValue: aws.String("42")},
			"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 2, 255}},
		}
	})
	ms := recv(t, q, 0, 10)
	if len(ms) != 1 || *ms[0].Body != "héllo \U0001F600 {\"a\":1}\n<x>&amp;" {
		t.Fatalf("got %d %v", len(ms), bodies(ms))
	}
	if *ms[0].MessageId != *o.MessageId {
		t.Error("id")
	}
	a := ms[0].MessageAttributes
	if *a["k"].StringValue != "v" || *a["n"].StringValue != "42" || string(a["b"].BinaryValue) != "\x00\x01\x02\xff" {
		t.Errorf("attrs %v %v", a["k"], a["b"].BinaryValue)
	}
	t.Logf("sysattrs %v", ms[0].Attributes)
	del(t, q, ms[0])
	if len(recv(t, q, 0, 10)) != 0 {
		t.Error("not deleted")
	}
}
func TestBatch(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	in := &sqs.SendMessageBatchInput{QueueUrl: &q}
	for i := 0; i < 10; i++ {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)),
			MessageBody: aws.String(fmt.Sprint("m", i))})
	}
	in.Entries[9].DelaySeconds = 2
	o, err := client.SendMessageBatch(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Successful) != 10 {
		t.Error("succ", len(o.Successful))
	}
	ms := recv(t, q, 0, 10)
	if len(ms) != 9 {
		t.Errorf("batch per-entry DelaySeconds: got %d msgs at once, want 9", len(ms))
	}
	din := &sqs.DeleteMessageBatchInput{QueueUrl: &q}
	for i, m := range ms {
		din.Entries = append(din.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)),
			ReceiptHandle: m.ReceiptHandle})
	}
	if do, err := client.DeleteMessageBatch(ctx, din); err != nil || len(do.Failed) > 0 {
		t.Error("DeleteMessageBatch", err)
	}
	var ce []types.ChangeMessageVisibilityBatchRequestEntry
	send(t, q, "z")
	ms = recv(t, q, 1, 1)
	if len(ms) > 0 {
		ce = append(ce, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String("0"),
			ReceiptHandle: ms[0].ReceiptHandle, VisibilityTimeout: 5})
		if _, err := client.ChangeMessageVisibilityBatch(ctx,
			&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q, Entries: ce}); err != nil {
			t.Error("ChangeMessageVisibilityBatch", err)
		}
	}
}
func TestLongPollEmptyWaits(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	s := time.Now()
	ms := recv(t, q, 3, 1)
	d := time.Since(s)
	t.Logf("waited %v", d)
	if len(ms) != 0 || d < 2500*time.Millisecond {
		t.Error("no wait")
	}
}
func TestLongPollEarly(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	go func() { time.Sleep(time.Second); send(t, q, "x") }()
	s := time.Now()
	ms := recv(t, q, 10, 1)
	d := time.Since(s)
	t.Logf("returned after %v", d)
	if len(ms) != 1 || d > 2500*time.Millisecond {
		t.Error("not early", len(ms))
	}
}
func TestLongPollEarlyOnVisibilityExpiry(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	send(t, q, "x")
	recv(t, q, 0, 1, vis(2))
	s := time.Now()
	ms := recv(t, q, 10, 1)
	d := time.Since(s)
	t.Logf("returned after %v n=%d", d, len(ms))
	if len(ms) != 1 || d > 4500*time.Millisecond || d < 1500*time.Millisecond {
		t.Error("bad")
	}
}
func TestLongPollClientCancelDoesNotEatMessage(t *testing.T) {
	t.Parallel()
	q := mk(t, map[string]string{"VisibilityTimeout": "30"})
	c, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
	defer cancel()
	client.ReceiveMessage(c, &sqs.ReceiveMessageInput{QueueUrl: &q, WaitTimeSeconds: 10})
	time.Sleep(200 * time.Millisecond)
	send(t, q, "x")
	if len(recv(t, q, 2, 1)) != 1 {
		t.Error("message swallowed by cancelled long poll")
	}
}
func TestVisibilityRedelivery(t *testing.T) {
	t.Parallel()
	q := mk(t, map[string]string{"VisibilityTimeout": "2"})
	send(t, q, "x")
	m := recv(t, q, 0, 1)
	if len(m) != 1 {
		t.Fatal("none")
	}
	if len(recv(t, q, 0, 1)) != 0 {
		t.Error("visible while in flight")
	}
	m2 := recv(t, q, 5, 1)
	if len(m2) != 1 {
		t.Fatal("no redelivery")
	}
	if m2[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("ApproximateReceiveCount=%q want 2", m2[0].Attributes["ApproximateReceiveCount"])
	}
	if m[0].Attributes["SentTimestamp"] != m2[0].Attributes["SentTimestamp"] {
		t.Error("SentTimestamp changes between receives")
	}
	if m[0].Attributes["ApproximateFirstReceiveTimestamp"] != m2[0].Attributes["ApproximateFirstReceiveTimestamp"] {
		t.Error("ApproximateFirstReceiveTimestamp changes between receives")
	}
	// stale handle on standard queue: AWS accepts (2xx)
	if _, err := client.DeleteMessage(ctx,
		&sqs.DeleteMessageInput{QueueUrl: &q, ReceiptHandle: m[0].ReceiptHandle}); err != nil {
		t.Log("stale-handle delete (AWS: success, no effect guaranteed):", err)
		t.Error("stale handle delete returns error")
	}
}
func TestDeleteAfterExpiry(t *testing.T) { // AWS standard queue: latest handle still deletes after visibility expiry
	t.Parallel()
	q := mk(t, nil)
	send(t, q, "x")
	m := recv(t, q, 0, 1, vis(1))
	time.Sleep(2 * time.Second)
	if _, err := client.DeleteMessage(ctx,
		&sqs.DeleteMessageInput{QueueUrl: &q, ReceiptHandle: m[0].ReceiptHandle}); err != nil {
		t.Error("delete with expired latest handle:", err)
	}
	if len(recv(t, q, 1, 1)) != 0 {
		t.Error("still there")
	}
}
func TestChangeVisibilityExtend(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	send(t, q, "x")
	m := recv(t, q, 0, 1, vis(2))
	if _, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q,
		ReceiptHandle: m[0].ReceiptHandle, VisibilityTimeout: 6}); err != nil {
		t.Fatal(err)
	}
	if len(recv(t, q, 4, 1)) != 0 {
		t.Error("redelivered before extended timeout")
	}
	if len(recv(t, q, 5, 1)) != 1 {
		t.Error("not redelivered after extended timeout")
	}
}
func TestChangeVisibilityZero(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	send(t, q, "x")
	m := recv(t, q, 0, 1)
	if _, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q,
		ReceiptHandle: m[0].ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		t.Fatal(err)
	}
	m = recv(t, q, 1, 1)
	if len(m) != 1 {
		t.Fatal("not visible")
	}
	if m[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("ApproximateReceiveCount=%q want 2", m[0].Attributes["ApproximateReceiveCount"])
	}
}
func TestChangeVisibilityTooLong(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	send(t, q, "x")
	m := recv(t, q, 0, 1)
	_, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q,
		ReceiptHandle: m[0].ReceiptHandle, VisibilityTimeout: 43201})
	if err == nil {
		t.Error("no error for >43200")
	}
	t.Log(err)
	_, err = client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q,
		ReceiptHandle: m[0].ReceiptHandle, VisibilityTimeout: 43200})
	t.Log("43200:", err)
}
func TestDLQ(t *testing.T) {
	t.Parallel()
	dlq := mk(t, nil)
	arn := attr(t, dlq, "QueueArn")["QueueArn"]
	for _, num := range []bool{true, false} {
		var mr any = "2"
		if num {
			mr = 2
		}
		rp, _ := json.Marshal(map[string]any{"deadLetterTargetArn": arn, "maxReceiveCount": mr})
		q := mk(t, map[string]string{"RedrivePolicy": string(rp), "VisibilityTimeout": "1"})
		send(t, q, fmt.Sprint("poison", num))
		got := 0
		for i := 0; i < 4; i++ {
			got += len(recv(t, q, 3, 1))
		}
		if got != 2 {
			t.Errorf("delivered %d times, want 2", got)
		}
		ms := recv(t, dlq, 3, 1)
		if len(ms) != 1 {
			t.Fatal("not in DLQ")
		}
		t.Logf("dlq attrs %v", ms[0].Attributes)
		if ms[0].Attributes["DeadLetterQueueSourceArn"] == "" {
			t.Error("DeadLetterQueueSourceArn missing")
		}
		del(t, dlq, ms[0])
	}
}
func TestCounts(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	for i := 0; i < 5; i++ {
		send(t, q, "x")
	}
	send(t, q, "later", func(i *sqs.SendMessageInput) { i.DelaySeconds = 60 })
	recv(t, q, 0, 2)
	a := attr(t, q, "All")
	t.Log(a)
	if a["ApproximateNumberOfMessages"] != "3" || a["ApproximateNumberOfMessagesNotVisible"] != "2" ||
		a["ApproximateNumberOfMessagesDelayed"] != "1" {
		t.Errorf("visible=%s inflight=%s delayed=%s want 3/2/1", a["ApproximateNumberOfMessages"],
			a["ApproximateNumberOfMessagesNotVisible"], a["ApproximateNumberOfMessagesDelayed"])
	}
}
func TestDelay(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	send(t, q, "x", func(i *sqs.SendMessageInput) { i.DelaySeconds = 2 })
	if len(recv(t, q, 0, 1)) != 0 {
		t.Error("not delayed")
	}
	s := time.Now()
	if len(recv(t, q, 5, 1)) != 1 {
		t.Error("never")
	}
	t.Log(time.Since(s))
}
func TestErrors(t *testing.T) {
	t.Parallel()
	bad := "http://" + "127.0.0.1/000000000000/nonexistent"
	_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &bad, MessageBody: aws.String("x")})
	var nq *types.QueueDoesNotExist
	var ae smithy.APIError
	if errors.As(err, &ae) {
		t.Log("code:", ae.ErrorCode())
	}
	if !errors.As(err, &nq) {
		t.Error("not typed QueueDoesNotExist:", err)
	}
	q := mk(t, nil)
	_, err = client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q,
		ReceiptHandle: aws.String("garbage"), VisibilityTimeout: 1})
	var ih *types.ReceiptHandleIsInvalid
	if !errors.As(err, &ih) {
		t.Error("ReceiptHandleIsInvalid:", err)
	}
	big := strings.Repeat("x", 1<<20+1)
	_, err = client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q, MessageBody: &big})
	if err == nil {
		t.Error("1 MiB+1 accepted")
	}
}
func TestStress(t *testing.T) {
	t.Parallel()
	const N, W = 2000, 4
	q := mk(t, map[string]string{"VisibilityTimeout": "60"})
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	s := time.Now()
	for p := 0; p < 2; p++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for b := 0; b < N/20; b++ {
				in := &sqs.SendMessageBatchInput{QueueUrl: &q}
				for i := 0; i < 10; i++ {
					in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)),
						MessageBody: aws.String(fmt.Sprintf("%d-%d-%d", p, b, i))})
				}
				if _, err := client.SendMessageBatch(ctx, in); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for w := 0; w < W; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				o, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q, WaitTimeSeconds: 2,
					MaxNumberOfMessages: 10})
				if err != nil {
					t.Error(err)
					return
				}
				if len(o.Messages) == 0 {
					mu.Lock()
					l := len(got)
					mu.Unlock()
					if l >= N || time.Since(s) > 90*time.Second {
						return
					}
					continue
				}
				for _, m := range o.Messages {
					mu.Lock()
					got[*m.Body]++
					mu.Unlock()
					if _, err := client.DeleteMessage(ctx,
						&sqs.DeleteMessageInput{QueueUrl: &q, ReceiptHandle: m.ReceiptHandle}); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	dups := 0
	for _, v := range got {
		if v != 1 {
			dups++
		}
	}
	t.Logf("distinct %d dups %d in %v", len(got), dups, time.Since(s))
	if len(got) != N || dups > 0 {
		t.Error("not exactly once")
	}
}
func TestTagsPurgeList(t *testing.T) {
	t.Parallel()
	q := mk(t, nil)
	if _, err := client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &q, Tags: map[string]string{"a": "b"}}); err != nil {
		t.Error("TagQueue", err)
	}
	send(t, q, "x")
	if _, err := client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &q}); err != nil {
		t.Error("Purge", err)
	}
	if _, err := client.ListQueues(ctx, &sqs.ListQueuesInput{}); err != nil {
		t.Error("List", err)
	}
	if _, err := client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &q,
		Attributes: map[string]string{"VisibilityTimeout": "77"}}); err != nil {
		t.Error("Set", err)
	}
	if a := attr(t, q, "VisibilityTimeout"); a["VisibilityTimeout"] != "77" {
		t.Error("set", a)
	}
	if _, err := client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &q}); err != nil {
		t.Error("DeleteQueue", err)
	}
}
