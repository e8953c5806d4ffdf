package notify

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// ownPrefix begins the names of receivers that a recording's caller has named: no host begins so.
const ownPrefix = "own "

// own are the webhooks of a recording's own, by the names of receivers. Those that are told of all recordings are told
// once.
func (n *Notifier) own(recording document.Recording) map[string]*url.URL {
	all := map[string]*url.URL{}
	for _, text := range recording.Webhooks {
		to, err := url.Parse(text)
		if err != nil {
			continue // has been refused where it came in
		}
		if name := nameOf(to); n.urls[name] == nil {
			all[ownPrefix+name] = to
		}
	}
	return all
}

// receiver is where a receiver is, and what it is called by.
func (n *Notifier) receiver(name string, recording document.Recording) (*url.URL, *http.Client) {
	if strings.HasPrefix(name, ownPrefix) {
		return n.own(recording)[name], &n.outside
	}
	return n.urls[name], &n.client
}

// errPrivate says that an address is none that a caller may have us call.
var errPrivate = errors.New("the address is not a public one (see WEBHOOK_PRIVATE)")

// outsideClient calls addresses that callers of the REST interface have named. They must not reach what only this
// recorder can: the name's address is looked at when it is connected to, whatever the name led to before, and no proxy
// looks for another one.
func outsideClient(private bool) http.Client {
	dialer := &net.Dialer{Timeout: attemptTimeout}
	if !private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return checkAddress(address) }
	}
	c := client()
	c.Transport = &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: attemptTimeout,
		// Each is called once in a while only, and nobody knows how many there are.
		DisableKeepAlives: true,
	}
	return c
}

// checkAddress says whether a host and port are on the internet.
func checkAddress(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	if !command.Public(to.Addr()) {
		return errPrivate
	}
	return nil
}
