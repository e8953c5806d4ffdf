package health

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// Prometheus asks every 15 to 60 seconds, and CloudWatch is told every minute.
func BenchmarkScrape(b *testing.B) {
	handler := exposition(nil)
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), request)
	}
}

func BenchmarkReport(b *testing.B) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetFormatter(&logrus.JSONFormatter{})
	r := &Reporter{Log: log}
	for b.Loop() {
		r.Report(time.Now())
	}
}
