package contract

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/functions/api"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/shared/document"
)

func ours(t *testing.T) *Contract {
	t.Helper()
	c, err := New(api.OpenAPI, document.Schema)
	require.NoError(t, err)
	return c
}

// The description that everybody finds at the top is the one that is served.
func TestTheLinkAtTheTopLeadsToTheDescription(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "openapi.yaml"))
	require.NoError(t, err)
	require.Equal(t, string(api.OpenAPI), string(content))
}

// Generators of clients want one file: the schemas of documents are in both.
func TestBothDescriptionsHaveTheSameDocuments(t *testing.T) {
	d, err := read(api.OpenAPI)
	require.NoError(t, err)
	schemas := object(object(d.content["components"])["schemas"])

	var own map[string]any
	text := strings.ReplaceAll(string(document.Schema), "#/$defs/", "#/components/schemas/")
	require.NoError(t, json.Unmarshal([]byte(text), &own))
	definitions := object(own["$defs"])
	require.NotEmpty(t, definitions)
	for name, want := range definitions {
		wanted, err := json.Marshal(want)
		require.NoError(t, err)
		got, err := json.Marshal(schemas[name])
		require.NoError(t, err)
		require.JSONEq(t, string(wanted), string(got), "the schema %s of openapi.yaml", name)
	}
}

// Every field that is written is described, and nothing is described that is never written.
func TestSchemasHaveTheFieldsOfTheTypes(t *testing.T) {
	d, err := read(api.OpenAPI)
	require.NoError(t, err)
	schemas := object(object(d.content["components"])["schemas"])
	for name, value := range map[string]any{
		"Recording":   document.Recording{},
		"Part":        document.Part{},
		"TrackReport": document.TrackReport{},
		"Gap":         document.Gap{},
		"Change":      document.Change{},
		"Unrecorded":  document.Unrecorded{},
		"Notice":      notify.Event{},
	} {
		t.Run(name, func(t *testing.T) {
			fields, always := fieldsOf(reflect.TypeOf(value))
			var described, required []string
			for field := range object(object(schemas[name])["properties"]) {
				described = append(described, field)
			}
			for _, field := range object(schemas[name])["required"].([]any) {
				required = append(required, field.(string))
			}
			require.ElementsMatch(t, fields, described)
			require.ElementsMatch(t, always, required)
			require.Equal(t, false, object(schemas[name])["additionalProperties"])
		})
	}
}

// fieldsOf are the names of a type's fields in JSON, and of those that are never left out.
func fieldsOf(of reflect.Type) (fields, always []string) {
	for n := range of.NumField() {
		if of.Field(n).Anonymous { // its fields are the type's own
			more, also := fieldsOf(of.Field(n).Type)
			fields, always = append(fields, more...), append(always, also...)
			continue
		}
		name, options, _ := strings.Cut(of.Field(n).Tag.Get("json"), ",")
		fields = append(fields, name)
		if !strings.Contains(options, "omit") {
			always = append(always, name)
		}
	}
	return fields, always
}

// Every code of an error that the handler can answer is described, and no other.
func TestErrorCodesAreThoseOfTheHandler(t *testing.T) {
	d, err := read(api.OpenAPI)
	require.NoError(t, err)
	problem := object(object(object(d.content["components"])["schemas"])["Error"])
	inner := object(object(problem["properties"])["error"])
	var described []string
	for _, code := range object(object(inner["properties"])["code"])["enum"].([]any) {
		described = append(described, code.(string))
	}

	files, err := filepath.Glob(filepath.Join("..", "..", "functions", "api", "*.go"))
	require.NoError(t, err)
	written := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`Code:\s+"(\w+)"`).FindAllSubmatch(content, -1) {
			written[string(match[1])] = true
		}
	}
	require.NotEmpty(t, written)
	for code := range written {
		require.Contains(t, described, code)
	}
	require.Len(t, described, len(written))
}

// Every route of the handler is described, and no other.
func TestRoutesAreThoseOfTheHandler(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "functions", "api", "api.go"))
	require.NoError(t, err)
	var written, described []string
	for _, match := range regexp.MustCompile(`\(http\.Method(\w+), "(/[^"]*)"`).FindAllSubmatch(content, -1) {
		written = append(written, strings.ToUpper(string(match[1]))+" "+string(match[2]))
	}
	written = append(written, "GET /openapi.yaml")

	for _, r := range ours(t).routes {
		for method := range r.methods {
			described = append(described, method+" "+strings.Join(r.segments, "/"))
		}
	}
	require.ElementsMatch(t, written, described)
}

const requested = `{"id":"RC_1","room":"r","participant":"p","target":"av","media":"av","state":"requested",` +
	`"requestedAt":"2026-03-01T12:00:00.123Z","updatedAt":"2026-03-01T12:00:00.123Z"}`

// with puts an x where something was.
func with(body, was string) string { return strings.Replace(body, was, "x", 1) }

func TestAnswersThatAreNotDescribedAreFound(t *testing.T) {
	c := ours(t)
	const problem = `{"error":{"code":"invalid","message":"no"}}`
	for name, a := range map[string]struct {
		method, path string
		status       int
		media, body  string
		broken       string // a part of the message; empty: all is well
	}{
		"a recording":      {"GET", "/recordings/RC_1", 200, "application/json", requested, ""},
		"its list":         {"GET", "/recordings", 200, "application/json", `{"recordings":[` + requested + `]}`, ""},
		"with a slash":     {"GET", "/recordings/", 200, "application/json", `{"recordings":[]}`, ""},
		"an error":         {"POST", "/recordings/start", 400, "application/json; charset=utf-8", problem, ""},
		"no such route":    {"GET", "/x", 404, "application/json", problem, ""},
		"health":           {"GET", "/health", 200, "application/json", `{"status":"ok"}`, ""},
		"of the gateway":   {"GET", "/health", 503, "application/json", `{"message":"Service Unavailable"}`, ""},
		"the description":  {"GET", "/openapi.yaml", 200, "application/yaml", "openapi: 3.1.0", ""},
		"a new route":      {"GET", "/x", 200, "application/json", `{}`, "no such path"},
		"a new method":     {"DELETE", "/recordings/RC_1", 200, "application/json", `{}`, "no such method"},
		"a new status":     {"GET", "/health", 418, "application/json", `{}`, "no such status"},
		"a new type":       {"GET", "/health", 200, "text/plain", `ok`, "text/plain"},
		"a new field":      {"GET", "/health", 200, "application/json", `{"status":"ok","x":1}`, "'x' not allowed"},
		"a new code":       {"GET", "/recordings", 401, "application/json", with(problem, "invalid"), "/error/code"},
		"no JSON":          {"GET", "/health", 200, "application/json", `ok`, "read JSON"},
		"no message":       {"GET", "/recordings", 401, "application/json", `{"error":{"code":"invalid"}}`, "message"},
		"neither of two":   {"POST", "/recordings/stop", 202, "application/json", `{}`, "oneOf"},
		"no time":          {"GET", "/recordings/RC_1", 200, "application/json", with(requested, "T12"), "date-time"},
		"a state too many": {"GET", "/recordings/RC_1", 200, "application/json", with(requested, "requested"), "/state"},
		"no Allow":         {"DELETE", "/recordings/RC_1", 405, "application/json", problem, "Allow"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.Answer(a.method, a.path, a.status, http.Header{"Content-Type": {a.media}}, []byte(a.body))
			if a.broken == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, a.broken)
		})
	}
}

func TestDocumentsNoticesAndEventsAreChecked(t *testing.T) {
	c := ours(t)
	notice := `{"event":"recording_ended","id":"EV_0123456789abcdef","createdAt":1,"recording":` + requested + `}`
	require.NoError(t, c.Document([]byte(requested)))
	require.NoError(t, c.Notice([]byte(notice)))
	require.NoError(t, c.Event("livekit-participant-recorder", "Recording State Change", []byte(requested)))

	more := []byte(strings.Replace(requested, `"id"`, `"more":1,"id"`, 1))
	require.ErrorContains(t, c.Document(more), "'more' not allowed")
	require.ErrorContains(t, c.Notice([]byte(strings.Replace(notice, `"event"`, `"more":1,"event"`, 1))), "'more'")
	require.ErrorContains(t, c.Event("livekit-participant-recorder", "Recording State Change", more), "'more'")
	require.ErrorContains(t, c.Event("somebody-else", "Recording State Change", []byte(requested)), "source")
	require.ErrorContains(t, c.Event("livekit-participant-recorder", "Recording State Change", []byte("{")), "no JSON")
}

func TestWatchSeesEveryAnswer(t *testing.T) {
	w := &Watch{Contract: ours(t)}
	body := `{"status":"ok"}`
	handler := w.Answers(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "application/json")
		_, _ = out.Write([]byte(body)) // to a recorder, which never fails
	}))
	ask := func() string {
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/health", nil))
		return out.Body.String()
	}

	require.Equal(t, body, ask())
	broken, seen := w.Broken()
	require.Empty(t, broken)
	require.Equal(t, 1, seen)

	body = `{"status":"fine"}`
	require.Equal(t, body, ask())
	require.Equal(t, body, ask())
	broken, seen = w.Broken()
	require.Len(t, broken, 1, "the same is said once")
	require.Equal(t, 3, seen)
	require.True(t, slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, "/status") }))
}
