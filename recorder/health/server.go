package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/metrics"
)

const (
	// stuck is how long a loop may take for one turn. The slowest, a poll of the control queue, waits 25 seconds for the
	// queue and 50 for what it has taken. A recorder that is taken for dead loses up to 10 seconds of every recording:
	// better a minute too late.
	stuck = 3 * time.Minute
	// answerTimeout bounds an answer, closing the waiting for those under way in the end.
	answerTimeout = 10 * time.Second
	closing       = 2 * time.Second
)

// Server answers whoever supervises a recorder:
//
//	/metrics  for Prometheus
//	/healthz  200 while its loops turn; 503 with those that are stuck: it should be ended
//	/readyz   200 while it takes starts; 503 with why it does not
type Server struct {
	// Address is where it listens.
	Address string
	// Build are labels of livekit_recorder_build_info.
	Build map[string]string
	// Unready says why no starts are taken; nothing if they are.
	Unready func() []string
	Log     logrus.FieldLogger

	listener net.Listener
	server   http.Server
}

// Listen opens the address, so that it is known at once if it cannot be used.
func (s *Server) Listen(ctx context.Context) (err error) {
	var config net.ListenConfig
	if s.listener, err = config.Listen(ctx, "tcp", s.Address); err != nil {
		return fmt.Errorf("listen on METRICS_ADDR: %w", err)
	}
	s.Log.WithField("address", s.listener.Addr().String()).Info("metrics and health are served")
	return nil
}

// Run answers until ctx is done.
func (s *Server) Run(ctx context.Context) {
	s.server = http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: answerTimeout,
		ReadTimeout:       answerTimeout,
		WriteTimeout:      answerTimeout,
	}
	served := make(chan struct{})
	go func() { // ends with the server, and is waited for
		defer close(served)
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.Log.WithError(err).Error("metrics and health are not served any more")
		}
	}()

	<-ctx.Done()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	_ = s.server.Shutdown(bounded) // whoever still reads then is cut off, for the process ends
	<-served
}

func (s *Server) routes() http.Handler {
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", exposition(s.Build))
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, metrics.Stuck(stuck))
	})
	routes.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Unready()) })
	return routes
}

// answer says that all is well, or what is not.
func answer(w http.ResponseWriter, faults []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "ok"
	if len(faults) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = strings.Join(faults, "\n")
	}
	_, _ = fmt.Fprintln(w, text) // an error says that the caller has gone
}
