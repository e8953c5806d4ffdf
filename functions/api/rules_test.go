package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRules(t *testing.T) {
	for _, bad := range []string{"", "room", "/x", "x/", "a/b,c"} {
		_, err := ParseRules(bad)
		require.Error(t, err, bad)
	}

	for text, want := range map[string]bool{
		"all":        true,
		"off":        false,
		"r.om/*":     false,
		"room/al?ce": true,
		"!x/*":       true,
		"!room/*":    false,
	} {
		r, err := ParseRules(text)
		require.NoError(t, err)
		require.Equal(t, want, r.record("room", "alice"), text)
	}
}
