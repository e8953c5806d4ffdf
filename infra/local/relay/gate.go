package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Gate passes TCP connections on to a server, and can fall silent: connections stay open then, and carry nothing any
// more, for good, as if a machine or a firewall between the two had gone without a word.
type Gate struct {
	listener net.Listener
	target   string
	saw      func(*http.Request) // nil: nobody wants to know
	wg       sync.WaitGroup

	mu     sync.Mutex
	silent bool
	open   map[net.Conn]bool // true: carries nothing any more
}

// StartGate listens at an address and passes on to another. Saw is told of every HTTP request that clients send, before
// its body has passed; nil: it is not looked for any.
func StartGate(address, target string, saw func(*http.Request)) (*Gate, error) {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return nil, fmt.Errorf("start gate: %w", err)
	}

	g := &Gate{
		listener: listener,
		target:   target,
		saw:      saw,
		open:     map[net.Conn]bool{},
	}
	g.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			if g.keep(client) {
				g.wg.Go(func() { g.pass(client) })
			}
		}
	})

	return g, nil
}

// Silence makes the gate silent, or lets new connections pass again.
func (g *Gate) Silence(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.silent = on
	if !on {
		return
	}
	for c := range g.open {
		g.open[c] = true
		_ = c.SetDeadline(time.Now()) // ends the copying, and leaves the connection as it is
	}
}

// Close ends everything.
func (g *Gate) Close() {
	_ = g.listener.Close() // ends the accepting
	g.mu.Lock()
	for c := range g.open {
		_ = c.Close() // whoever waits there has gone
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// keep notes a connection, and says whether it carries anything.
func (g *Gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[c] = g.silent
	return !g.silent
}

// drop closes connections of which one has ended, but for those that have fallen silent: they stay until Close.
func (g *Gate) drop(connections ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range connections {
		if !g.open[c] {
			delete(g.open, c)
			_ = c.Close() // its other end has gone
		}
	}
}

func (g *Gate) pass(client net.Conn) {
	server, err := net.Dial("tcp4", g.target)
	if err != nil {
		g.drop(client)
		return
	}
	if !g.keep(server) {
		return
	}

	var copying sync.WaitGroup
	transfer := func(to, from net.Conn, as io.Reader) {
		_, _ = io.Copy(to, as) // until one of them ends
		g.drop(to, from)
	}

	copying.Go(func() {
		if g.saw == nil {
			transfer(server, client, client)
			return
		}
		read, write := io.Pipe()
		copying.Go(func() { watch(read, g.saw) })
		transfer(server, client, io.TeeReader(client, write))
		_ = write.Close() // a pipe's never fails
	})
	transfer(client, server, server)
	copying.Wait()
}

// watch reads the requests of a connection. What is no HTTP is read as well, for it must pass.
func watch(connection io.Reader, saw func(*http.Request)) {
	reader := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			break
		}
		saw(request)
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			break
		}
	}
	_, _ = io.Copy(io.Discard, reader) // until the connection ends
}
