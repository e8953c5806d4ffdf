package check

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
)

// Webhook finds out whether a receiver of notices can be reached. Nothing is posted: it would take that for a
// recording's end. A recorder starts without it, since its notices wait for it.
func Webhook(address string) Check {
	return Check{Name: "webhook", Optional: true, Run: func(ctx context.Context) Finding {
		const remedy = "set it to an address that this network leads to, with a certificate that is good"
		to, err := url.Parse(address)
		if err != nil {
			return wrong("WEBHOOK_URLS", remedy, "one of them is no URL")
		}

		if err := connect(ctx, to); err != nil {
			f := faultOf(ctx, err)
			return Finding{State: f.State, Setting: "WEBHOOK_URLS", Remedy: remedy, Detail: to.Host + ": " + f.text}
		}
		return ok("%s can be reached", to.Host) // the rest may be a secret
	}}
}

func connect(ctx context.Context, to *url.URL) error {
	port := to.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[to.Scheme]
	}
	address := net.JoinHostPort(to.Hostname(), port)

	var conn net.Conn
	var err error
	if to.Scheme == "https" {
		conn, err = (&tls.Dialer{}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return err
	}
	return conn.Close()
}
