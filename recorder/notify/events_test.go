package notify

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/events"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

// withBus is everybody who is told, with a bus among them, and what came to that.
func withBus(t *testing.T) (e *Everybody, bus *events.Bus, log *test.Hook) {
	t.Helper()
	bus = &events.Bus{Name: "calls"}
	server := httptest.NewServer(bus)
	t.Cleanup(server.Close)
	logger, log := test.NewNullLogger()
	by := keys.Fixed(keys.Key{ID: "key", Secret: "secret"}, keys.Key{})
	webhooks, err := New([]string{"https://x/hook"}, false, by, logger)
	require.NoError(t, err)
	return &Everybody{Webhooks: webhooks, Bus: &Bus{
		Client: eventbridge.New(eventbridge.Options{
			Region:       "somewhere",
			BaseEndpoint: &server.URL,
			Credentials:  credentials.NewStaticCredentialsProvider("a", "b", ""),
			Retryer:      aws.NopRetryer{},
		}),
		Name: "calls",
		Log:  logger,
	}}, bus, log
}

// received is the document in the only event.
func received(t *testing.T, bus *events.Bus) (r document.Recording) {
	t.Helper()
	require.Len(t, bus.Events(), 1)
	require.NoError(t, json.Unmarshal([]byte(bus.Events()[0].Detail), &r))
	return r
}

func TestAnEventHasTheDocument(t *testing.T) {
	e, bus, log := withBus(t)
	require.Len(t, e.Receivers(ended), 2)
	r := document.Recording{ID: "RC_1", RequestID: "request-1", Room: "room", State: document.Completed}
	require.NoError(t, e.Deliver(t.Context(), busOfEnds, r))
	require.Equal(t, r, received(t, bus))
	require.Equal(t, "livekit-participant-recorder", bus.Events()[0].Source)
	require.Equal(t, "Recording State Change", bus.Events()[0].DetailType)
	require.Equal(t, "request-1", log.LastEntry().Data["request"])
	require.Equal(t, "RC_1", log.LastEntry().Data["recording"])
}

// A call that succeeds may have taken nothing.
func TestAnEntryThatIsRefusedIsTriedAgain(t *testing.T) {
	e, bus, _ := withBus(t)
	bus.Fail(1)
	require.ErrorContains(t, e.Deliver(t.Context(), busOfBeginnings, ended), "InternalFailure")
	require.Empty(t, bus.Events())
	require.NoError(t, e.Deliver(t.Context(), busOfBeginnings, ended))
	require.Len(t, bus.Events(), 1)

	e.Bus.Name = "another"
	require.ErrorContains(t, e.Deliver(t.Context(), busOfEnds, ended), "does not exist")
}

// While recorders are replaced, some have a bus and some have none.
func TestANoticeForABusIsNotDroppedByWhoeverHasNone(t *testing.T) {
	e, _, _ := withBus(t)
	e.Bus = nil
	require.Len(t, e.Receivers(ended), 1)
	require.Empty(t, e.ReceiversOfBeginnings(ended))
	require.True(t, e.Begins(busOfBeginnings), "or its notice would wait for the end")
	require.ErrorContains(t, e.Deliver(t.Context(), busOfEnds, ended), "EVENT_BUS")
	require.ErrorContains(t, e.Deliver(t.Context(), busOfBeginnings, ended), "EVENT_BUS")
}

// long is a document with so many parts, and gaps in each.
func long(parts, gaps int, key string) document.Recording {
	r := ended
	for n := range parts {
		track := document.TrackReport{SID: "TR_1", Kind: "video", Frames: 100}
		for g := range gaps {
			track.Gaps = append(track.Gaps, document.Gap{Kind: document.GapLoss, Start: float64(g), Length: 0.123456789})
		}
		r.Parts = append(r.Parts, document.Part{
			Key:    fmt.Sprintf("%s.part%d.webm", key, n),
			State:  document.Completed,
			Tracks: []document.TrackReport{track},
		})
	}
	return r
}

// EventBridge takes less than 256 KiB. Who is to be told of a state must be told, whatever the document has.
func TestDocumentsThatAreTooLargeLoseWhatMattersLeast(t *testing.T) {
	name := strings.Repeat("x", 500)
	for what, c := range map[string]struct {
		document            document.Recording
		gaps, tracks, parts int
	}{
		"few gaps":        {long(10, 10, "a"), 10, 1, 10},
		"many gaps":       {long(20, 500, "a"), 0, 1, 20},
		"many parts":      {long(1000, 3, name[:90]), 0, 0, 1000},
		"very many parts": {long(1000, 1, name), 0, 0, 0},
	} {
		t.Run(what, func(t *testing.T) {
			e, bus, log := withBus(t)
			require.NoError(t, e.Deliver(t.Context(), busOfEnds, c.document))
			r := received(t, bus)
			require.Len(t, r.Parts, c.parts)
			require.Equal(t, c.document.ID, r.ID)
			require.Equal(t, c.gaps < len(c.document.Parts[0].Tracks[0].Gaps), warned(log))
			if c.parts == 0 {
				return
			}
			require.NotNil(t, r.Parts[0].Tracks, "it is a list, if an empty one")
			require.Len(t, r.Parts[0].Tracks, c.tracks)
			if c.tracks > 0 {
				require.Len(t, r.Parts[0].Tracks[0].Gaps, c.gaps)
				all := len(c.document.Parts[0].Tracks[0].Gaps)
				require.Equal(t, all-c.gaps, r.Parts[0].Tracks[0].GapsOmitted)
			}
			require.Len(t, c.document.Parts[0].Tracks, 1, "the document itself is as it was")
			require.Zero(t, c.document.Parts[0].Tracks[0].GapsOmitted)
		})
	}
}

func warned(log *test.Hook) bool {
	for _, entry := range log.AllEntries() {
		if entry.Level == logrus.WarnLevel {
			return true
		}
	}
	return false
}

func TestABeginningIsTheDocumentBeforeItsEnd(t *testing.T) {
	at := time.Unix(2000, 0)
	r := document.Recording{State: document.Failed, Reason: "x", StartedAt: &at, EndedAt: &at}
	r.Parts = long(1, 0, "a").Parts
	require.Equal(t, document.Recording{State: document.Active, StartedAt: &at, Parts: r.Parts}, r.Beginning())
}
