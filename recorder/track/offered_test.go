package track

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCodecThatComesIsOneThatCanBeRecorded(t *testing.T) {
	for _, c := range []struct {
		mimes []string
		name  string
		ok    bool
	}{
		{nil, "", true},
		{[]string{"video/AV1"}, "av1", true},
		{[]string{"audio/RED"}, "opus", true},
		{[]string{"video/H265", "video/VP8"}, "vp8", true},
		{[]string{"video/H265", "video/H266"}, "h265", false},
		{[]string{"H265"}, "h265", false},
		{[]string{"audio/\n{\"level\":\"error\"}"}, "___level_:_error__", false},
		{[]string{"video/" + strings.Repeat("ä", 99)}, strings.Repeat("_", maxNameBytes), false},
	} {
		name, ok := Offered(c.mimes)
		require.Equal(t, c.ok, ok, c.mimes)
		require.Equal(t, strings.ReplaceAll(c.name, ":", "_"), name, c.mimes)
	}
}
