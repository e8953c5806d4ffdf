package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"

	"livekit-recorder/infra/local/price"
)

// startPlainAPI starts the API as a plain HTTP server. What it answers is looked at on its way.
func (s *Stack) startPlainAPI(ctx context.Context) (err error) {
	var port int
	if err := choose(&port); err != nil {
		return err
	}
	target, err := url.Parse(local("http", port))
	if err != nil {
		return err
	}

	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"message":"the server cannot be reached"}`)) // the client has gone
	}
	if err := s.serve(s.APIPort, s.counting(price.OfAPI, s.Watch.Answers(proxy))); err != nil {
		return fmt.Errorf("start proxy: %w", err)
	}

	environment, err := s.functionEnv()
	if err != nil {
		return err
	}
	s.PlainAPI, err = s.launch("api", nil, slices.Concat(environment, s.serviceEnv(), []string{
		appID + "function",
		"AWS_REGION=" + home,
		"LISTEN_ADDR=" + target.Host,
	}), filepath.Join(s.Binaries, "api"))
	return errors.Join(err, s.awaitHTTP(ctx, s.API+"/health"))
}
