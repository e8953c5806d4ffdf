package api

import (
	"context"
	"strings"
	"testing"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"
)

func TestStartStopAndLook(t *testing.T) {
	a, _ := newService(t)
	bearer := "Bearer " + token(t, nil)

	wish := `{"room":"r/ö","participant":"p","media":"audio","file":"x/{id}"}`
	status, answer := a.call(t, call{"POST", "/recordings/start", wish, bearer})
	require.Equal(t, 202, status, answer)
	require.Equal(t, "requested", answer["state"])
	require.Equal(t, "audio", answer["media"])
	c := sent(t, a.Starts)
	require.Equal(t, answer["id"], c.Recording)
	require.Equal(t, "r/ö", c.Room)
	require.Equal(t, "x/{id}", c.File)
	require.Equal(t, noon, c.RequestedAt)

	status, found := a.call(t, call{"GET", "/recordings/" + c.Recording, "", bearer})
	require.Equal(t, 200, status)
	require.Equal(t, "requested", found["state"])
	status, list := a.call(t, call{"GET", "/recordings?room=r/ö", "", bearer})
	require.Equal(t, 200, status)
	require.Len(t, list["recordings"], 1)

	status, _ = a.call(t, call{"POST", "/recordings/stop", `{"id":"` + c.Recording + `"}`, bearer})
	require.Equal(t, 202, status)
	stop := sent(t, a.Controls)
	require.Equal(t, c.Recording, stop.Recording)
	require.Equal(t, "r/ö", stop.Room, "whoever gets it knows whose ledger entry it is")
	require.Equal(t, noon, stop.RequestedAt)

	status, _ = a.call(t, call{"POST", "/recordings/stop", `{"room":"r","participant":"p"}`, bearer})
	require.Equal(t, 202, status)
	require.Equal(t, "p", sent(t, a.Controls).Participant)
}

func TestLabelsAndWebhooksAreGivenAlong(t *testing.T) {
	a, _ := newService(t)
	bearer := "Bearer " + token(t, nil)
	wish := `{"room":"r","participant":"p","labels":{"tenant":"7"},"webhooks":["https://example.com/hook"]}`
	status, answer := a.call(t, call{"POST", "/recordings/start", wish, bearer})
	require.Equal(t, 202, status, answer)
	require.Equal(t, map[string]any{"tenant": "7"}, answer["labels"])
	require.Equal(t, []any{"https://example.com/hook"}, answer["webhooks"])
	c := sent(t, a.Starts)
	require.Equal(t, map[string]string{"tenant": "7"}, c.Labels)
	require.Equal(t, []string{"https://example.com/hook"}, c.Webhooks)

	_, found := a.call(t, call{"GET", "/recordings/" + c.Recording, "", bearer})
	require.Equal(t, answer["labels"], found["labels"])
}

func TestFaultsAreToldByFieldAndQueueNothing(t *testing.T) {
	a, _ := newService(t)
	bearer := "Bearer " + token(t, nil)
	old := expired(t, map[string]any{"video": map[string]any{"roomRecord": true}})
	other := token(t, func(a *auth.AccessToken) { a.SetVideoGrant(&auth.VideoGrant{RoomJoin: true}) })
	long := strings.Repeat("x", 257)

	post := func(path, body string) call { return call{"POST", path, body, bearer} }
	start := func(body string) call { return post("/recordings/start", body) }
	with := func(authorization string) call { return call{"POST", "/recordings/start", `{}`, authorization} }

	for name, c := range map[string]struct {
		call
		status int
		field  string
	}{
		"no body":             {start(""), 400, ""},
		"no JSON":             {start("{"), 400, ""},
		"wrong type":          {start(`{"room":7,"participant":"p"}`), 400, "room"},
		"unknown field":       {start(`{"room":"r","participant":"p","fiel":"x"}`), 400, "fiel"},
		"empty room":          {start(`{"room":"","participant":"p"}`), 400, "room"},
		"null participant":    {start(`{"room":"r","participant":null}`), 400, "participant"},
		"over-long name":      {start(`{"room":"r","participant":"` + long + `"}`), 400, "participant"},
		"control character":   {start(`{"room":"a\u0000b","participant":"p"}`), 400, "room"},
		"invalid UTF-8":       {start("{\"room\":\"\xff\",\"participant\":\"p\"}"), 400, ""},
		"screen with track":   {start(`{"room":"r","participant":"p","media":"screen","track":"camera"}`), 400, "media"},
		"unknown media":       {start(`{"room":"r","participant":"p","media":"x"}`), 400, "media"},
		"labels of numbers":   {start(`{"room":"r","participant":"p","labels":{"a":1}}`), 400, "labels"},
		"label without key":   {start(`{"room":"r","participant":"p","labels":{"":"a"}}`), 400, "labels"},
		"webhook of anywhere": {start(`{"room":"r","participant":"p","webhooks":["x"]}`), 400, "webhooks"},
		"webhook without TLS": {start(`{"room":"r","participant":"p","webhooks":["http://a.example"]}`), 400, "webhooks"},
		"webhook inside":      {start(`{"room":"r","participant":"p","webhooks":["https://10.0.0.1"]}`), 400, "webhooks"},
		"unknown track":       {start(`{"room":"r","participant":"p","track":"x"}`), 400, "track"},
		"escaping file":       {start(`{"room":"r","participant":"p","file":"../x"}`), 400, "file"},
		"file of a part":      {start(`{"room":"r","participant":"p","file":"x.part2"}`), 400, "file"},
		"file of a rest":      {start(`{"room":"r","participant":"p","file":"x.rest.webm"}`), 400, "file"},
		"file of an owner":    {start(`{"room":"r","participant":"p","file":"{room}.e2"}`), 400, "file"},
		"file of a document":  {start(`{"room":"r","participant":"p","file":"x.json/y"}`), 400, "file"},
		"too large":           {start(strings.Repeat(" ", maxBody+1)), 413, ""},
		"deep nesting":        {start(strings.Repeat(`{"room":`, 30000)), 400, ""},
		"stop of nothing":     {post("/recordings/stop", `{}`), 400, "room"},
		"stop of both":        {post("/recordings/stop", `{"id":"RC_1","room":"r","participant":"p"}`), 400, "id"},
		"stop of an odd id":   {post("/recordings/stop", `{"id":"../x"}`), 400, "id"},
		"stop of unknown id":  {post("/recordings/stop", `{"id":"RC_1"}`), 404, "id"},
		"unknown id":          {call{"GET", "/recordings/RC_1", "", bearer}, 404, "id"},
		"id with a slash":     {call{"GET", "/recordings/a%2Fb", "", bearer}, 404, "id"},
		"id of dots":          {call{"GET", "/recordings/%2e%2e", "", bearer}, 404, "id"},
		"list without room":   {call{"GET", "/recordings", "", bearer}, 400, "room"},
		"list, garbled query": {call{"GET", "/recordings?room=%zz", "", bearer}, 400, ""},
		"unknown route":       {call{"GET", "/nothing", "", bearer}, 404, ""},
		"wrong method":        {call{"GET", "/recordings/start", "", bearer}, 405, ""},
		"wrong method, list":  {call{"POST", "/recordings", "", bearer}, 405, ""},
		"no token":            {with(""), 401, ""},
		"no bearer":           {with(token(t, nil)), 401, ""},
		"garbage token":       {with("Bearer x.y.z"), 401, ""},
		"expired token":       {with("Bearer " + old), 401, ""},
		"other key":           {with("Bearer " + tokenBy(t, "other", secret, nil)), 401, ""},
		"other secret":        {with("Bearer " + tokenBy(t, key, secret+"x", nil)), 401, ""},
		"unsigned token":      {with("Bearer " + unsigned(token(t, nil))), 401, ""},
		"no grant":            {with("Bearer " + other), 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := a.call(t, c.call)
			require.Equal(t, c.status, status, answer)
			fault, ok := answer["error"].(map[string]any)
			require.True(t, ok)
			require.NotEmpty(t, fault["code"])
			require.NotEmpty(t, fault["message"])
			field, _ := fault["field"].(string)
			require.Equal(t, c.field, field)
		})
	}
	require.Nil(t, sent(t, a.Starts))
	require.Nil(t, sent(t, a.Controls))
}

// There may be no recorder: somebody has to start one. A stop needs none that is not there.
func TestStartsWakeRecorders(t *testing.T) {
	a, _ := newService(t)
	woken := 0
	a.Wake = func(context.Context) { woken++ }
	a = serve(a.Config)
	bearer := "Bearer " + token(t, nil)

	status, _ := a.call(t, call{"POST", "/recordings/start", `{"room":"r","participant":"p"}`, bearer})
	require.Equal(t, 202, status)
	require.Equal(t, 1, woken, "before the answer: the function may be frozen behind it")
	status, _ = a.call(t, call{"POST", "/recordings/stop", `{"room":"r","participant":"p"}`, bearer})
	require.Equal(t, 202, status)
	require.Equal(t, 1, woken)
}
