package room

import "github.com/livekit/protocol/livekit"

// maxOfSource is how many tracks of one participant's cameras are received at once, and how many of their microphones
// and so on. An honest participant has one of each, and two while reconnecting. Each that is received costs everybody
// in the room: it is negotiated over the connection that brings all of them.
const maxOfSource = 4

// sourced is a track that a participant has published.
type sourced interface {
	SID() string
	Source() livekit.TrackSource
}

// choose returns the tracks that are wanted: those that are asked for by their SID, and of each source some, first of
// all those that are had already. Omitted counts the others.
func choose[P sourced](all []P, interest Interest, had func(sid string) bool) (chosen []P, omitted int) {
	count := map[livekit.TrackSource]int{}
	add := func(which func(P) bool) {
		for _, p := range all {
			if which(p) {
				chosen = append(chosen, p)
				count[p.Source()]++
			}
		}
	}

	wanted := func(p P) bool { return interest.wants(p.SID(), p.Source()) && !interest.names(p.SID()) }
	add(func(p P) bool { return interest.names(p.SID()) })
	add(func(p P) bool { return wanted(p) && had(p.SID()) })
	add(func(p P) bool {
		if !wanted(p) || had(p.SID()) {
			return false
		}
		if count[p.Source()] >= maxOfSource {
			omitted++
			return false
		}
		return true
	})
	return chosen, omitted
}
