// Package floor receives what a recorder would, and keeps nothing of it: what that costs is the least that anything
// can cost which receives with the same SDK.
package floor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v3"
)

const (
	// Ready is what is written when packets of all tracks have come.
	Ready = "receiving"
	// Lost is what is written in the end, before the number of packets that did not come.
	Lost = "lost: "
	// identity begins as those of the recorder's bots do, so that nobody thinks of recording it.
	identity = "participant-recorder-floor"
	// tokenTTL is how long the bot may take to enter the room.
	tokenTTL = time.Hour
)

// Floor is a hidden bot that receives all tracks of a room.
type Floor struct {
	URL, Key, Secret, Room string
	Tracks                 int // in the room

	received atomic.Int64  // tracks of which a packet has come
	lost     atomic.Int64  // packets that did not come, so far
	all      chan struct{} // closed when that is all of them
	failed   chan error    // has why that cannot be
}

// Run receives until ctx is done. It says so when all tracks have begun.
func (f *Floor) Run(ctx context.Context, out io.Writer) error {
	f.all, f.failed = make(chan struct{}), make(chan error, 1)

	token, err := f.token()
	if err != nil {
		return err
	}

	room, err := lksdk.ConnectToRoomWithToken(f.URL, token, &lksdk.RoomCallback{
		OnDisconnected: func() { f.fail(errors.New("the connection was lost")) },
		ParticipantCallback: lksdk.ParticipantCallback{
			OnTrackPublished: func(pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
				f.want(pub)
			},
			OnTrackSubscribed: func(t *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
				go f.receive(t, pub) // ends with the connection
			},
		},
	}, lksdk.WithAutoSubscribe(false))
	if err != nil {
		return fmt.Errorf("join room: %w", err)
	}
	defer room.Disconnect()

	for _, person := range room.GetRemoteParticipants() {
		for _, pub := range person.TrackPublications() {
			if remote, ok := pub.(*lksdk.RemoteTrackPublication); ok {
				f.want(remote)
			}
		}
	}

	select {
	case <-f.all:
		fmt.Fprintln(out, Ready)
	case err := <-f.failed:
		return err
	case <-ctx.Done():
		return nil
	}

	select {
	case err := <-f.failed:
		return err
	case <-ctx.Done():
		fmt.Fprintf(out, "%s%d\n", Lost, f.lost.Load())
		return nil
	}
}

// token is one like those of the recorder's bots.
func (f *Floor) token() (string, error) {
	no, yes := false, true
	token, err := auth.NewAccessToken(f.Key, f.Secret).SetIdentity(identity).SetKind(livekit.ParticipantInfo_EGRESS).
		SetVideoGrant(&auth.VideoGrant{
			RoomJoin:       true,
			Room:           f.Room,
			Hidden:         true,
			Recorder:       true,
			CanSubscribe:   &yes,
			CanPublish:     &no,
			CanPublishData: &no,
		}).SetValidFor(tokenTTL).ToJWT()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// want subscribes to a track. Twice is as good as once.
func (f *Floor) want(pub *lksdk.RemoteTrackPublication) {
	if err := pub.SetSubscribed(true); err != nil {
		f.fail(fmt.Errorf("subscribe: %w", err))
	}
}

// receive reads the packets of a track, as the SDK's own examples do, and drops them.
func (f *Floor) receive(t *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication) {
	if pub.Kind() == lksdk.TrackKindVideo {
		if err := pub.SetVideoQuality(livekit.VideoQuality_HIGH); err != nil {
			f.fail(fmt.Errorf("ask for the highest layer: %w", err))
		}
	}

	var next uint16
	missing := map[uint16]bool{}
	for begun := false; ; begun = true {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}

		switch ahead := int16(p.SequenceNumber - next); {
		case !begun:
			next = p.SequenceNumber + 1
			if f.received.Add(1) == int64(f.Tracks) {
				close(f.all)
			}
		case ahead >= 0:
			for ; next != p.SequenceNumber; next++ {
				missing[next] = true
				f.lost.Add(1)
			}
			next++
		case missing[p.SequenceNumber]: // sent again
			delete(missing, p.SequenceNumber)
			f.lost.Add(-1)
		}
	}
}

// fail ends everything. Only the first fault is told.
func (f *Floor) fail(err error) {
	select {
	case f.failed <- err:
	default:
	}
}
