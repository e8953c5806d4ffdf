// Package relay is a bad network: it stands between one participant and a LiveKit server, for signalling and media,
// and loses, delays and cuts off what passes through it.
package relay

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Network says how bad it is. The zero value is a perfect one.
type Network struct {
	// Loss is the share of packets that are lost, each way.
	Loss float64
	// Reorder is the share of packets that arrive later than those behind them, by Delay.
	Reorder float64
	Delay   time.Duration
	// Cut says that nothing passes at all.
	Cut bool
}

// Relay passes everything on between its own address and a server's.
type Relay struct {
	// URL is what the participant connects to (ws://).
	URL string

	server   *url.URL
	listener net.Listener
	http     http.Server
	udp      *net.UDPConn
	network  atomic.Pointer[Network]
	done     chan struct{}
	wg       sync.WaitGroup

	mu      sync.Mutex
	sockets map[*websocket.Conn]bool
	flows   map[string]*net.UDPConn // towards the server, by the participant's address
	target  *net.UDPAddr            // the server's, as its candidates say
}

// Start makes a relay to a LiveKit server at a ws:// address.
func Start(server string) (*Relay, error) {
	target, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}

	r := &Relay{
		server:  target,
		done:    make(chan struct{}),
		sockets: map[*websocket.Conn]bool{},
		flows:   map[string]*net.UDPConn{},
	}

	r.network.Store(&Network{})
	if r.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	if r.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, errors.Join(fmt.Errorf("start relay: %w", err), r.listener.Close())
	}

	r.URL = "ws://" + r.listener.Addr().String()
	plain := *target
	plain.Scheme = "http"
	proxy := httputil.NewSingleHostReverseProxy(&plain)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // a server that is away is what a relay is for

	r.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		switch {
		case r.network.Load().Cut:
			http.Error(w, "the network is down", http.StatusBadGateway)
		case websocket.IsWebSocketUpgrade(request):
			r.signal(w, request)
		default:
			proxy.ServeHTTP(w, request)
		}
	})

	r.wg.Go(func() { _ = r.http.Serve(r.listener) }) // until Close
	r.wg.Go(r.fromParticipant)
	return r, nil
}

// Set changes the network. Cutting it off also breaks the signalling connections.
func (r *Relay) Set(n Network) {
	r.network.Store(&n)
	if n.Cut {
		r.closeSockets()
	}
}

func (r *Relay) closeSockets() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.sockets {
		_ = c.Close() // both sides notice
	}
}

// Close ends everything.
func (r *Relay) Close() {
	close(r.done)
	_ = r.http.Close() // connections are cut off
	_ = r.udp.Close()
	r.closeSockets()
	r.mu.Lock()
	for _, flow := range r.flows {
		_ = flow.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// fromParticipant passes packets on to the server, over one socket for each of the participant's.
func (r *Relay) fromParticipant() {
	for {
		buffer := make([]byte, 2048)
		n, from, err := r.udp.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		if flow := r.flow(from); flow != nil {
			r.pass(func() { _, _ = flow.Write(buffer[:n]) }) // as networks are
		}
	}
}

func (r *Relay) flow(from *net.UDPAddr) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()

	if flow := r.flows[from.String()]; flow != nil || r.target == nil {
		return flow
	}

	flow, err := net.DialUDP("udp4", nil, r.target)
	if err != nil {
		return nil
	}

	r.flows[from.String()] = flow
	r.wg.Go(func() {
		for {
			buffer := make([]byte, 2048)
			n, err := flow.Read(buffer)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err == nil: // else nobody listens there just now
				r.pass(func() { _, _ = r.udp.WriteToUDP(buffer[:n], from) })
			}
		}
	})

	return flow
}

// pass lets a packet through, or not, or later.
func (r *Relay) pass(send func()) {
	n := r.network.Load()
	switch chance := rand.Float64(); {
	case n.Cut, chance < n.Loss:
	case chance < n.Loss+n.Reorder:
		r.wg.Go(func() {
			select {
			case <-r.done:
			case <-time.After(n.Delay):
				send()
			}
		})
	default:
		send()
	}
}

// signal passes signalling on. What it says of addresses is changed, so that media come through the relay.
func (r *Relay) signal(w http.ResponseWriter, request *http.Request) {
	target := *r.server
	target.Path, target.RawQuery = request.URL.Path, request.URL.RawQuery
	header := http.Header{}
	for _, name := range []string{"Authorization"} {
		header[name] = request.Header[name]
	}

	server, response, err := websocket.DefaultDialer.DialContext(request.Context(), target.String(), header)
	if err != nil {
		status := http.StatusBadGateway
		if response != nil {
			status = response.StatusCode
		}
		http.Error(w, err.Error(), status)
		return
	}
	defer server.Close()

	upgrader := websocket.Upgrader{}
	participant, err := upgrader.Upgrade(w, request, nil)
	if err != nil {
		return // it has been answered
	}
	defer participant.Close()

	r.mu.Lock()
	r.sockets[server], r.sockets[participant] = true, true
	r.mu.Unlock()
	ended := make(chan struct{}, 2)
	go func() { copyMessages(participant, server, r.towardsParticipant); ended <- struct{}{} }()
	go func() { copyMessages(server, participant, towardsServer); ended <- struct{}{} }()
	<-ended
	_, _ = server.Close(), participant.Close()
	<-ended
	r.mu.Lock()
	delete(r.sockets, server)
	delete(r.sockets, participant)
	r.mu.Unlock()
}

func copyMessages(to, from *websocket.Conn, change func([]byte) []byte) {
	for {
		kind, message, err := from.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.BinaryMessage {
			if message = change(message); message == nil {
				continue
			}
		}
		if to.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// withoutCandidates takes the candidates out of a session description.
func withoutCandidates(sdp string) string {
	var kept []string
	for _, line := range strings.SplitAfter(sdp, "\n") {
		if !strings.HasPrefix(line, "a=candidate:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
