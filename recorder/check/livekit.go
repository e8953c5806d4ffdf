package check

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/livekit/protocol/auth"

	"livekit-recorder/shared/keys"
)

const (
	// maxSkew is by how much the clocks of LiveKit and of this machine may differ before tokens are refused (LiveKit
	// tolerates a minute), and fineSkew before it is worth a word: the header that tells has whole seconds.
	maxSkew, fineSkew = time.Minute, 10 * time.Second
	// longestAnswer is how much of an answer is read, in bytes.
	longestAnswer = 1 << 20
)

// Keys finds out whether there are API keys. Setting is what has them.
func Keys(setting string, all *keys.Keys) Check {
	return Check{Name: "keys", Run: func(ctx context.Context) Finding {
		known, err := all.Known(ctx)
		if err == nil {
			return ok("number of keys with which LiveKit may be called: %d", len(known.All()))
		}

		f := faultOf(ctx, err)
		if f.State == Away {
			return Finding{
				State:   Away,
				Setting: setting,
				Remedy:  "see that this network leads to Secrets Manager in the secret's region",
				Detail:  f.text,
			}
		}
		remedy := "set it to the ARN of a secret with {\"LIVEKIT_API_KEY\":\"…\",\"LIVEKIT_API_SECRET\":\"…\"}"
		switch {
		case f.badCredentials():
			setting, remedy = awsCredentials()
		case strings.Contains(f.code, "AccessDenied"):
			remedy = "grant secretsmanager:GetSecretValue on it (and kms:Decrypt, if it has a key of its own)"
		}
		return wrong(setting, remedy, "%s", f.text)
	}}
}

// liveKit is a LiveKit server.
type liveKit struct {
	address string // with http:// or https://
	url     string // as it was set
	setting string // what has the keys
	keys    *keys.Keys
	client  *http.Client
}

// LiveKit finds out whether a LiveKit server is there, takes one of our keys, and has the same time.
func LiveKit(address, setting string, all *keys.Keys) Check {
	l := liveKit{
		address: strings.TrimSuffix(strings.Replace(address, "ws", "http", 1), "/"),
		url:     address,
		setting: setting,
		keys:    all,
		client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if u, err := url.Parse(address); err == nil {
		l.url = u.Redacted()
	}
	return Check{Name: "livekit", Run: l.check}
}

const clockRemedy = "set this machine's clock, or the LiveKit server's"

// answer is what LiveKit says to a call.
type answer struct {
	status int
	ours   bool          // it is LiveKit's
	skew   time.Duration // by how much this clock is ahead
}

func (l liveKit) check(ctx context.Context) Finding {
	known, err := l.keys.Known(ctx)
	if err != nil {
		return Finding{State: Skipped, Detail: "without an API key LiveKit cannot be asked"}
	}

	var said answer
	for n, key := range known.All() {
		if said, err = l.ask(ctx, key); err != nil {
			return l.fault(ctx, err)
		}
		if said.status != http.StatusUnauthorized {
			return l.finding(said, n > 0)
		}
	}
	return l.finding(said, false)
}

// ask calls LiveKit's API.
func (l liveKit) ask(ctx context.Context, key keys.Key) (said answer, err error) {
	token, err := auth.NewAccessToken(key.ID, key.Secret).SetVideoGrant(&auth.VideoGrant{RoomList: true}).ToJWT()
	if err != nil {
		return said, fmt.Errorf("sign token: %w", err)
	}
	const call = "/twirp/livekit.RoomService/ListRooms"
	const body = `{"names":["participant-recorder-probe"]}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.address+call, strings.NewReader(body))
	if err != nil {
		return said, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")

	began := time.Now()
	response, err := l.client.Do(request)
	if err != nil {
		return said, err
	}
	defer response.Body.Close()
	now := began.Add(time.Since(began) / 2)

	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		said.skew = now.Sub(date.Add(time.Second / 2)) // half a second has been cut off, in the middle
	}
	said.status = response.StatusCode
	text, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	said.ours = json.Unmarshal(text, &struct{ Rooms []json.RawMessage }{}) == nil
	return said, err
}

// finding says what an answer means. Second says that it was by the key before the current one.
func (l liveKit) finding(said answer, second bool) Finding {
	switch {
	case said.skew.Abs() > maxSkew:
		return wrong("the clock", clockRemedy, "it and that of %s differ by %s", l.url, said.skew.Round(time.Second))
	case said.status == http.StatusUnauthorized:
		return wrong(l.setting, "set it to a key and secret that the server has", "%s refuses the API key (401)", l.url)
	case said.status >= http.StatusInternalServerError || said.status == http.StatusTooManyRequests:
		return Finding{State: Away, Setting: "LIVEKIT_URL", Detail: fmt.Sprintf("%s answers %d", l.url, said.status),
			Remedy: "see what its log says"}
	case said.status != http.StatusOK || !said.ours:
		return wrong("LIVEKIT_URL", "set it to the address of a LiveKit server, wss:// if it has a certificate",
			"%s is no LiveKit server: it answers %d %s", l.url, said.status, http.StatusText(said.status))
	case second:
		return warning(l.setting, "give the server the new key", "%s takes the key before the current one only", l.url)
	case said.skew.Abs() > fineSkew:
		return warning("the clock", clockRemedy, "it and that of %s differ by %s", l.url, said.skew.Round(time.Second))
	}
	return ok("%s can be reached, and takes the API key", l.url)
}

func (l liveKit) fault(ctx context.Context, err error) Finding {
	f := faultOf(ctx, err)
	remedy := "set it to the address of a LiveKit server that this network leads to"
	return Finding{State: f.State, Setting: "LIVEKIT_URL", Remedy: remedy, Detail: l.url + ": " + f.text}
}
