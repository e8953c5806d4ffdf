package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refused is a track that could not be recorded.
func refused(n int, reason UnrecordedReason, codec string) Unrecorded {
	return Unrecorded{SID: fmt.Sprint("TR_", n), Source: "camera", Codec: codec, Reason: reason}
}

func TestWhyNothingWasRecorded(t *testing.T) {
	for want, tracks := range map[string][]Unrecorded{
		"encrypted":                   {refused(1, UnrecordedCodec, "h265"), refused(2, UnrecordedEncrypted, "vp8")},
		"codec h265":                  {refused(1, UnrecordedCodec, "h265"), refused(2, UnrecordedCodec, "pcmu")},
		"codec unknown":               {refused(1, UnrecordedCodec, "")},
		ReasonNoMedia + "; the cause": nil,
	} {
		r, _ := Recording{State: Active}.Without(tracks...)
		require.Equal(t, want, r.Concluded("the cause").Reason)
	}
	r, _ := Recording{Parts: []Part{lasting("a", Completed, 0, 9)}}.Without(refused(1, UnrecordedEncrypted, "vp8"))
	require.Equal(t, "left", r.Concluded("left").Reason)
	require.Equal(t, Completed, r.Concluded("left").State)
}

func TestTracksThatCouldNotBeRecordedAreBounded(t *testing.T) {
	r, before := Recording{}, Recording{}
	for n := range MaxUnrecorded + 50 {
		var news bool
		before = r
		r, news = r.Without(refused(n, UnrecordedCodec, strings.Repeat("x", 32)))
		require.True(t, news)
	}
	require.Len(t, r.Unrecorded, MaxUnrecorded)
	require.Equal(t, 50, r.UnrecordedOmitted)
	require.Equal(t, 49, before.UnrecordedOmitted)

	again, news := r.Without(r.Unrecorded...)
	require.False(t, news)
	require.Equal(t, r, again)
}

// A recorder's document meets the one that is there, which may be another recorder's.
func TestSavedDocumentsLoseNoTrackThatCouldNotBeRecorded(t *testing.T) {
	mine, _ := Recording{Epoch: 2}.Without(refused(1, UnrecordedEncrypted, "vp8"))
	there, _ := Recording{Epoch: 1}.Without(refused(2, UnrecordedCodec, "h265"), refused(1, UnrecordedEncrypted, "vp8"))
	there.UnrecordedOmitted = 7
	saved, err := mine.Saved(there)
	require.NoError(t, err)
	require.Equal(t, []Unrecorded{mine.Unrecorded[0], there.Unrecorded[0]}, saved.Unrecorded)
	require.Equal(t, 7, saved.UnrecordedOmitted)
	require.Len(t, mine.Unrecorded, 1, "what others have is left as it is")

	again, err := saved.Saved(saved)
	require.NoError(t, err)
	require.Equal(t, saved, again)
}
