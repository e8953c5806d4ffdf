package checks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// released is a repository with what infra/release.sh looks at, and a Docker that knows digests only.
func released(t *testing.T) (directory string, run func(args ...string) (string, error)) {
	t.Helper()
	directory = t.TempDir()
	bin := t.TempDir()
	for _, file := range []string{"infra/release.sh", "Dockerfile", "CHANGELOG.md"} {
		content, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(directory, file)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(directory, file), content, 0o755))
	}
	docker := "#!/bin/sh\n[ \"$2\" = imagetools ] || exit 1\necho sha256:" + strings.Repeat("0a", 32) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte(docker), 0o755))

	run = func(args ...string) (string, error) {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = directory
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	commit(t, run)
	return directory, run
}

func commit(t *testing.T, run func(args ...string) (string, error)) {
	t.Helper()
	for _, args := range [][]string{
		{"git", "init", "-q"},
		{"git", "add", "-A"},
		{"git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "x"},
	} {
		said, err := run(args...)
		require.NoError(t, err, said)
	}
}

func TestReleasesArePinnedAndTold(t *testing.T) {
	directory, run := released(t)
	refused := func(why string, args ...string) {
		t.Helper()
		said, err := run(append([]string{"infra/release.sh"}, args...)...)
		require.Error(t, err)
		require.Contains(t, said, why)
	}
	refused("usage")
	refused("a version is like", "v1")
	refused("CHANGELOG.md has no paragraph '## 99.0.0'", "v99.0.0")

	changes := filepath.Join(directory, "CHANGELOG.md")
	require.NoError(t, os.WriteFile(changes, []byte("# Changelog\n\n## 99.0.0 (2026-12-01)\n"), 0o644))
	refused("in no commit", "v99.0.0")
	commit(t, run)
	refused("base images without a digest", "v99.0.0")

	for range 2 { // twice: digests are replaced
		said, err := run("infra/release.sh", "pin")
		require.NoError(t, err, said)
	}
	pinned, err := os.ReadFile(filepath.Join(directory, "Dockerfile"))
	require.NoError(t, err)
	digest := "@sha256:" + strings.Repeat("0a", 32)
	require.Contains(t, string(pinned), "FROM --platform=$BUILDPLATFORM debian:trixie-slim"+digest+" AS ffmpeg\n")
	require.Contains(t, string(pinned), "FROM --platform=$BUILDPLATFORM golang:1.26-trixie"+digest+" AS programs\n")
	require.Equal(t, 2, strings.Count(string(pinned), "@sha256"))

	commit(t, run)
	said, err := run("infra/release.sh", "v99.0.0")
	require.Error(t, err, "there is no program to build here")
	require.Contains(t, said, "programs for linux/amd64", "nothing is refused any more")
}
