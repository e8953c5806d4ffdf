package api

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"
	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

// sign makes any token that whoever has the secret could make.
func sign(t *testing.T, algorithm jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: []byte(secret)}, nil)
	require.NoError(t, err)
	signed, err := jwt.Signed(signer).Claims(claims).CompactSerialize()
	require.NoError(t, err)
	return signed
}

// inJSON is a token in JWS's other form, which LiveKit does not use.
func inJSON(t *testing.T, token string) string {
	t.Helper()
	signed, err := jose.ParseSigned(token)
	require.NoError(t, err)
	return signed.FullSerialize()
}

func TestTokensAreJudgedByTheirTimesAndAlgorithm(t *testing.T) {
	times := func(exp, nbf, iat int64) map[string]any {
		claims := map[string]any{"iss": key}
		for name, ahead := range map[string]int64{"exp": exp, "nbf": nbf, "iat": iat} {
			if ahead != 0 {
				claims[name] = noon.Unix() + ahead
			}
		}
		return claims
	}
	hs256 := func(claims map[string]any) string { return sign(t, jose.HS256, claims) }
	good := times(300, -1, -1)

	for name, c := range map[string]struct {
		token string
		err   error
	}{
		"in force":                            {hs256(good), nil},
		"only exp":                            {hs256(times(1, 0, 0)), nil},
		"expired, as by a clock that is slow": {hs256(times(-59, -300, -300)), nil},
		"expired for longer than the leeway":  {hs256(times(-61, -300, -300)), errNotInForce},
		"not in force by a clock that is fast": {
			hs256(times(300, 59, 0)), nil},
		"not in force for longer than the leeway": {
			hs256(times(300, 61, 0)), errNotInForce},
		"made in the future": {hs256(times(300, 0, 61)), errNotInForce},
		"never expires":      {hs256(times(0, -1, -1)), errNoExpiry},
		"expires at null":    {hs256(map[string]any{"iss": key, "exp": nil}), errNoExpiry},
		"expires at a word":  {hs256(map[string]any{"iss": key, "exp": "never"}), errNoToken},
		"HS384":              {sign(t, jose.HS384, good), errAlgorithm},
		"HS512":              {sign(t, jose.HS512, good), errAlgorithm},
		"unsigned":           {unsigned(hs256(good)), errAlgorithm},
		"signed in JSON":     {inJSON(t, hs256(good)), errNoToken},
		"no issuer":          {hs256(map[string]any{"exp": noon.Unix() + 300}), errForeignKey},
		"odd grants":         {hs256(map[string]any{"iss": key, "exp": noon.Unix() + 300, "video": 7}), errNotReadable},
		"nothing":            {"", errNoToken},
		"dots":               {"..", errAlgorithm},
		"very many dots":     {string(make([]byte, 1000)) + "....", errNoToken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify([]keys.Key{{ID: key, Secret: secret}}, c.token, noon.Truncate(time.Second))
			require.ErrorIs(t, err, c.err)
		})
	}
	_, err := verify([]keys.Key{{ID: key, Secret: secret + "x"}}, hs256(good), noon)
	require.ErrorIs(t, err, errSignature)
}

// LiveKit's own token maker and ours must agree, or nobody could call.
func TestTokensOfLiveKitAreRead(t *testing.T) {
	grants, err := verify([]keys.Key{{ID: key, Secret: secret}}, token(t, nil), time.Now())
	require.NoError(t, err)
	require.True(t, grants.Video.RoomRecord)
}

// A webhook's signature is a token, too.
func TestWebhooksAreSignedWithTokensThatExpire(t *testing.T) {
	a, _ := newService(t)
	claims := map[string]any{"iss": key, "sha256": hash(joinedBody)}
	forever := sign(t, jose.HS256, claims)
	claims["exp"] = time.Now().Add(time.Minute).Unix()
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"good":          {sign(t, jose.HS256, claims), 200},
		"never expires": {forever, 401},
		"HS512":         {sign(t, jose.HS512, claims), 401},
	} {
		status, answer := a.call(t, call{"POST", "/recordings/webhooks", joinedBody, c.token})
		require.Equal(t, c.status, status, "%s: %v", name, answer)
	}
	require.NotNil(t, sent(t, a.Starts))
}

// noted is a recording that can be found.
func noted(t *testing.T, a service, room, participant string) document.Recording {
	t.Helper()
	r := document.NewRecording(command.NewStart(room, participant, noon))
	require.NoError(t, a.Documents.Request(t.Context(), r))
	return r
}

// Whoever may record one room must neither see nor end what is recorded in another one.
func TestATokenForARoomIsGoodForThatRoomOnly(t *testing.T) {
	a, _ := newService(t)
	bearer := "Bearer " + token(t, func(a *auth.AccessToken) {
		a.SetVideoGrant(&auth.VideoGrant{RoomRecord: true, Room: "mine"})
	})
	mine, theirs := noted(t, a, "mine", "p"), noted(t, a, "theirs", "p")

	for name, c := range map[string]struct {
		method, path, body string
		status             int
		field              string
	}{
		"start there": {"POST", "/recordings/start", `{"room":"theirs","participant":"p"}`, 403, "room"},
		"start in other case": {
			"POST", "/recordings/start", `{"room":"Mine","participant":"p"}`, 403, "room"},
		"stop there":         {"POST", "/recordings/stop", `{"room":"theirs","participant":"p"}`, 403, "room"},
		"stop there by id":   {"POST", "/recordings/stop", `{"id":"` + theirs.ID + `"}`, 403, "id"},
		"stop of unknown id": {"POST", "/recordings/stop", `{"id":"RC_unknown"}`, 404, "id"},
		"get from there":     {"GET", "/recordings/" + theirs.ID, "", 403, "id"},
		"list of there":      {"GET", "/recordings?room=theirs", "", 403, "room"},
		"list of nowhere":    {"GET", "/recordings?room=", "", 400, "room"},
		"start":              {"POST", "/recordings/start", `{"room":"mine","participant":"p"}`, 202, ""},
		"stop":               {"POST", "/recordings/stop", `{"room":"mine","participant":"p"}`, 202, ""},
		"stop by id":         {"POST", "/recordings/stop", `{"id":"` + mine.ID + `"}`, 202, ""},
		"get":                {"GET", "/recordings/" + mine.ID, "", 200, ""},
		"list":               {"GET", "/recordings?room=mine", "", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := a.call(t, call{c.method, c.path, c.body, bearer})
			require.Equal(t, c.status, status, answer)
			if fault, ok := answer["error"].(map[string]any); ok {
				require.Equal(t, c.field, fault["field"])
			}
			if status == 403 {
				require.Contains(t, answer["error"].(map[string]any)["message"], `"mine"`)
				require.Nil(t, sent(t, a.Starts))
				require.Nil(t, sent(t, a.Controls))
				return
			}
			sent(t, a.Starts)
			sent(t, a.Controls)
		})
	}
}

func TestAListWithATokenForARoomIsOfThatRoom(t *testing.T) {
	a, _ := newService(t)
	mine := noted(t, a, "mine", "p")
	noted(t, a, "theirs", "p")
	bearer := "Bearer " + token(t, func(a *auth.AccessToken) {
		a.SetVideoGrant(&auth.VideoGrant{RoomRecord: true, Room: "mine"})
	})

	status, answer := a.call(t, call{"GET", "/recordings", "", bearer})
	require.Equal(t, 200, status, answer)
	list := answer["recordings"].([]any)
	require.Len(t, list, 1)
	require.Equal(t, mine.ID, list[0].(map[string]any)["id"])
}

// Without a bucket nobody can tell here whose recording an id names.
func TestWithoutABucketATokenForARoomStopsNothingByID(t *testing.T) {
	a, _ := newService(t)
	a.Documents = nil
	a = serve(a.Config)
	grant := &auth.VideoGrant{RoomRecord: true, Room: "mine"}
	limited := token(t, func(a *auth.AccessToken) { a.SetVideoGrant(grant) })
	stop := call{"POST", "/recordings/stop", `{"id":"RC_1"}`, "Bearer " + limited}
	status, _ := a.call(t, stop)
	require.Equal(t, 403, status)
	require.Nil(t, sent(t, a.Controls))

	stop.authorization = "Bearer " + token(t, nil)
	status, _ = a.call(t, stop)
	require.Equal(t, 202, status)
	require.Equal(t, "RC_1", sent(t, a.Controls).Recording)
}

func FuzzTokens(f *testing.F) {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`))
	claims, err := json.Marshal(map[string]any{"iss": key, "exp": 1e18})
	require.NoError(f, err)
	f.Add(header + "." + base64.RawURLEncoding.EncodeToString(claims) + ".")
	f.Add(`{"payload":"","signatures":[]}`)
	f.Fuzz(func(t *testing.T, token string) {
		_, err := verify([]keys.Key{{ID: key, Secret: secret}}, token, noon)
		require.Error(t, err, "nobody has signed it")
	})
}
