package e2e

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

const (
	// length is how much the participants of most tests send before something happens.
	length = 5 * time.Second
	// patience is how long a test waits for what must come: nothing takes that long, on whatever machine.
	patience = 90 * time.Second
	// seam is how exactly parts meet.
	seam = 50 * time.Millisecond
	// lastPackets is how much of the very last that somebody sends may be missing: a goodbye is heard over TCP, and
	// can be there before the last packets are.
	lastPackets = time.Second
	// serverSilence is how much sound LiveKit sends of its own when a track ends, so that players do not click
	// (RTPBlankFramesCloseSeconds in its sfu package): frames that nobody has sent, whenever it has heard the goodbye.
	serverSilence = 200 * time.Millisecond
)

// ownSystem is a system of a test's own, without a recorder, which records by webhooks whoever autoRecord names: nobody
// without that. Its logs stay if the test fails.
func ownSystem(t *testing.T, autoRecord ...string) *stack.Stack {
	t.Helper()
	return newSystem(t, func(o *stack.Options) { o.AutoRecord = cmp.Or(strings.Join(autoRecord, ","), "off") })
}

// newSystem is such a system. Change says what is unusual about it.
func newSystem(t *testing.T, change func(*stack.Options)) *stack.Stack {
	t.Helper()

	work := filepath.Join(filepath.Dir(system.Work), strings.NewReplacer("/", "-", "\x00", "").Replace(t.Name()))
	options := stack.Options{
		Tools: tools, Binaries: system.Binaries, Work: filepath.Join(work, "run"), BucketRoot: filepath.Join(work, "s3"),
		Audit:      true,
		AutoRecord: "off", RecorderEnv: []string{"REJOIN_WINDOW=5s"},
	}
	change(&options)
	s, err := stack.Start(bounded(t, time.Minute), options)
	t.Cleanup(func() {
		s.Stop()
		for _, broken := range s.Broken() {
			t.Error(broken)
		}
		if refused, _ := s.Refused(); len(refused) > 0 {
			t.Errorf("template.yaml would have refused %q", refused)
		}
		if !t.Failed() && os.Getenv("KEEP") == "" {
			_ = os.RemoveAll(work) // best effort, in a temporary directory
		}
	})
	require.NoError(t, err)
	return s
}

// directory is a new one beside the system's logs: it stays until the system's recorders have ended.
func directory(t *testing.T, s *stack.Stack) string {
	t.Helper()

	path, err := os.MkdirTemp(filepath.Dir(s.Work), "directory-")
	require.NoError(t, err)
	return path
}

// withRecorders is a system of a test's own, with so many recorders.
func withRecorders(t *testing.T, recorders int) *stack.Stack {
	t.Helper()

	s := ownSystem(t)
	for range recorders {
		recorder(t, s)
	}
	return s
}

// recorder starts one more recorder.
func recorder(t *testing.T, s *stack.Stack, env ...string) *stack.Process {
	t.Helper()

	p, err := s.StartRecorder(bounded(t, time.Minute), env...)
	require.NoError(t, err)
	return p
}

// join lets somebody into a room.
func join(t *testing.T, s *stack.Stack, room, identity string, o ...participant.Options) *participant.Participant {
	t.Helper()

	p, err := participant.Join(s.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, identity, media, o...)
	require.NoError(t, err)
	t.Cleanup(p.Leave)
	return p
}

// publish switches somebody's microphone on, and a camera if a codec is given.
func publish(t *testing.T, p *participant.Participant, codec string) (camera, microphone *participant.Publication) {
	t.Helper()

	microphone, err := p.Microphone()
	require.NoError(t, err)
	if codec != "" {
		camera, err = p.Camera(codec)
		require.NoError(t, err)
	}
	return camera, microphone
}

// start starts a recording over REST.
func start(t *testing.T, s *stack.Stack, body map[string]string) document.Recording {
	t.Helper()

	r, err := s.REST().Start(t.Context(), body)
	require.NoError(t, err)
	require.Equal(t, document.Requested, r.State)
	return r
}

// stop stops recordings over REST.
func stop(t *testing.T, s *stack.Stack, body map[string]string) {
	t.Helper()
	require.NoError(t, s.REST().Stop(t.Context(), body))
}

// recorded starts a recording of alice with camera and microphone, and returns when it runs.
func recorded(t *testing.T, s *stack.Stack, room, codec string) (*participant.Participant, document.Recording) {
	t.Helper()

	p := join(t, s, room, "alice")
	publish(t, p, codec)
	r := start(t, s, map[string]string{"room": room, "participant": "alice"})
	return p, await(t, s, r.ID, active)
}

// await returns a recording when it is as wanted. This is the one way to wait for something to happen to a recording.
func await(t *testing.T, s *stack.Stack, id string, wanted func(document.Recording) bool) document.Recording {
	t.Helper()

	r, err := s.REST().Await(bounded(t, patience), id, wanted)
	require.NoError(t, err)
	return r
}

// awaitEnd returns a recording when it has come to its end, which must be that.
func awaitEnd(t *testing.T, s *stack.Stack, id string, state document.State) document.Recording {
	t.Helper()

	r := await(t, s, id, document.Recording.Final)
	require.Equal(t, state, r.State, "%s; logs: %s", r.Reason, s.Work)
	return r
}

// ended returns the recording of somebody whom a webhook had recorded, when it is complete.
func ended(t *testing.T, s *stack.Stack, room, identity string) document.Recording {
	t.Helper()

	r, err := s.REST().AwaitOf(bounded(t, patience), room, identity, document.Recording.Final)
	require.NoError(t, err)
	require.Equal(t, document.Completed, r.State, "%s; logs: %s", r.Reason, s.Work)
	return r
}

// What recordings are awaited to be.
func active(r document.Recording) bool { return r.State == document.Active }

func firstPartStored(r document.Recording) bool {
	return len(r.Parts) > 0 && r.Parts[0].State == document.Completed
}

func hasParts(n int) func(document.Recording) bool {
	return func(r document.Recording) bool { return len(r.Parts) == n }
}

// pause lets a call go on until somebody has sent so much more.
func pause(t *testing.T, p *participant.Participant, d time.Duration) {
	t.Helper()
	require.NoError(t, p.AwaitSent(bounded(t, d+patience), d))
}

// pass lets time pass that others measure by a clock: SQS, a recorder's limits.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	require.NoError(t, stack.Pass(t.Context(), d))
}

// bounded is the test's context for so long.
func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// missing is what was sent between a recording's first frame and a time, and is not in its files.
func missing(r document.Recording, sent []timeline.Span, until time.Time) []timeline.Span {
	if r.StartedAt == nil {
		return sent
	}
	wanted := timeline.Until(timeline.From(sent, *r.StartedAt), until)
	return timeline.Longer(timeline.Without(wanted, timeline.Recorded(r, "audio")), seam)
}

// end is the end of the last span.
func end(spans []timeline.Span) time.Time { return spans[len(spans)-1].To }

// checkAll checks that a recording has everything that was sent from its first frame on, up to its end or the last
// frame that was sent, and nothing else; that everything decodes; and that nothing else is in the bucket.
func checkAll(t *testing.T, s *stack.Stack, r document.Recording, sent []timeline.Span) {
	t.Helper()

	checkCovers(t, s, r, sent)
	checkParts(t, s, r)
}

// checkCovers checks the first of it only.
func checkCovers(t *testing.T, s *stack.Stack, r document.Recording, sent []timeline.Span) {
	t.Helper()

	require.Equal(t, document.Completed, r.State, "%s; logs: %s", r.Reason, s.Work)
	require.NotEmpty(t, sent, "nothing was sent")
	recorded := timeline.Recorded(r, "audio")
	require.NotEmpty(t, recorded, "nothing was recorded")
	t.Logf("sent %v, recorded %v", sent, recorded)

	last := end(sent)
	if r.Reason == "stopped on request" && r.EndedAt.Before(last) {
		last = *r.EndedAt
	}
	require.Empty(t, missing(r, sent, last.Add(-lastPackets)), "what was sent and is not in the files; logs: %s", s.Work)
	after := timeline.From(recorded, last)
	require.LessOrEqual(t, timeline.Length(after), serverSilence+seam, "recorded when nothing was sent: %v", after)
}

// checkParts checks that everything of a recording is stored and decodes to the test signal, and that nothing else is
// in the bucket.
func checkParts(t *testing.T, s *stack.Stack, r document.Recording) {
	t.Helper()

	for _, part := range r.Parts {
		require.Equal(t, document.Completed, part.State, "%s; logs: %s", part.Reason, s.Work)
		checkSignal(t, s, part)
	}
	onlyFiles(t, s, r)
}

// checkSignal decodes a part and compares it with the test signal.
func checkSignal(t *testing.T, s *stack.Stack, part document.Part) {
	t.Helper()

	path := s.Path(part.Key)
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	complaints, err := analyse.Decode(t.Context(), path)
	require.NoError(t, err)
	require.Empty(t, complaints)

	flashes, err := analyse.Flashes(t.Context(), path)
	require.NoError(t, err)
	beeps, err := analyse.Beeps(t.Context(), path)
	require.NoError(t, err)
	offset, spread, err := analyse.Offset(flashes, beeps)
	require.NoError(t, err)
	offset -= participant.EncoderDelay
	t.Logf("%s: %s, %s, %d flashes, %d beeps, offset %s ± %s",
		part.Key, file.Codecs(), file.Duration(), len(flashes), len(beeps), offset, spread)

	require.InDelta(t, 0, offset.Seconds(), 0.020, "offset between audio and video")
	require.InDelta(t, part.Duration, file.Duration().Seconds(), 0.1, "the document's duration against the file's")

	for _, track := range part.Tracks {
		stream, ok := file.Stream(track.Kind)
		require.True(t, ok)
		require.Equal(t, track.Codec, stream.Codec)

		// What a dead recorder, or a dead ffmpeg, had not written is counted but not there.
		if cut := part.Recovered || strings.Contains(part.Reason, "ffmpeg failed"); track.Kind == "video" && !cut {
			if track.PacketsLost+track.DroppedFrames > 0 { // a busy machine's sockets overflow
				t.Logf("%d packets lost, %d frames dropped", track.PacketsLost, track.DroppedFrames)
			}
			require.EqualValues(t, track.Frames, stream.Packets(), "frames that were received against frames in the file")
		}
	}
}

// onlyFiles checks that the bucket has the files of these recordings and their documents, and nothing that is left
// over from the making of them.
func onlyFiles(t *testing.T, s *stack.Stack, recordings ...document.Recording) {
	t.Helper()

	left, err := s.Leftovers(t.Context(), recordings...)
	require.NoError(t, err)
	require.Empty(t, left)
}

// scratchIsEmpty checks that a recorder has left nothing on its disk.
func scratchIsEmpty(t *testing.T, directory string) {
	t.Helper()

	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	require.NoError(t, err)
}
