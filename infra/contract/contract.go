// Package contract checks what the service says against what it promises: answers of the API against openapi.yaml,
// and documents, notices and events against recording.schema.json. Nothing but tests and the local system use it.
package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Contract is what the service promises.
type Contract struct {
	routes   []route
	document *jsonschema.Schema
	problem  *jsonschema.Schema // the answer where there is no such route or method
	notice   *jsonschema.Schema
	event    *jsonschema.Schema
}

// route is a path of the description: "/recordings/{id}" in segments.
type route struct {
	segments []string
	methods  map[string]responses // by method, in upper case
}

// responses are schemas by status and media type.
type responses map[string]map[string]*jsonschema.Schema

// Answer checks what the API has answered to a request. The path is as it came, with its escapes.
func (c *Contract) Answer(method, path string, status int, header http.Header, body []byte) error {
	err := c.answer(method, path, status, header, body)
	if err != nil {
		return fmt.Errorf("%s %s was answered with %d, which openapi.yaml does not say: %w\n%s",
			method, path, status, err, excerpt(body))
	}
	return nil
}

func (c *Contract) answer(method, path string, status int, header http.Header, body []byte) error {
	found := c.find(path)
	switch {
	case found == nil && status == http.StatusNotFound:
		return conforms(c.problem, body)
	case found == nil:
		return errors.New("it has no such path")
	}

	operation, ok := found.methods[method]
	switch {
	case !ok && status == http.StatusMethodNotAllowed:
		if found.methods[header.Get("Allow")] == nil {
			return fmt.Errorf("the header Allow has %q", header.Get("Allow"))
		}
		return conforms(c.problem, body)
	case !ok:
		return errors.New("the path has no such method")
	}

	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("read content type: %w", err)
	}
	contents, ok := operation[strconv.Itoa(status)]
	if !ok {
		return errors.New("the operation has no such status")
	}
	schema, ok := contents[media]
	if !ok {
		return fmt.Errorf("the answer has no content of the type %s", media)
	}
	if media != "application/json" {
		return schema.Validate(string(body))
	}
	return conforms(schema, body)
}

// find looks for the path's route: what names its segments goes before what takes any.
func (c *Contract) find(path string) (found *route) {
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	variables := len(segments) + 1
	for n := range c.routes {
		if v, ok := c.routes[n].fits(segments); ok && v < variables {
			found, variables = &c.routes[n], v
		}
	}
	return found
}

// fits says whether a path is of this route, and how many of its segments are variable.
func (r route) fits(path []string) (variables int, ok bool) {
	if len(path) != len(r.segments) {
		return 0, false
	}
	for n, segment := range r.segments {
		switch {
		case strings.HasPrefix(segment, "{") && path[n] != "":
			variables++
		case segment != path[n]:
			return 0, false
		}
	}
	return variables, true
}

// Document checks a recording's document.
func (c *Contract) Document(body []byte) error { return broken("document", c.document, body) }

// Notice checks what was posted to a webhook.
func (c *Contract) Notice(body []byte) error { return broken("notice", c.notice, body) }

// Event checks what was put on an event bus: its detail is a document.
func (c *Contract) Event(source, detailType string, detail []byte) error {
	body, err := json.Marshal(map[string]any{
		"source":      source,
		"detail-type": detailType,
		"detail":      json.RawMessage(detail),
	})
	if err != nil {
		return fmt.Errorf("an event's detail is no JSON: %w\n%s", err, excerpt(detail))
	}
	return broken("event", c.event, body)
}

func broken(what string, schema *jsonschema.Schema, body []byte) error {
	if err := conforms(schema, body); err != nil {
		return fmt.Errorf("a %s is not as its schema says: %w\n%s", what, err, excerpt(body))
	}
	return nil
}

func conforms(schema *jsonschema.Schema, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	return schema.Validate(value)
}

// excerpt is as much of a body as can be read in a message.
func excerpt(body []byte) []byte { return body[:min(len(body), 4<<10)] }
