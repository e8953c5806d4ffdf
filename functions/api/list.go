package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// usualPage is how many recordings a page of a list has if the caller does not say.
const usualPage = 50

// maxListBytes bounds the recordings of one page: Lambda answers with 6 MB at most, and documents of long calls on bad
// networks have many gaps. A page that would be larger ends earlier.
const maxListBytes = 4 << 20

// listRequest is the query of GET /recordings.
type listRequest struct {
	room        string
	participant string // empty: of all
	cursor      string // empty: the newest recordings
	limit       int
}

// readList reads the query. A caller whose token is for one room need not name it.
func readList(query string, who caller) (l listRequest, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return l, invalid("", "the query is not valid: %v", err)
	}

	l = listRequest{
		room:        values.Get("room"),
		participant: values.Get("participant"),
		cursor:      values.Get("cursor"),
		limit:       usualPage,
	}
	if !values.Has("room") {
		l.room = who.room
	}
	if err := command.ValidateName("room", l.room); err != nil {
		return l, err
	}
	if err := who.may("room", l.room); err != nil {
		return l, err
	}

	if l.participant != "" {
		if err := command.ValidateIdentity("participant", l.participant); err != nil {
			return l, err
		}
	}
	if values.Has("limit") {
		l.limit, err = strconv.Atoi(values.Get("limit"))
		if err != nil || l.limit < 1 || l.limit > ledger.MaxPage {
			return l, invalid("limit", "limit must be a number from 1 to %d", ledger.MaxPage)
		}
	}
	return l, nil
}

// listAnswer is a page of recordings.
type listAnswer struct {
	Recordings []json.RawMessage `json:"recordings"`
	// Cursor leads to the next page; empty if there is none.
	Cursor string `json:"cursor,omitempty"`
}

func (a *api) list(ctx context.Context, r request) (int, any, error) {
	who, err := a.reader(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	l, err := readList(r.query, who)
	if err != nil {
		return 0, nil, err
	}

	page, err := a.Documents.List(ctx, l.room, l.participant, l.cursor, l.limit)
	switch {
	case errors.Is(err, ledger.ErrCursor):
		return 0, nil, invalid("cursor", "cursor must be one that a list has answered")
	case err != nil:
		return 0, nil, unavailable("the bucket cannot be read, try again", err)
	}

	answer, err := a.show(ctx, page)
	return http.StatusOK, answer, err
}

// show makes an answer of a page, or of as much of it as fits. A document that cannot be read is left out, and logged:
// it must not keep the caller from all others.
func (a *api) show(ctx context.Context, page ledger.Page) (listAnswer, error) {
	answer := listAnswer{Recordings: []json.RawMessage{}}
	size, cursor := 0, ""
	for _, row := range page.Rows {
		if row.Err != nil {
			a.logFor(ctx).WithError(row.Err).WithField("recording", row.ID).
				Warn("recording is left out of a list, its document cannot be read")
			cursor = row.Cursor
			continue
		}

		body, err := json.Marshal(row.Recording)
		if err != nil {
			return answer, fmt.Errorf("encode recording: %w", err)
		}
		if size += len(body) + len(","); size > maxListBytes && len(answer.Recordings) > 0 {
			answer.Cursor = cursor
			return answer, nil
		}
		answer.Recordings, cursor = append(answer.Recordings, body), row.Cursor
	}

	if page.More {
		answer.Cursor = cursor
	}
	return answer, nil
}
