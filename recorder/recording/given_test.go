package recording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

func TestLabelsAreInDocumentsNoticesAndTags(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		c.Labels, c.Webhooks = map[string]string{"tenant": "7"}, []string{"https://example.com/hook"}
		old := one.record(c)
		pass(10 * time.Second)
		require.Equal(t, c.Labels, w.document(c).Labels)

		old.kill()
		<-old.ended
		h := two.record(c)
		pass(10 * time.Second)
		two.stop(c)
		require.Equal(t, Done, h.within(2*time.Minute).Outcome)
		r := w.document(c)
		require.Equal(t, c.Labels, r.Labels)
		require.Equal(t, c.Webhooks, r.Webhooks)
		require.Equal(t, c.Labels, w.told()[0].Labels)
		require.Len(t, r.Parts, 2)
		for _, part := range r.Parts {
			require.Equal(t, c.Labels, w.bucket.tags[part.Key], part.Key)
		}
	})
}

func TestParticipantsAreDescribedAsTheyCameAndAsTheyChanged(t *testing.T) {
	alice := document.Profile{Name: "Alice", Kind: "standard", Metadata: "{}"}
	muted := document.Profile{Name: "Alice", Kind: "standard", Metadata: "{}", Attributes: map[string]string{"hand": "up"}}
	story(t, func(t *testing.T, w *world) {
		w.livekit.set(func(s *scene) { s.profile = alice })
		one, two, c := w.recorder("one"), w.recorder("two"), start()
		old := one.record(c)
		pass(10 * time.Second)
		require.Equal(t, alice, w.document(c).Profile)
		w.livekit.set(func(s *scene) { s.profile = muted })
		before := time.Now()
		pass(2 * time.Minute)
		require.Len(t, w.document(c).Changes, 1, "it does not wait for the end")

		close(old.relinquished)
		pass(time.Second)
		h := two.record(c)
		require.Equal(t, Offered, old.within(10*time.Second).Outcome)
		pass(10 * time.Second)
		two.stop(c)
		require.Equal(t, Done, h.within(soon).Outcome)
		r := w.document(c)
		require.Equal(t, alice, r.Profile)
		require.Len(t, r.Changes, 1, "the next recorder sees nothing new")
		require.Equal(t, muted, r.Changes[0].Profile)
		require.WithinDuration(t, before, r.Changes[0].At, time.Second)
	})
}
