package api

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// page is what a list answers.
func page(t *testing.T, a service, query url.Values) (ids []string, cursor string) {
	t.Helper()
	status, answer := a.call(t, call{"GET", "/recordings?" + query.Encode(), "", "Bearer " + token(t, nil)})
	require.Equal(t, 200, status, answer)
	for _, r := range answer["recordings"].([]any) {
		ids = append(ids, r.(map[string]any)["id"].(string))
	}
	cursor, _ = answer["cursor"].(string)
	return ids, cursor
}

func TestAllRecordingsOfARoomCanBeReachedNewestFirst(t *testing.T) {
	a, _ := newService(t)
	var want []string
	for n := range 60 {
		r := document.NewRecording(command.NewStart("r", "p", noon.Add(-time.Duration(n)*time.Hour)))
		require.NoError(t, a.Documents.Request(t.Context(), r))
		want = append(want, r.ID)
	}

	for _, limit := range []string{"", "1", "7", "60", "100"} {
		query := url.Values{"room": {"r"}}
		if limit != "" {
			query.Set("limit", limit)
		}
		var got []string
		for {
			ids, cursor := page(t, a, query)
			got = append(got, ids...)
			if limit == "" && !query.Has("cursor") {
				require.Len(t, ids, usualPage)
			}
			if cursor == "" {
				break
			}
			query.Set("cursor", cursor)
		}
		require.Equal(t, want, got, "limit %q", limit)
	}
}

func TestListsSayWhatIsAllowed(t *testing.T) {
	a, _ := newService(t)
	for query, want := range map[string]string{
		"limit=0":                 "limit must be a number from 1 to 100",
		"limit=101":               "limit must be a number from 1 to 100",
		"limit=-1":                "limit must be a number from 1 to 100",
		"limit=x":                 "limit must be a number from 1 to 100",
		"limit=":                  "limit must be a number from 1 to 100",
		"limit=1e1":               "limit must be a number from 1 to 100",
		"cursor=x":                "cursor must be one that a list has answered",
		"cursor=../..":            "cursor must be one that a list has answered",
		"participant=" + "%ff":    "participant is not valid UTF-8",
		"limit=99999999999999999": "limit must be a number from 1 to 100",
	} {
		status, answer := a.call(t, call{"GET", "/recordings?room=r&" + query, "", "Bearer " + token(t, nil)})
		require.Equal(t, 400, status, query)
		fault := answer["error"].(map[string]any)
		require.Equal(t, want, fault["message"])
		require.Equal(t, strings.Split(query, "=")[0], fault["field"])
	}
}

// Lambda refuses answers of more than 6 MB: then nobody could see what is behind.
func TestAPageEndsBeforeItIsTooLargeToBeAnswered(t *testing.T) {
	a, _ := newService(t)
	var want []string
	for n := range 9 {
		r := document.NewRecording(command.NewStart("r", "p", noon.Add(-time.Duration(n)*time.Hour)))
		r.Reason = strings.Repeat("x", maxListBytes/3)
		if n == 4 {
			r.Reason = strings.Repeat("x", maxListBytes+1) // one that is too large is better than none
		}
		require.NoError(t, a.Documents.Request(t.Context(), r))
		want = append(want, r.ID)
	}

	var got []string
	query := url.Values{"room": {"r"}}
	for pages := 1; ; pages++ {
		ids, cursor := page(t, a, query)
		got = append(got, ids...)
		if cursor == "" {
			require.Equal(t, 5, pages)
			break
		}
		query.Set("cursor", cursor)
	}
	require.Equal(t, want, got)
}

func TestADocumentThatCannotBeReadIsLeftOut(t *testing.T) {
	a, _ := newService(t)
	r, err := a.Documents.Reserve(t.Context(), noted(t, a, "r", "p"), "name")
	require.NoError(t, err)
	other := noted(t, a, "r", "p")
	_, tag, err := a.Documents.Store.Get(t.Context(), "name.json")
	require.NoError(t, err)
	_, err = a.Documents.Store.Put(t.Context(), "name.json", []byte("{"), tag)
	require.NoError(t, err)

	ids, cursor := page(t, a, url.Values{"room": {"r"}})
	require.Equal(t, []string{other.ID}, ids)
	require.Empty(t, cursor)
	require.NotEqual(t, r.ID, other.ID)
}
