package e2e

import (
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/shared/document"
)

const (
	beforeKill = 15 * time.Second // entries of the journal come more often
	reloadGap  = 4 * time.Second  // SQS gives a dead recorder's message to another one after 30 s
	// killedLoss is what a killed recorder may lose: what was not in the journal yet, and what was under way.
	killedLoss = 10 * time.Second
	// takeOver is how long it takes at most until somebody is recorded again whose recorder was killed: SQS's 30 s, and
	// a few seconds for getting into the room.
	takeOver = 45 * time.Second
)

// reload is what happens when alice, whose recorder has been killed, reloads the page before another recorder has
// noticed: what was recorded of her first session must come to its end like any other recording, and the second one be
// recorded.
type reload struct {
	t        *testing.T
	system   *stack.Stack
	room     string
	received chan notify.Event

	first    document.Recording // of the session whose recorder was killed
	killed   time.Time
	reloaded time.Time
}

// newReload has a system with one recorder, which records whoever comes into that room.
func newReload(t *testing.T, room string) (*reload, *stack.Process) {
	t.Helper()

	r := &reload{t: t, system: ownSystem(t, "*/*"), room: room, received: make(chan notify.Event, 100)}
	return r, r.recorder()
}

func (r *reload) recorder() *stack.Process {
	r.t.Helper()

	hook := httptest.NewServer(receiver(r.received))
	r.t.Cleanup(hook.Close)
	return recorder(r.t, r.system, "WEBHOOK_URLS="+hook.URL)
}

// find waits for a recording of alice.
func (r *reload) find(wanted func(document.Recording) bool) document.Recording {
	r.t.Helper()

	found, err := r.system.REST().AwaitOf(bounded(r.t, patience), r.room, "alice", wanted)
	require.NoError(r.t, err)
	return found
}

// kill kills the only recorder while another one is there to go on.
func (r *reload) kill(only *stack.Process) {
	r.t.Helper()

	r.recorder()
	r.killed = time.Now()
	only.Kill()
	pass(r.t, reloadGap)
	r.reloaded = time.Now()
}

// goesOn waits until the second session is recorded, and returns the part that has it.
func (r *reload) goesOn() document.Part {
	r.t.Helper()

	later := func(p document.Part) bool {
		return p.State == document.Active && p.StartedAt != nil && p.StartedAt.After(r.reloaded)
	}
	found := r.find(func(d document.Recording) bool { return slices.ContainsFunc(d.Parts, later) })
	part := found.Parts[slices.IndexFunc(found.Parts, later)]
	r.t.Logf("recording %s goes on in %s after %s", r.first.ID, found.ID, part.StartedAt.Sub(r.reloaded))
	require.Less(r.t, part.StartedAt.Sub(r.reloaded), takeOver)
	return part
}

// ended returns all recordings of alice when every one of them is final.
func (r *reload) ended() (all []document.Recording) {
	r.t.Helper()

	require.EventuallyWithT(r.t, func(c *assert.CollectT) {
		var err error
		all, err = r.system.REST().List(r.t.Context(), r.room, "alice")
		require.NoError(c, err)
		for _, d := range all {
			require.True(c, d.Final(), "%s says %s", d.ID, d.State)
		}
	}, patience, 200*time.Millisecond, "a recording does not end; logs: %s", r.system.Work)

	first := slices.IndexFunc(all, func(d document.Recording) bool { return d.ID == r.first.ID })
	require.GreaterOrEqual(r.t, first, 0)
	r.first = all[first]
	require.Equal(r.t, document.Completed, r.first.State, "%s; logs: %s", r.first.Reason, r.system.Work)
	require.True(r.t, r.first.Parts[0].Recovered)
	require.NotEmpty(r.t, r.first.Parts[0].Tracks, "what it had been receiving for %s", beforeKill)
	return all
}

// told checks that the end of the first recording has been told.
func (r *reload) told() {
	r.t.Helper()

	deadline := time.After(patience)
	for {
		select {
		case event := <-r.received:
			if event.Event == "recording_ended" && event.Recording.ID == r.first.ID {
				require.Equal(r.t, document.Completed, event.Recording.State)
				return
			}
		case <-deadline:
			r.t.Fatalf("no completion webhook came; logs: %s", r.system.Work)
		}
	}
}

// nothingLeft checks that nothing else is in the bucket and in the queues.
func (r *reload) nothingLeft(all []document.Recording) {
	r.t.Helper()

	onlyFiles(r.t, r.system, all...)
	noMessages(r.t, r.system)
}

func TestReloadBehindAKilledRecorderLeavesNoRecordingOpen(t *testing.T) {
	t.Parallel()
	for name, goodbye := range map[string]bool{"with a goodbye": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, only := newReload(t, "reload")
			var leaving participant.Options
			if !goodbye {
				leaving.Goodbye = func() {}
			}
			before := join(t, r.system, r.room, "alice", leaving)
			t.Cleanup(before.Vanish)
			publish(t, before, "vp8")
			r.first = r.find(active)
			pause(t, before, beforeKill)

			r.kill(only)
			before.Leave() // or, without a goodbye, the server ends the session when the same identity comes again
			after := join(t, r.system, r.room, "alice")
			publish(t, after, "vp8")
			part := r.goesOn()
			pause(t, after, length)
			after.Leave()

			all := r.ended()
			lost := timeline.Length(missing(r.first, before.Sent("audio"), r.killed))
			t.Logf("%s of the first session are missing", lost)
			require.LessOrEqual(t, lost, killedLoss)
			r.checkSecond(all, after.Sent("audio"), *part.StartedAt)
			for _, d := range all {
				for _, part := range d.Parts {
					require.Equal(t, document.Completed, part.State, part.Reason)
					checkSignal(t, r.system, part)
				}
			}
			r.told()
			r.nothingLeft(all)
		})
	}
}

// checkSecond checks that nothing of the second session is missing once it was recorded.
func (r *reload) checkSecond(all []document.Recording, sent []timeline.Span, from time.Time) {
	r.t.Helper()

	var recorded []timeline.Span
	for _, d := range all {
		recorded = append(recorded, timeline.Recorded(d, "audio")...)
	}
	wanted := timeline.Until(timeline.From(sent, from), end(sent).Add(-lastPackets))
	require.NotEmpty(r.t, wanted)
	require.Empty(r.t, timeline.Longer(timeline.Without(wanted, timeline.Join(recorded, 0)), seam),
		"what was sent and is not in the files; logs: %s", r.system.Work)
}

// A real browser says goodbye as its page goes, if there is time for that.
func TestBrowserReloadsBehindAKilledRecorder(t *testing.T) {
	r, only := newReload(t, "browser-reload")
	b, err := browser.Start(bounded(t, 5*time.Minute), filepath.Join(module, ".tools", "browser"),
		filepath.Join(r.system.BucketRoot, stack.Bucket))
	require.NoError(t, err)
	t.Cleanup(b.Close)
	enter := func() {
		token, err := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).SetIdentity("alice").
			SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: r.room}).SetValidFor(time.Hour).ToJWT()
		require.NoError(t, err)
		require.NoError(t, b.Publish(t.Context(), r.room, r.system.LiveKit, token, "vp8", ""))
	}
	enter()
	r.first = r.find(active)
	pass(t, beforeKill)

	r.kill(only)
	require.NoError(t, b.Reload(t.Context(), r.room))
	enter()
	r.goesOn()
	pass(t, length)
	_, err = b.Leave(t.Context(), r.room)
	require.NoError(t, err)

	all := r.ended()
	recovered := timeline.Part(r.first.Parts[0])
	t.Logf("recovered %s, killed at %s", recovered, r.killed.UTC())
	require.LessOrEqual(t, r.killed.Sub(recovered.To), killedLoss, "what was sent and is not in the file")
	for _, d := range all {
		for _, part := range d.Parts {
			require.Equal(t, document.Completed, part.State, part.Reason)
			complaints, err := analyse.Decode(t.Context(), r.system.Path(part.Key))
			require.NoError(t, err)
			require.Empty(t, complaints)
			played, err := b.Play(t.Context(), part.Key)
			require.NoError(t, err)
			require.Greater(t, played.PlayedTo, played.SeekedTo)
		}
	}
	r.told()
	r.nothingLeft(all)
}
