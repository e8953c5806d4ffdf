package upload

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// allocated is how much of the disk a file takes, in bytes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var stat unix.Stat_t
	require.NoError(t, unix.Stat(path, &stat))
	return stat.Blocks * 512
}
