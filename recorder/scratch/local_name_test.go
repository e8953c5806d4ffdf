package scratch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What lies on the disk of a recorder that was killed is known by its name only.
func TestLocalNamesCanBeReadBack(t *testing.T) {
	for name, want := range map[string]LocalName{
		"part1.webm": {1, "webm"}, "part12.mp4": {12, "mp4"}, "part3.ogg": {3, "ogg"},
	} {
		n, ok := ParseLocalName(name)
		require.True(t, ok, name)
		require.Equal(t, want, n)
		require.Equal(t, name, n.String())
	}
	for _, name := range []string{"broken-b.part2.webm", "part0.webm", "part.webm", "part1", "note.json", ".lock",
		"part1.webm.upload"} {
		_, ok := ParseLocalName(name)
		require.False(t, ok, name)
	}
}
