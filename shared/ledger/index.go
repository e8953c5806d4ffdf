package ledger

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sync/errgroup"

	"livekit-recorder/shared/document"
)

// MaxPage is the most recordings that a page of a list can have. Each can have two names in the index, and S3 lists at
// most 1000 names at once: a page takes one call.
const MaxPage = 100

// readers is how many documents of a page are read at the same time.
const readers = 16

// maxIndexName is the longest name in the index that tells where a document lies, in bytes: no longer than those of
// files can be, so that what S3 allows (1024 bytes, with S3_DIRECTORY) is enough for both. Of a recording with a longer
// one, the list asks for the document's place.
const maxIndexName = 740

// ErrCursor says that a cursor is none that a list has given.
var ErrCursor = errors.New("not a cursor")

// Page is a piece of a list, newest recordings first.
type Page struct {
	Rows []Row
	More bool // there are older ones
}

// Row is a recording in a list, or why it cannot be shown.
type Row struct {
	ID        string
	Recording document.Recording
	Err       error
	// Cursor leads to the recordings behind this one.
	Cursor string
}

// The index has a folder for every recording, once in its room and once with its participant. The folder's name begins
// with a number that is the smaller the newer the recording is, so that the bucket itself lists the newest first. In
// the folder lies an object without content, whose name says where the document is, or that nobody has named it yet.

func roomIndex(room string) string {
	return path.Join(".recordings", "rooms", document.Segment(room)) + "/"
}

func participantIndex(room, participant string) string {
	return path.Join(".recordings", "participants", document.Segment(room), document.Segment(participant)) + "/"
}

// endOfTime is the greatest time that has a place in the index, in milliseconds: in the year 2286.
const endOfTime = 9_999_999_999_999

// place is the name of a recording's folder in the index.
func place(r document.Recording) string {
	newestFirst := endOfTime - min(max(r.RequestedAt.UnixMilli(), 0), endOfTime)
	return fmt.Sprintf("%013d-%s", newestFirst, r.ID)
}

// unnamedMark is in the folder of a recording that may have no name yet. No part of a file's name begins with a dot.
const unnamedMark = ".unnamed"

// indexed puts a recording into the index: as one that has no name yet, or with its document's place.
func (d Documents) indexed(ctx context.Context, r document.Recording) error {
	name := unnamedMark
	if r.File != "" {
		name = DocumentKey(r.File)
	}

	var both errgroup.Group
	for _, index := range []string{roomIndex(r.Room), participantIndex(r.Room, r.Participant)} {
		key := index + place(r) + "/" + name
		if len(key) > maxIndexName {
			key = index + place(r) + "/" + unnamedMark
		}
		both.Go(func() error { return d.putNew(ctx, key, struct{}{}) })
	}
	return both.Wait()
}

// List reads a page of the recordings of a room, or of one participant in it (participant empty: of all): those behind
// a cursor, or the newest ones if it is empty. It takes one call for the page, and one for each recording, or two if
// its name is new or very long. [ErrCursor] says that the cursor is none.
func (d Documents) List(ctx context.Context, room, participant, cursor string, limit int) (Page, error) {
	index := roomIndex(room)
	if participant != "" {
		index = participantIndex(room, participant)
	}
	after := ""
	if cursor != "" {
		folder, err := folderOf(cursor)
		if err != nil {
			return Page{}, err
		}
		after = index + folder + "0" // the byte behind the slash: behind everything in the folder
	}

	limit = min(max(limit, 1), MaxPage)
	keys, err := d.Store.List(ctx, index, after, 2*limit+1) // one more, to know whether there are more
	if err != nil {
		return Page{}, err
	}

	rows, documents := rowsOf(index, keys)
	page := Page{Rows: rows[:min(limit, len(rows))], More: len(rows) > limit}
	return page, d.fill(ctx, page.Rows, documents)
}

// rowsOf makes rows of the names in an index, and says where the documents of recordings are, by id.
func rowsOf(index string, keys []string) (rows []Row, documents map[string]string) {
	documents = map[string]string{}
	for _, key := range keys {
		folder, name, _ := strings.Cut(strings.TrimPrefix(key, index), "/")
		_, id, ok := strings.Cut(folder, "-")
		if !ok {
			continue // nothing that the ledger has written
		}
		if len(rows) == 0 || rows[len(rows)-1].ID != id {
			rows = append(rows, Row{ID: id, Cursor: base64.RawURLEncoding.EncodeToString([]byte(folder))})
		}
		if name != unnamedMark {
			documents[id] = name
		}
	}
	return rows, documents
}

var folders = regexp.MustCompile(`^[0-9]{13}-[0-9A-Za-z_-]{1,64}$`)

// folderOf is the folder in the index behind which a cursor's page begins.
func folderOf(cursor string) (string, error) {
	folder, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !folders.Match(folder) {
		return "", ErrCursor
	}
	return string(folder), nil
}

// fill reads the documents of a page, several at once. What is wrong with one of them is said in its row; an error is
// one of the bucket.
func (d Documents) fill(ctx context.Context, rows []Row, documents map[string]string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for n := range rows {
		g.Go(func() error {
			row := &rows[n]
			row.Recording, row.Err = d.of(ctx, row.ID, documents[row.ID])
			if Unreadable(row.Err) {
				return nil
			}
			return row.Err
		})
	}
	return g.Wait()
}

// Unreadable says of an error that it is of one document, and comes again whenever that is read.
func Unreadable(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoDocument) || errors.Is(err, ErrCorrupt)
}

// of reads the document of a recording that lies there, as far as the index knows.
func (d Documents) of(ctx context.Context, id, where string) (document.Recording, error) {
	if where == "" {
		return d.ByID(ctx, id)
	}
	recording, err := d.at(ctx, where)
	if err == nil && recording.ID != id {
		return recording, fmt.Errorf("read %s: it is not of %s: %w", where, id, ErrNoDocument)
	}
	return recording, err
}
