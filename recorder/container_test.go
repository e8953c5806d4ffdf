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

// limited makes the files of a cgroup.
func limited(t *testing.T, cpu, memory string) (directory string) {
	t.Helper()
	directory = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(directory, "cpu.max"), []byte(cpu), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(directory, "memory.max"), []byte(memory), 0o600))
	return directory
}

func TestLimitsAreThoseOfTheContainerOrTheTask(t *testing.T) {
	all := float64(runtime.NumCPU())
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v4/id/task" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"Cluster":"c","Limits":{"CPU":0.25,"Memory":512}}`))
	}))
	defer metadata.Close()

	for name, c := range map[string]struct {
		cpu, memory string
		expected    container
	}{
		"nothing is limited": {"max 100000\n", "max\n", container{all, usualMemory}},
		"half a processor":   {"50000 100000\n", "268435456\n", container{0.5, 256 << 20}},
		"more than there is": {"6400000 100000\n", "17179869184\n", container{min(all, 64), 16 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			directory := limited(t, c.cpu, c.memory)
			got, err := readContainer(t.Context(), directory, "")
			require.NoError(t, err)
			require.Equal(t, c.expected, got)

			got, err = readContainer(t.Context(), directory, metadata.URL+"/v4/id")
			require.NoError(t, err)
			require.Equal(t, container{0.25, 512 << 20}, got)

			got, err = readContainer(t.Context(), directory, metadata.URL+"/elsewhere")
			require.Error(t, err, "it is told, and does not stop the recorder")
			require.Equal(t, c.expected, got)
		})
	}

	got, err := readContainer(t.Context(), "/does/not/exist", "")
	require.NoError(t, err)
	require.Equal(t, container{all, usualMemory}, got)
	_, err = readContainer(t.Context(), limited(t, "nonsense", "max"), "")
	require.Error(t, err)
	_, err = readContainer(t.Context(), limited(t, "max 100000", "much"), "")
	require.Error(t, err)
}
