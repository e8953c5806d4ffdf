package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// call is the room of these tests.
const call = "call"

// chromium is a browser of a test's own.
func chromium(t *testing.T, s *stack.Stack) *browser.Browser {
	t.Helper()

	b, err := browser.Start(bounded(t, patience), filepath.Join(module, ".tools", "browser"),
		filepath.Join(s.BucketRoot, stack.Bucket))
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

// publishes lets somebody join a room with a page and publish camera and microphone.
func publishes(ctx context.Context, t *testing.T, s *stack.Stack, b *browser.Browser, identity string,
	encrypted ...bool) {
	t.Helper()

	for _, on := range encrypted {
		require.NoError(t, b.Encrypt(ctx, identity, on))
	}
	token, err := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).SetIdentity(identity).
		SetName("A person").SetMetadata(`{"a":1}`).SetAttributes(map[string]string{"seat": "7"}).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: call}).ToJWT()
	require.NoError(t, err)
	require.NoError(t, b.Publish(ctx, identity, s.LiveKit, token, "vp8", ""))
}

// reasons are why tracks were not recorded, by their source.
func reasons(r document.Recording) map[string]document.UnrecordedReason {
	all := map[string]document.UnrecordedReason{}
	for _, track := range r.Unrecorded {
		all[track.Source] = track.Reason
	}
	return all
}

// In a call of two, one person's browser encrypts end to end. What the server passes on of it looks like VP8 and Opus.
func TestWhatABrowserEncryptsIsNotRecordedAsNoise(t *testing.T) {
	ctx := bounded(t, 3*time.Minute)
	s := ownSystem(t, "*/*")
	recorder(t, s)
	b := chromium(t, s)
	publishes(ctx, t, s, b, "secret", true)
	publishes(ctx, t, s, b, "plain")

	plain, err := s.REST().AwaitOf(ctx, call, "plain", active)
	require.NoError(t, err)
	secret, err := s.REST().AwaitOf(ctx, call, "secret", func(r document.Recording) bool {
		return len(r.Unrecorded) == 2
	})
	require.NoError(t, err)
	require.Equal(t, document.Requested, secret.State, "it may publish something else")
	pass(t, length)
	_, err = b.Leave(ctx, "secret")
	require.NoError(t, err)
	_, err = b.Leave(ctx, "plain")
	require.NoError(t, err)

	secret = awaitEnd(t, s, secret.ID, document.Failed)
	require.Equal(t, "encrypted", secret.Reason)
	require.Equal(t, map[string]document.UnrecordedReason{"camera": "encrypted", "microphone": "encrypted"},
		reasons(secret))
	require.Empty(t, secret.Parts)

	plain = awaitEnd(t, s, plain.ID, document.Completed)
	require.Empty(t, plain.Unrecorded)
	require.Equal(t, document.Profile{
		Name:       "A person",
		Kind:       "standard",
		Metadata:   `{"a":1}`,
		Attributes: map[string]string{"seat": "7"},
	}, plain.Profile)
	require.Len(t, plain.Parts, 1)
	require.Len(t, plain.Parts[0].Tracks, 2)
	complaints, err := analyse.Decode(ctx, s.Path(plain.Parts[0].Key))
	require.NoError(t, err)
	require.Empty(t, complaints)
	onlyFiles(t, s, secret, plain)
}

// Encryption is switched on and off in the middle of a call: then the browser publishes all tracks anew.
func TestEncryptionThatIsSwitchedOnAndOff(t *testing.T) {
	ctx := bounded(t, 3*time.Minute)
	s := ownSystem(t, "*/*")
	recorder(t, s)
	b := chromium(t, s)
	publishes(ctx, t, s, b, "alice", false)
	running, err := s.REST().AwaitOf(ctx, call, "alice", active)
	require.NoError(t, err)
	pass(t, length)
	require.NoError(t, b.Encrypt(ctx, "alice", true))
	await(t, s, running.ID, func(r document.Recording) bool { return len(r.Unrecorded) == 2 })
	pass(t, length)
	require.NoError(t, b.Encrypt(ctx, "alice", false))
	pass(t, length)
	_, err = b.Leave(ctx, "alice")
	require.NoError(t, err)

	r := awaitEnd(t, s, running.ID, document.Completed)
	require.Equal(t, map[string]document.UnrecordedReason{"camera": "encrypted", "microphone": "encrypted"}, reasons(r))
	for _, part := range r.Parts {
		complaints, err := analyse.Decode(ctx, s.Path(part.Key))
		require.NoError(t, err)
		require.Empty(t, complaints)
	}
	onlyFiles(t, s, r)
}
