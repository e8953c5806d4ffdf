package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Mode is what a cut does to calls.
type Mode string

// The modes of a cut.
const (
	Refuses Mode = "refuses" // connections are refused at once
	Silent  Mode = "silent"  // nothing is acted upon, and no answer comes while the cut lasts
	Deaf    Mode = "deaf"    // calls are acted upon, their answers are lost
	Flaky   Mode = "flaky"   // a share of the calls of each of the above, the others work
)

// Modes are all modes of a cut.
var Modes = []Mode{Refuses, Silent, Deaf, Flaky}

// The services that can be cut off.
const (
	SQS      = "sqs"
	S3       = "s3"
	LiveKit  = "livekit"
	Receiver = "receiver" // of completion notices
)

// everybody is the host of a cut that all have, an outage of the service.
const everybody = "everybody"

// errReset is how a connection ends whose other end has gone.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// network knows who cannot reach what.
type network struct {
	dice *dice

	mu   sync.Mutex
	cuts []*cut
}

// cut is one of its faults.
type cut struct {
	host, service string
	mode          Mode
	since         time.Time
	ended         chan struct{}
}

// begin cuts a host off from a service until the returned function is called.
func (n *network) begin(host, service string, mode Mode) (end func()) {
	c := &cut{
		host:    host,
		service: service,
		mode:    mode,
		since:   time.Now(),
		ended:   make(chan struct{}),
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = append(n.cuts, c)
	return sync.OnceFunc(func() { n.end(c) })
}

func (n *network) end(c *cut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.cuts, c) {
		return // it has been mended
	}
	n.cuts = slices.DeleteFunc(n.cuts, func(o *cut) bool { return o == c })
	close(c.ended)
}

// between returns the cut between a host and a service, if there is one.
func (n *network) between(host, service string) *cut {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cuts {
		if c.service == service && (c.host == host || c.host == everybody) {
			return c
		}
	}
	return nil
}

// fate is what becomes of one call: the mode of a cut, where a flaky one has been decided.
func (n *network) fate(host, service string) (Mode, *cut) {
	c := n.between(host, service)
	if c == nil {
		return "", nil
	}
	if c.mode != Flaky {
		return c.mode, c
	}

	fates := []Mode{Refuses, Silent, Deaf, "", "", ""}
	return fates[n.dice.below(len(fates))], c
}

// client is a process's way to one service: what the AWS SDK calls instead of the network.
type client struct {
	network *network
	process *process
	service string
	handler http.Handler
	// timeout bounds one attempt, as that of a real HTTP client would; 0: none.
	timeout time.Duration
}

// Do carries out one call in memory. The handler's answer is complete before the caller sees anything of it.
func (c *client) Do(r *http.Request) (*http.Response, error) {
	if err := c.process.alive(); err != nil {
		return nil, err
	}

	ctx, cancel := c.bound(r.Context())
	defer cancel()
	answer, err := c.call(ctx, r)

	if dead := c.process.alive(); dead != nil {
		return nil, dead
	}
	return answer, err
}

// bound ends with the attempt, and with the process: a long poll whose connection is gone gets no message.
func (c *client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.process.dead, cancel)
	if c.timeout <= 0 {
		return ctx, func() { stop(); cancel() }
	}

	ctx, cancelTimeout := context.WithTimeout(ctx, c.timeout)
	return ctx, func() { cancelTimeout(); stop(); cancel() }
}

func (c *client) call(ctx context.Context, r *http.Request) (*http.Response, error) {
	if err := pause(ctx, c.network.dice.between(time.Millisecond, 15*time.Millisecond)); err != nil {
		return nil, err
	}

	mode, fault := c.network.fate(c.process.host, c.service)
	switch mode {
	case Refuses:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case Silent:
		if err := c.silence(ctx, fault); err != nil {
			return nil, err
		}
	}

	answer, err := c.act(ctx, r)
	if err != nil {
		return nil, err
	}
	if mode == Deaf {
		return nil, c.lost(ctx, fault)
	}
	if now := c.network.between(c.process.host, c.service); now != nil && now != fault && now.mode != Flaky {
		return nil, c.lost(ctx, now) // the cut began while the call was under way
	}
	return answer, pause(ctx, c.network.dice.between(time.Millisecond, 15*time.Millisecond))
}

// silence waits for the end of a cut. What was sent meanwhile arrives after all, or the connection has broken.
func (c *client) silence(ctx context.Context, fault *cut) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-fault.ended:
	}
	if c.network.dice.oneIn(2) {
		return errReset
	}
	return nil
}

// lost waits for an answer that never comes.
func (c *client) lost(ctx context.Context, fault *cut) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-fault.ended:
		return errReset
	}
}

// act has the service handle the call. The service sees that a caller has hung up by the end of ctx.
func (c *client) act(ctx context.Context, r *http.Request) (*http.Response, error) {
	body, err := read(r)
	if err != nil {
		return nil, err
	}

	in := r.Clone(context.WithValue(ctx, callerKey{}, c.process.name))
	in.Body = io.NopCloser(bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	c.handler.ServeHTTP(recorder, in)
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	answer := recorder.Result()
	answer.Request = r
	if answer.ContentLength < 0 {
		answer.ContentLength = int64(recorder.Body.Len())
	}
	return answer, nil
}

func read(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()

	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return body, nil
}

// callerKey is the context key of the name of the process that calls.
type callerKey struct{}

// caller is the process that made a request.
func caller(r *http.Request) string {
	name, _ := r.Context().Value(callerKey{}).(string)
	return name
}

// ask is a call that is no HTTP: it says whether a host reaches a service now, in the way in which the cut says so.
func (n *network) ask(ctx context.Context, p *process, service string) error {
	if err := p.alive(); err != nil {
		return err
	}

	mode, fault := n.fate(p.host, service)
	switch mode {
	case "":
		return pause(ctx, n.dice.between(time.Millisecond, 30*time.Millisecond))
	case Refuses:
		return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-fault.ended:
		return errors.Join(errReset, p.alive())
	}
}

// mend ends every cut.
func (n *network) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cuts {
		close(c.ended)
	}
	n.cuts = nil
}
