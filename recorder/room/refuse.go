package room

import (
	"maps"

	"github.com/livekit/protocol/livekit"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// refusal is why a track cannot be recorded, and its codec; the zero value: it can be, as far as is known.
type refusal struct {
	reason document.UnrecordedReason
	codec  string
}

// judge says whether a track can be recorded, by what its publisher says of it. Frames of an encrypted one look like
// others to the server, and to a container: only a decoder would find noise in them.
func judge(info *livekit.TrackInfo) refusal {
	var mimes []string
	for _, c := range info.GetCodecs() { // several, if the publisher has another one for whoever cannot take the first
		if c.GetMimeType() != "" {
			mimes = append(mimes, c.GetMimeType())
		}
	}
	if info.GetMimeType() != "" {
		mimes = append(mimes, info.GetMimeType())
	}

	codec, ok := track.Offered(mimes)
	switch {
	case info.GetEncryption() != livekit.Encryption_NONE:
		return refusal{document.UnrecordedEncrypted, codec}
	case !ok:
		return refusal{document.UnrecordedCodec, codec}
	}
	return refusal{}
}

// refusal is why a track cannot be recorded, by what has come of it or by what its publisher says of it now.
func (t *tracks) refusal(pub publication) refusal {
	if why := t.refused[pub.SID()]; why.reason != "" {
		return why
	}
	return judge(pub.TrackInfo())
}

// recordable returns those of a follower's tracks that can be recorded, and tells it of the others. It may be called at
// any time: publishers, and the server, may say something else of a track than before.
func (b *bot) recordable(all []publication, f *Following) (left []publication) {
	there := map[string]bool{}
	for _, pub := range all {
		there[pub.SID()] = true
		if why := b.tracks.refusal(pub); why.reason != "" {
			b.refuse(pub, f, why)
			continue
		}
		delete(f.refused, pub.SID())
		left = append(left, pub)
	}
	maps.DeleteFunc(f.refused, func(sid string, _ bool) bool { return !there[sid] })
	return left
}

// refuse tells a follower why nothing comes of a track, once, and sees that nothing does, for anybody.
func (b *bot) refuse(pub publication, f *Following, why refusal) {
	if f.refused[pub.SID()] {
		return
	}
	f.refused[pub.SID()] = true

	if feed := b.tracks.feeds[pub.SID()]; feed != nil {
		feed.stop()
	}
	if _, asked := b.tracks.requested[pub.SID()]; asked {
		delete(b.tracks.requested, pub.SID())
		b.unsubscribe(pub)
	}
	f.send(Unrecordable{
		SID:    pub.SID(),
		Source: SourceName(pub.Source()),
		Codec:  why.codec,
		Reason: why.reason,
	})
}
