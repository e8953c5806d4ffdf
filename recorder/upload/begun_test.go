package upload

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartsOfARecordingAreFoundAndNobodyElses(t *testing.T) {
	s, _, _ := bucket(t)
	put := func(keys ...string) {
		for _, key := range keys {
			o := object{key: s.Key(key)}
			require.NoError(t, s.put(t.Context(), o, condition{}, strings.NewReader("media"), 5))
		}
	}
	put("a/b.webm", "a/b.e2.part3.rest.ogg", "a/b.json", "a/b.mine.webm", "a/bc.webm", "b.webm", "a/b.e2.dir/b.webm")
	put(".journal/files/a/b.e2.webm/RR_a", ".journal/files/a/bc.webm/RR_a", ".journal/RR_a/000000001")
	for _, name := range []string{"a/b.e3.webm", "a/bc.e3.webm"} {
		require.NoError(t, (&multipart{object: object{key: s.Key(name)}, s3: s}).create(t.Context()))
	}

	stored, err := s.Stored(t.Context(), "a/b")
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"a/b.webm": 5, "a/b.e2.part3.rest.ogg": 5}, stored)
	begun, err := s.Begun(t.Context(), "a/b")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a/b.e2.webm", "a/b.e3.webm"}, begun)
}
