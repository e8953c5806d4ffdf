package notify

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/webhook"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

const secret = "secretsecretsecretsecretsecretsecret"

// told are a recording with a webhook of its own, and what came there.
func told(t *testing.T) (r document.Recording, bodies *[]string) {
	t.Helper()
	bodies = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := webhook.Receive(r, auth.NewSimpleKeyProvider("key", secret))
		if err != nil {
			t.Error("a notice is not signed: ", err)
		}
		*bodies = append(*bodies, string(body))
	}))
	t.Cleanup(server.Close)
	r = ended
	r.Labels = map[string]string{"tenant": "7"}
	r.Webhooks = []string{server.URL + "/hook?token=very-secret"}
	return r, bodies
}

func notifier(t *testing.T, private bool, urls ...string) (*Notifier, *test.Hook) {
	t.Helper()
	logger, log := test.NewNullLogger()
	n, err := New(urls, private, keys.Fixed(keys.Key{ID: "key", Secret: secret}, keys.Key{}), logger)
	require.NoError(t, err)
	return n, log
}

func TestARecordingHasWebhooksOfItsOwn(t *testing.T) {
	r, bodies := told(t)
	n, log := notifier(t, true, "https://everybody/hook")
	require.Len(t, n.Receivers(ended), 1)
	receivers := n.Receivers(r)
	require.Len(t, receivers, 2)
	require.NoError(t, n.Deliver(t.Context(), receivers[1], r))
	require.Len(t, *bodies, 1)
	require.Contains(t, (*bodies)[0], `"labels":{"tenant":"7"}`)
	require.NotContains(t, (*bodies)[0], "very-secret", "others get the same")
	require.Contains(t, log.LastEntry().Message, "delivered")

	require.NoError(t, n.Deliver(t.Context(), receivers[1], ended), "that of another recording is none of this one's")
	require.Len(t, *bodies, 1)

	all, _ := notifier(t, true, r.Webhooks[0])
	require.Len(t, all.Receivers(r), 1, "whoever is told of all is told once")
}

// What only this recorder can reach, a caller of the REST interface must not reach through it.
func TestACallerCannotHaveUsCallWhatIsNotOnTheInternet(t *testing.T) {
	r, bodies := told(t)
	at, err := url.Parse(r.Webhooks[0])
	require.NoError(t, err)
	for _, hook := range []string{
		"https://" + at.Host,
		"https://localhost:" + at.Port(), // a name that leads there
		"https://[::1]:" + at.Port(),
		"https://[::ffff:127.0.0.1]:" + at.Port(),
		"https://169.254.169.254/latest/meta-data",
		"https://169.254.170.2/v2/credentials",
		r.Webhooks[0], // without TLS
	} {
		n, log := notifier(t, false)
		r.Webhooks = []string{hook}
		before := metrics.Notices.With("webhook", "refused").Load()
		require.NoError(t, n.Deliver(t.Context(), n.Receivers(r)[0], r), "it would be refused again: %s", hook)
		require.Contains(t, log.LastEntry().Message, "is not delivered", hook)
		require.Equal(t, before+1, metrics.Notices.With("webhook", "refused").Load())
	}
	require.Empty(t, *bodies)

	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	operators, log := notifier(t, false, server.URL)
	require.NoError(t, operators.Deliver(t.Context(), operators.Receivers(ended)[0], ended))
	require.NotContains(t, log.LastEntry().Message, "is not delivered", "operators may name what they like")
}

func TestAddressesThatAreNotOnTheInternet(t *testing.T) {
	for _, address := range []string{"1.1.1.1:443", "[2606:4700::1111]:443", "172.32.0.1:443"} {
		require.NoError(t, checkAddress(address), address)
	}
	for _, address := range strings.Fields(`127.0.0.1:1 127.9.9.9:1 10.1.2.3:1 172.16.0.1:1 192.168.1.1:1 169.254.169.254:1
		100.64.0.1:1 0.0.0.0:1 255.255.255.255:1 224.0.0.1:1 198.18.0.1:1 [::]:1 [::1]:1 [fe80::1]:1 [fe80::1%25lo]:1
		[fd00:ec2::254]:1 [ff02::1]:1 [::ffff:10.0.0.1]:1 [64:ff9b::a00:1]:1 [2002:a00:1::]:1 [::a00:1]:1`) {
		require.Error(t, checkAddress(address), address)
	}
}

func TestWebhooksAreToldOfBeginnings(t *testing.T) {
	r, bodies := told(t)
	n, _ := notifier(t, true)
	e := &Everybody{Webhooks: n}
	require.Empty(t, e.ReceiversOfBeginnings(r), "only if that is wanted")
	n.Started = true
	require.Empty(t, e.ReceiversOfBeginnings(ended), "there is nobody who could want it")
	receivers := e.ReceiversOfBeginnings(r)
	require.Len(t, receivers, 1)
	require.True(t, e.Begins(receivers[0]))
	require.False(t, e.Begins(e.Receivers(r)[0]))
	require.NoError(t, e.Deliver(t.Context(), receivers[0], r))
	require.NoError(t, e.Deliver(t.Context(), e.Receivers(r)[0], r))
	require.Len(t, *bodies, 2)
	require.Contains(t, (*bodies)[0], `"event":"recording_started"`)
	require.Contains(t, (*bodies)[1], `"event":"recording_ended"`)

	later := r
	later.UpdatedAt = later.UpdatedAt.Add(time.Second)
	require.Equal(t, beginningID(r), beginningID(later), "the same beginning, whatever has come of it since")
	require.NotEqual(t, beginningID(r), eventID(r))
}

// Everything that is said of a person, and of what could not be recorded, is bounded so that it fits.
func TestAnEventHasRoomForAllThatIsSaidOfAPerson(t *testing.T) {
	r := ended
	for n := range 2 * document.MaxChanges {
		text := strings.Repeat("\x01", 64<<10) // six bytes each as JSON
		r = r.Described(document.Profile{
			Name:       text,
			Metadata:   string(rune('a'+n)) + text,
			Attributes: map[string]string{"a": text[:600]},
		}, r.UpdatedAt)
	}
	for n := range 2 * document.MaxUnrecorded {
		r, _ = r.Without(document.Unrecorded{SID: fmt.Sprint("TR_", n), Codec: strings.Repeat("x", 32), Reason: "codec"})
	}
	r.Labels = map[string]string{}
	for n := range command.MaxLabels {
		r.Labels[fmt.Sprint(n, strings.Repeat("名", 127))] = strings.Repeat("<", 256) // as much each
	}

	e, bus, log := withBus(t)
	require.NoError(t, e.Deliver(t.Context(), busOfEnds, r))
	require.False(t, warned(log))
	there := received(t, bus)
	require.Len(t, there.Changes, document.MaxChanges)
	require.Len(t, there.Unrecorded, document.MaxUnrecorded)
	require.Equal(t, r.Labels, there.Labels)
}
