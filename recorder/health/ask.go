package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// askTimeout bounds the asking of a recorder on the same machine.
const askTimeout = 4 * time.Second

// longest is how many bytes of an answer are read.
const longest = 4 << 10

// Ask asks the recorder that serves at an address (METRICS_ADDR) on this machine whether it lives: for supervisors that
// run a program, in an image that has no other. The error says that it does not.
func Ask(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	switch {
	case address == "":
		return errors.New("METRICS_ADDR is not set: a recorder serves its health only where that says")
	case err != nil:
		return fmt.Errorf("METRICS_ADDR is no address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens everywhere
	}

	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/healthz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	client := http.Client{Transport: &http.Transport{}} // asks no proxy
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask recorder: %w", err)
	}
	defer response.Body.Close()

	text, err := io.ReadAll(io.LimitReader(response.Body, longest))
	if err != nil {
		return fmt.Errorf("ask recorder: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		said := strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", ")
		return fmt.Errorf("recorder is not well: %s: %s", response.Status, said)
	}
	return nil
}
