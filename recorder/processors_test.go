package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcessorsAreThoseOfTheContainerOrTheTask(t *testing.T) {
	all := float64(runtime.NumCPU())
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v4/id/task" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"Cluster":"c","Limits":{"CPU":0.25,"Memory":512}}`))
	}))
	defer metadata.Close()
	for text, expected := range map[string]float64{
		"max 100000\n": all, "50000 100000\n": 0.5, "6400000 100000\n": min(all, 64),
	} {
		path := filepath.Join(t.TempDir(), "cpu.max")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		count, err := processors(t.Context(), path, "")
		require.NoError(t, err)
		require.InDelta(t, expected, count, 1e-9, text)
		count, err = processors(t.Context(), path, metadata.URL+"/v4/id")
		require.NoError(t, err)
		require.InDelta(t, 0.25, count, 1e-9, text)
		count, err = processors(t.Context(), path, metadata.URL+"/elsewhere")
		require.Error(t, err, "it is told, and does not stop the recorder")
		require.InDelta(t, expected, count, 1e-9, text)
	}
	count, err := processors(t.Context(), "/does/not/exist", "")
	require.NoError(t, err)
	require.InDelta(t, all, count, 1e-9)
	path := filepath.Join(t.TempDir(), "cpu.max")
	require.NoError(t, os.WriteFile(path, []byte("nonsense"), 0o600))
	_, err = processors(t.Context(), path, "")
	require.Error(t, err)
}
