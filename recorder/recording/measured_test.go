package recording

import (
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
)

func TestOperatorsSeeHowLongThingsTake(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		picked, framed, stored := metrics.PickUp.Now(), metrics.FirstFrame.Now(), metrics.StopToStored.Now()
		stopped := metrics.Ended.With("completed", "stopped").Load()
		takenOver := metrics.TakeOvers.Load()
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		pass(4 * time.Second) // it waits in the queue
		w.livekit.goes()
		h := one.record(c)
		pass(20 * time.Second) // alice is late
		w.livekit.comes("S1")
		pass(10 * time.Second)
		h.kill()
		h.within(soon)
		h = two.record(c)
		pass(10 * time.Second)
		two.stop(c)
		require.Equal(t, Done, h.within(time.Minute).Outcome)

		now := metrics.PickUp.Now()
		require.EqualValues(t, 1, now.Count-picked.Count, "a take-over is none")
		require.InDelta(t, 4, now.Sum-picked.Sum, 0.1)
		now = metrics.FirstFrame.Now()
		require.EqualValues(t, 2, now.Count-framed.Count, "of each recorder")
		require.Less(t, now.Sum-framed.Sum, 5.0, "that somebody is late is not the recorder's fault")
		now = metrics.StopToStored.Now()
		require.EqualValues(t, 1, now.Count-stored.Count)
		require.Less(t, now.Sum-stored.Sum, 60.0)
		require.EqualValues(t, 1, metrics.Ended.With("completed", "stopped").Load()-stopped)
		require.EqualValues(t, 1, metrics.TakeOvers.Load()-takenOver)
	})
}

// What the bucket has not said the name of is on this disk alone.
func TestUnnamedRecordingsAreSeen(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, c := w.recorder("one"), start()
		w.bucket.silence(time.Minute)
		h := one.record(c)
		pass(31 * time.Second)
		require.InDelta(t, 30, one.Unnamed().Seconds(), 2)
		pass(time.Minute)
		require.Zero(t, one.Unnamed())
		one.stop(c)
		require.Equal(t, Done, h.within(time.Minute).Outcome)
		require.Zero(t, one.Unnamed())
	})
}

func TestEveryLineOfARecordingLeadsToItsRequest(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		hook := test.NewLocal(w.log)
		w.log.SetLevel(logrus.DebugLevel)
		one, two, c := w.recorder("one"), w.recorder("two"), traced(start())
		h := one.record(c)
		pass(10 * time.Second)
		h.kill()
		h.within(soon)
		h = two.record(c)
		pass(10 * time.Second)
		require.NoError(t, two.Stop(t.Context(), traced(byID(c))))
		require.Equal(t, Done, h.within(time.Minute).Outcome)
		require.Equal(t, "request-1", w.document(c).RequestID)

		require.Greater(t, len(hook.AllEntries()), 10)
		for _, entry := range hook.AllEntries() {
			require.Equal(t, c.Recording, entry.Data["recording"], entry.Message)
			require.Equal(t, "request-1", entry.Data["request"], entry.Message)
		}
	})
}

func TestWhyRecordingsEndIsOneOfFewWords(t *testing.T) {
	part := []document.Part{{State: document.Failed, Reason: "upload failed: whatever"}}
	completed := []document.Part{{State: document.Completed}}
	for what, c := range map[string]struct {
		parts      []document.Part
		reason     string
		unrecorded document.UnrecordedReason
		want       string
	}{
		"the usual":         {completed, reasonLeft, "", "left"},
		"stopped":           {completed, reasonStopped, "", "stopped"},
		"given up":          {completed, document.ReasonGivenUp, "", "given_up"},
		"never came":        {nil, document.ReasonNotJoined, "", "not_joined"},
		"only listened":     {nil, reasonLeft, "", "no_media"},
		"unknown codec":     {nil, reasonLeft, document.UnrecordedCodec, "unrecordable"},
		"encrypted":         {nil, reasonLeft, document.UnrecordedEncrypted, "encrypted"},
		"partly encrypted":  {completed, reasonLeft, document.UnrecordedEncrypted, "left"},
		"failed and came":   {nil, document.ReasonNotJoined, document.UnrecordedEncrypted, "encrypted"},
		"all parts failed":  {part, reasonStopped, "", "parts_failed"},
		"nothing written":   {nil, reasonWriting, "", "writing"},
		"some written":      {completed, reasonWriting, "", "writing"},
		"too many parts":    {completed, document.ReasonUnsteady, "", "unsteady"},
		"a reason of later": {completed, "something that nobody has thought of", "", "other"},
	} {
		r := document.Recording{Parts: c.parts}
		if c.unrecorded != "" {
			r, _ = r.Without(document.Unrecorded{SID: "TR_1", Codec: "h265", Reason: c.unrecorded})
		}
		final := r.Concluded(c.reason)
		word := cause(final, c.reason)
		require.Equal(t, c.want, word, what)
		before := metrics.Ended.With(string(final.State), word).Load()
		metrics.Ended.With(string(final.State), word).Inc()
		require.Equal(t, before+1, metrics.Ended.With(string(final.State), word).Load())
	}
}
