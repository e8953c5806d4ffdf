package main

import (
	"net"
	"net/http"
	"syscall"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"golang.org/x/sys/unix"
)

const (
	// answerTimeout is how long an answer may take to begin, once a request has been sent: SQS holds a long poll back
	// for 20 s. It says nothing of how long the sending takes, which depends on the size of a part.
	answerTimeout = 25 * time.Second
	// silenceTimeout is how long the other end of a connection may acknowledge nothing: it has gone without a word (a
	// machine that vanished, a firewall that forgot). By itself Linux gives up after about 15 minutes (tcp(7),
	// tcp_retries2).
	silenceTimeout = 20 * time.Second
)

// httpClient is how AWS is called: the SDK's client bounds connecting only, and retries what fails here.
func httpClient(answer, silence time.Duration) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = answer
	}).WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = answer
		d.KeepAliveConfig = net.KeepAliveConfig{
			Enable:   true,
			Idle:     5 * time.Second,
			Interval: 5 * time.Second,
			Count:    3,
		}

		d.Control = func(_, _ string, c syscall.RawConn) (err error) {
			controlErr := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
			})
			if controlErr != nil {
				return controlErr
			}
			return err
		}
	})
}
