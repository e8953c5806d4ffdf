package room

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

// in are the codecs that somebody offers a track in.
func in(mimes ...string) *livekit.TrackInfo {
	info := &livekit.TrackInfo{}
	for _, mime := range mimes {
		info.Codecs = append(info.Codecs, &livekit.SimulcastCodecInfo{MimeType: mime})
	}
	return info
}

// encrypted is a track that is end-to-end encrypted.
func encrypted(kind livekit.Encryption_Type, mime string) *livekit.TrackInfo {
	return &livekit.TrackInfo{MimeType: mime, Encryption: kind}
}

func TestTracksAreJudgedByWhatTheirPublisherSays(t *testing.T) {
	for what, c := range map[string]struct {
		info *livekit.TrackInfo
		want refusal
	}{
		"nothing is known yet":            {nil, refusal{}},
		"nor of its codec":                {in("", ""), refusal{}},
		"a microphone":                    {in("audio/opus"), refusal{}},
		"one that repeats itself":         {&livekit.TrackInfo{MimeType: "audio/red"}, refusal{}},
		"as browsers write it":            {in("video/VP8"), refusal{}},
		"H265 alone":                      {in("video/H265"), refusal{"codec", "h265"}},
		"H265, and H264 for others":       {in("video/H265", "video/H264"), refusal{}},
		"of old servers":                  {&livekit.TrackInfo{MimeType: "audio/PCMU"}, refusal{"codec", "pcmu"}},
		"encrypted":                       {encrypted(livekit.Encryption_GCM, "video/VP8"), refusal{"encrypted", "vp8"}},
		"encrypted in somebody's own way": {encrypted(livekit.Encryption_CUSTOM, ""), refusal{"encrypted", ""}},
		"in a way of the future":          {encrypted(7, "audio/red"), refusal{"encrypted", "opus"}},
		"a name for its codec": {in("video/\x00" + fmt.Sprintf("%0100d", 0)),
			refusal{"codec", "_" + fmt.Sprintf("%031d", 0)}},
	} {
		require.Equal(t, c.want, judge(c.info), what)
	}
}

// What is encrypted is not even received.
func TestAnEncryptedTrackIsNotSubscribedTo(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		secret := &offered{sid: "TR_secret", info: encrypted(livekit.Encryption_GCM, "audio/opus")}
		plain := &offered{sid: "TR_plain", info: in("audio/opus")}
		for range 3 {
			b.post(func() { b.looksAt(f, secret, plain) })
			synctest.Wait()
		}
		require.Zero(t, secret.asked)
		require.Equal(t, 1, plain.asked)
		require.Equal(t, []Event{Connected{}, Unrecordable{
			SID:    "TR_secret",
			Source: "microphone",
			Codec:  "opus",
			Reason: document.UnrecordedEncrypted,
		}}, *heard, "it is told once")

		later, told := b.follows()
		b.post(func() { b.looksAt(later, secret) })
		synctest.Wait()
		require.Equal(t, 1, count[Unrecordable](*told), "whoever comes later is told, too")
	})
}

// Encrypted tracks must not take the place of those that can be recorded.
func TestAPlainTrackIsFoundBehindManyEncryptedOnes(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, _ := b.follows()
		var all []*offered
		for n := range 2 * maxOfSource {
			all = append(all, &offered{sid: fmt.Sprint("TR_", n), info: encrypted(livekit.Encryption_GCM, "audio/opus")})
		}
		plain := &offered{sid: "TR_plain", info: in("audio/opus")}
		b.post(func() { b.looksAt(f, append(all, plain)...) })
		synctest.Wait()
		require.Equal(t, 1, plain.asked)
	})
}

func TestATrackThatIsEncryptedFromNowOnEnds(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		other, told := b.follows()
		pub := &offered{sid: "TR_one", info: in("audio/opus")}
		b.post(func() { b.looksAt(f, pub); b.looksAt(other, pub) })
		synctest.Wait()
		_, from := b.receives(pub, f, other)
		from.packets <- packet(1)
		delivered()

		b.post(func() {
			pub.info = encrypted(livekit.Encryption_GCM, "audio/opus")
			b.looksAt(f, pub)
			b.looksAt(other, pub)
		})
		synctest.Wait()
		require.False(t, pub.subscribed)
		close(from.packets)
		synctest.Wait()
		for _, events := range []*[]Event{heard, told} {
			require.Equal(t, 1, count[TrackFrame](*events))
			require.Equal(t, 1, count[TrackEnded](*events))
			require.Equal(t, 1, count[Unrecordable](*events))
		}

		b.post(func() {
			pub.info = in("audio/opus")
			b.looksAt(f, pub)
		})
		synctest.Wait()
		require.True(t, pub.subscribed, "and is received again when it is not encrypted any more")
	})
}

// A participant may publish and unpublish for months.
func TestWhatIsKnownOfEncryptedTracksIsBounded(t *testing.T) {
	inARoom(t, func(t *testing.T, b *bot) {
		f, heard := b.follows()
		for n := range 100 {
			pub := &offered{sid: fmt.Sprint("TR_", n), info: encrypted(livekit.Encryption_GCM, "audio/opus")}
			b.post(func() { b.looksAt(f, pub) })
			synctest.Wait()
		}
		require.Equal(t, 100, count[Unrecordable](*heard))
		require.Len(t, f.refused, 1)
	})
}
