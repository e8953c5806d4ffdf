package document

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Two recorders that write to one recording must never choose the same name.
func TestNamesOfPartsAreDifferentForEveryOwner(t *testing.T) {
	seen := map[string]bool{}
	for epoch := 1; epoch <= 12; epoch++ {
		for n := 1; n <= 12; n++ {
			name := PartName("room/name", epoch, n, "webm")
			require.False(t, seen[name], name)
			seen[name] = true
			require.True(t, IsPart("room/name", name), name)
			require.Equal(t, epoch, EpochOf("room/name", "directory/"+name), name)
		}
	}
	require.Equal(t, "a.webm", PartName("a", 1, 1, "webm"))
	require.Equal(t, "a.part2.webm", PartName("a", 0, 2, "webm"))
	require.Equal(t, "a.e2.webm", PartName("a", 2, 1, "webm"))
	require.Equal(t, "a.e2.part3.webm", PartName("a", 2, 3, "webm"))
	require.Equal(t, 1, EpochOf("a", "x/a.elephant.webm"))
	require.Equal(t, 3, EpochOf("a", "x/a.e3.rest.webm"))
}

// Whoever looks for a recording's parts in the bucket must not take another recording's.
func TestOtherRecordingsFilesAreNoParts(t *testing.T) {
	for _, name := range []string{"a.json", "a-2.webm", "ab.webm", "a.b.webm", "a.e2.json", "b/a.webm",
		"a.part2.x.webm", "a"} {
		require.False(t, IsPart("a", name), name)
	}
	require.True(t, IsPart("a", "a.e2.part3.rest2.webm"))
	require.Equal(t, "a.e2.part3.webm", RestOf("a.e2.part3.rest2.webm"))
	require.Equal(t, "a.webm", RestOf("a.webm"))
}
