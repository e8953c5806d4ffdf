package room

import (
	"context"
	"errors"
	"strings"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/twitchtv/twirp"

	"livekit-recorder/shared/keys"
)

// errRefused says that LiveKit knows none of the API keys, or takes our clock for wrong. LiveKit's own words may have
// the token in them, and are not told.
var errRefused = errors.New("LiveKit refuses the API key (401): it has another one, or the clocks differ")

// try does something with the API key that LiveKit takes: the current one, or, while keys are changed, another.
func (p *Pool) try(ctx context.Context, do func(keys.Key) error) error {
	isRefusal := func(err error) bool { return errors.Is(err, errRefused) }
	return p.Keys.Try(ctx, isRefusal, func(key keys.Key) error {
		if err := do(key); !refused(err) {
			return err
		}
		return errRefused
	})
}

// call calls LiveKit's API, which is at the same address.
func (p *Pool) call(ctx context.Context, do func(*lksdk.RoomServiceClient) error) error {
	return p.try(ctx, func(key keys.Key) error {
		return do(lksdk.NewRoomServiceClient(strings.Replace(p.URL, "ws", "http", 1), key.ID, key.Secret))
	})
}

// refused says whether a call, or the entering of a room, was answered with 401.
func refused(err error) bool {
	var answer twirp.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &answer):
		return answer.Code() == twirp.Unauthenticated
	}
	return strings.HasPrefix(err.Error(), "unauthorized: ") // as the SDK says it of rooms
}
