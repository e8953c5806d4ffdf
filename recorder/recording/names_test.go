package recording

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocalNamesCanBeReadBack(t *testing.T) {
	for name, stored := range map[string]string{
		"part1.webm": "a/b.webm", "part12.mp4": "a/b.part12.mp4", "drained.part2.ogg": "a/b.drained.part2.ogg",
	} {
		n, ok := parseLocal(name)
		require.True(t, ok, name)
		require.Equal(t, name, n.String())
		require.Equal(t, stored, n.partOf("a/b"))
	}
	for _, name := range []string{"recovered-b.part2.webm", "repaired-b.webm", "part0.webm", "part.webm", "part1", "offset", ".lock"} {
		_, ok := parseLocal(name)
		require.False(t, ok, name)
	}
}
