package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/sirupsen/logrus"
)

// usualAddress is where the server listens unless LISTEN_ADDR says otherwise.
const usualAddress = ":8080"

// Whoever is slow must not keep connections open for nothing. The handler itself bounds bodies to 256 KiB.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 15 * time.Second // for a request with its body, and for its answer, as the Lambda has it
	answerTimeout  = requestTimeout + headerTimeout + 5*time.Second
	// idleTimeout is more than the 60 seconds after which load balancers close idle connections: were the server the
	// first to do so, a request could meet a connection that is just being closed.
	idleTimeout = 75 * time.Second
	// stopTimeout is for the requests under way at SIGTERM: less than the 30 seconds that Kubernetes waits for.
	stopTimeout = 20 * time.Second
	// maxHeader bounds a request's line and headers, in bytes: tokens have less than a kilobyte, and API Gateway itself
	// allows 10 KiB (quotas of HTTP APIs).
	maxHeader = 16 << 10
)

// address is where the server listens.
func address() string { return cmp.Or(os.Getenv("LISTEN_ADDR"), usualAddress) }

// serve answers requests until ctx is done, and then those that are under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *logrus.Logger) error {
	// What net/http has to say is of clients that do not speak HTTP, and of panics, with their stack.
	complaints := log.WriterLevel(logrus.WarnLevel)
	defer complaints.Close()

	server := &http.Server{
		Handler:           bounded(handler),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(complaints, "", 0),
	}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}

	log.Info("stopping: the requests under way are answered")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return errors.Join(fmt.Errorf("answer the requests under way: %w", err), server.Close())
	}
	log.Info("stopped")
	return nil
}

// bounded gives each request as long as the Lambda would have.
func bounded(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

// healthTimeout bounds the asking for health.
const healthTimeout = 5 * time.Second

// askHealth asks the server that listens at an address, on this machine. The image has no shell and no curl that
// could.
func askHealth(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("read LISTEN_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}

	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/health"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	_ = response.Body.Close() // its status says it
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for health: the server answered %s", response.Status)
	}
	return nil
}
