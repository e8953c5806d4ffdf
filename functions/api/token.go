package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"
	"github.com/livekit/protocol/auth"

	"livekit-recorder/shared/keys"
)

// leeway is by how much the clock of whoever has signed a token may differ from ours: what LiveKit's own servers
// tolerate (livekit/protocol checks its tokens with go-jose's default, one minute).
const leeway = time.Minute

// What is wrong with a token that is not accepted.
var (
	errNoToken     = errors.New("is not a LiveKit access token")
	errAlgorithm   = errors.New("is not signed with HS256, the only algorithm that is accepted")
	errForeignKey  = errors.New("was signed with another API key than this service's")
	errSignature   = errors.New("is not valid: its signature is wrong")
	errNoExpiry    = errors.New("has no time at which it expires (exp)")
	errNotInForce  = errors.New("has expired, or is not in force yet")
	errNotReadable = errors.New("has claims that cannot be read")
)

// verified returns what a token grants. What says that it is not accepted begins with subject. Nobody is told so
// because the keys have just been changed, or cannot be read: a signature that is by none of those known makes them be
// read again, and if that fails, the caller is to try again.
func (a *api) verified(ctx context.Context, subject, token string) (*auth.ClaimGrants, error) {
	known, err := a.Keys.Known(ctx)
	if err != nil {
		return nil, unavailable("signatures cannot be checked, try again", err)
	}
	grants, err := verify(known.Accepted(time.Now()), token, time.Now())
	if errors.Is(err, errForeignKey) || errors.Is(err, errSignature) {
		again, readErr := a.Keys.Again(ctx)
		if readErr != nil {
			return nil, unavailable("signatures cannot be checked, try again", readErr)
		}
		grants, err = verify(again.Accepted(time.Now()), token, time.Now())
	}

	if err != nil {
		return nil, unauthenticated(subject + " " + err.Error())
	}
	return grants, nil
}

// verify checks who has signed a token, and that it is in force. It is stricter than LiveKit's own verifier, which
// takes any HMAC algorithm, and tokens that never expire.
func verify(by []keys.Key, token string, now time.Time) (*auth.ClaimGrants, error) {
	if strings.Count(token, ".") != 2 { // a signature in JSON, of which there can be several, is no token of LiveKit's
		return nil, errNoToken
	}
	parsed, err := jwt.ParseSigned(token)
	if err != nil || len(parsed.Headers) != 1 {
		return nil, errNoToken
	}
	if parsed.Headers[0].Algorithm != string(jose.HS256) {
		return nil, errAlgorithm
	}

	var unverified jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return nil, errNoToken
	}

	var claims jwt.Claims
	var grants auth.ClaimGrants
	err = errForeignKey
	for _, key := range by { // both may have the same id
		if key.ID == "" || key.ID != unverified.Issuer {
			continue
		}
		if err = parsed.Claims([]byte(key.Secret), &claims, &grants); !errors.Is(err, jose.ErrCryptoFailure) {
			break
		}
	}
	switch {
	case errors.Is(err, errForeignKey):
		return nil, err
	case errors.Is(err, jose.ErrCryptoFailure):
		return nil, errSignature
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNotReadable, err)
	case claims.Expiry == nil:
		return nil, errNoExpiry
	case claims.ValidateWithLeeway(jwt.Expected{Time: now}, leeway) != nil:
		return nil, errNotInForce
	}
	return &grants, nil
}

// caller is who makes a REST call, as far as it concerns us.
type caller struct {
	room string // the only room that the token is good for; empty: it is good for all
}

// authorise checks the caller's LiveKit access token: it must be ours, in force, and grant roomRecord. The times in
// tokens are of the time of day, whatever clock orders commands.
func (a *api) authorise(ctx context.Context, r request) (caller, error) {
	scheme, token, ok := strings.Cut(r.authorization, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return caller{}, unauthenticated("the Authorization header must be Bearer and a LiveKit access token")
	}

	grants, err := a.verified(ctx, "the token", strings.TrimSpace(token))
	switch {
	case err != nil:
		return caller{}, err
	case grants.Video == nil || !grants.Video.RoomRecord:
		return caller{}, forbidden("", "the token does not grant roomRecord")
	}
	return caller{grants.Video.Room}, nil
}

// may says whether the caller may have to do with a room. Field is the one that has named it.
func (c caller) may(field, room string) error {
	if c.room == "" || c.room == room {
		return nil
	}
	return forbidden(field, fmt.Sprintf("the token is for the room %q only", c.room))
}
