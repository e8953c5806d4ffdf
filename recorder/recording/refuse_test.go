package recording

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
)

// theirs is the track of which livekit says that it cannot be recorded.
func theirs(reason document.UnrecordedReason) []document.Unrecorded {
	return []document.Unrecorded{{SID: "TR_X", Source: "microphone", Codec: "opus", Reason: reason}}
}

func TestARecordingOfWhatCannotBeRecordedSaysWhy(t *testing.T) {
	for reason, says := range map[document.UnrecordedReason]string{
		document.UnrecordedEncrypted: "encrypted",
		document.UnrecordedCodec:     "codec opus",
		document.UnrecordedFault:     "receiving it failed, again and again",
	} {
		story(t, func(t *testing.T, w *world) {
			w.livekit.set(func(s *scene) { s.refuses = reason })
			counted := metrics.Unrecorded.With(string(reason)).Load()
			one, c := w.recorder("one"), start()
			h := one.record(c)
			pass(10 * time.Second)
			require.Equal(t, theirs(reason), w.document(c).Unrecorded, "while it waits for something else")
			require.Equal(t, document.Requested, w.document(c).State)

			one.stop(c)
			require.Equal(t, Done, h.within(soon).Outcome)
			r := w.document(c)
			require.Equal(t, document.Failed, r.State)
			require.Equal(t, says, r.Reason)
			require.Equal(t, theirs(reason), r.Unrecorded)
			require.Empty(t, r.Parts)
			require.Equal(t, r, w.told()[0], "and the notice says it")
			require.Equal(t, counted+1, metrics.Unrecorded.With(string(reason)).Load())
		})
	}
}

func TestWhatIsPublishedInTheClearLaterIsRecorded(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.set(func(s *scene) { s.refuses = document.UnrecordedEncrypted })
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(10 * time.Second)
		w.livekit.set(func(s *scene) { s.refuses = "" })
		pass(10 * time.Second)
		one.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		r := w.document(c)
		require.Equal(t, document.Completed, r.State)
		require.Equal(t, reasonStopped, r.Reason)
		require.Equal(t, theirs(document.UnrecordedEncrypted), r.Unrecorded)
		require.Len(t, r.Parts, 1)
	})
}

// The next recorder's bot sees the same track.
func TestATakeOverDoesNotSayItTwice(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.set(func(s *scene) { s.refuses = document.UnrecordedEncrypted })
		counted := metrics.Unrecorded.With("encrypted").Load()
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		h := one.record(c)
		pass(10 * time.Second)
		h.kill()
		<-h.ended

		h = two.record(c)
		pass(10 * time.Second)
		two.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, theirs(document.UnrecordedEncrypted), w.document(c).Unrecorded)
		require.Equal(t, counted+1, metrics.Unrecorded.With("encrypted").Load())
	})
}

// The bucket answers only when it has been seen already.
func TestWhatIsKnownBeforeTheBucketAnswersIsWrittenDown(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.livekit.set(func(s *scene) { s.refuses = document.UnrecordedEncrypted })
		w.bucket.silence(9 * time.Second)
		one, c := w.recorder("one"), start()
		h := one.record(c)
		pass(20 * time.Second)
		require.Equal(t, theirs(document.UnrecordedEncrypted), w.document(c).Unrecorded)
		one.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		require.Equal(t, "encrypted", w.document(c).Reason)
	})
}

func TestPapersListSoManyTracks(t *testing.T) {
	p := papers{}
	for n := range document.MaxUnrecorded + 10 {
		listed, news := p.refuse(document.Unrecorded{SID: fmt.Sprint("TR_", n)})
		require.Equal(t, n < document.MaxUnrecorded, listed)
		require.True(t, news)
	}
	listed, news := p.refuse(document.Unrecorded{SID: "TR_5"})
	require.False(t, listed)
	require.False(t, news)
}
