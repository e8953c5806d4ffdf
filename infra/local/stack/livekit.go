package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"livekit-recorder/infra/local/secrets"
	"livekit-recorder/shared/keys"
)

// mediaPorts are those on which LiveKit takes packets.
type mediaPorts struct{ udp, tcp int }

func (s *Stack) startLiveKit(ctx context.Context) error {
	if err := errors.Join(choose(&s.media.udp), choose(&s.media.tcp)); err != nil {
		return err
	}
	if len(s.LiveKitKeys) == 0 {
		s.LiveKitKeys = []keys.Key{{ID: LiveKitKey, Secret: LiveKitSecret}}
	}
	if err := s.configureLiveKit(); err != nil {
		return err
	}
	return s.runLiveKit(ctx)
}

func (s *Stack) configureLiveKit() error {
	var taken []string
	for _, key := range s.LiveKitKeys {
		taken = append(taken, key.ID+": "+key.Secret)
	}
	config := strings.Join([]string{
		"port: " + strconv.Itoa(s.LiveKitPort), "bind_addresses: [127.0.0.1]", "development: true",
		"rtc:", "  udp_port: " + strconv.Itoa(s.media.udp), "  tcp_port: " + strconv.Itoa(s.media.tcp),
		"  node_ip: 127.0.0.1", "  use_external_ip: false", "  enable_loopback_candidate: true",
		"  interfaces: {includes: [lo]}",
		"keys: {" + strings.Join(taken, ", ") + "}",
		"webhook:", "  api_key: " + s.LiveKitKeys[0].ID, "  urls: ['" + s.API + "/recordings/webhooks']",
		"logging: {level: info}", "",
	}, "\n")

	if err := os.WriteFile(filepath.Join(s.Work, "livekit.yaml"), []byte(config), 0o644); err != nil {
		return fmt.Errorf("configure LiveKit: %w", err)
	}
	return nil
}

func (s *Stack) runLiveKit(ctx context.Context) (err error) {
	config := filepath.Join(s.Work, "livekit.yaml")
	if s.liveKit, err = s.launch("livekit", nil, nil, filepath.Join(s.Tools, "server"), "--config", config); err != nil {
		return err
	}
	return s.awaitHTTP(ctx, local("http", s.LiveKitPort))
}

// SetLiveKitKeys starts the LiveKit server anew with other API keys; it signs webhooks with the first one.
func (s *Stack) SetLiveKitKeys(ctx context.Context, taken ...keys.Key) error {
	s.liveKit.Stop()
	s.LiveKitKeys = taken
	if err := s.configureLiveKit(); err != nil {
		return err
	}
	return s.runLiveKit(ctx)
}

// startSecret serves the secret that has the API keys, if there is one.
func (s *Stack) startSecret(context.Context) error {
	if s.Secret == nil {
		return nil
	}
	var port int
	if err := choose(&port); err != nil {
		return err
	}
	if err := s.serve(port, s.Secret); err != nil {
		return fmt.Errorf("start Secrets Manager stand-in: %w", err)
	}
	s.secretURL = local("http", port)
	return nil
}

// keysEnv says where the API keys are.
func (s *Stack) keysEnv() []string {
	if s.Secret == nil {
		return []string{"LIVEKIT_API_KEY=" + LiveKitKey, "LIVEKIT_API_SECRET=" + LiveKitSecret}
	}
	return []string{"LIVEKIT_SECRET_ARN=" + secrets.ARN, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + s.secretURL}
}
