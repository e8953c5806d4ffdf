package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// What the compiler calls the description.
const openapi = "urn:openapi"

// description is an OpenAPI description, and what compiles its schemas.
type description struct {
	content  map[string]any
	compiler *jsonschema.Compiler
}

// New reads an OpenAPI description and the schema of documents.
func New(openapiYAML, documentSchema []byte) (*Contract, error) {
	d, err := read(openapiYAML)
	if err != nil {
		return nil, fmt.Errorf("read OpenAPI description: %w", err)
	}
	c := &Contract{}
	if c.document, err = compileDocument(documentSchema); err != nil {
		return nil, fmt.Errorf("read schema of documents: %w", err)
	}

	for name, schema := range map[string]**jsonschema.Schema{
		"Error":       &c.problem,
		"Notice":      &c.notice,
		"StateChange": &c.event,
	} {
		if *schema, err = d.compile("components", "schemas", name); err != nil {
			return nil, err
		}
	}

	for path, item := range object(d.content["paths"]) {
		r := route{segments: strings.Split(path, "/"), methods: map[string]responses{}}
		for method := range object(item) {
			if r.methods[strings.ToUpper(method)], err = d.responses(path, method); err != nil {
				return nil, err
			}
		}
		c.routes = append(c.routes, r)
	}
	if len(c.routes) == 0 {
		return nil, errors.New("read OpenAPI description: it has no paths")
	}
	return c, nil
}

// read reads YAML as if it were JSON.
func read(text []byte) (description, error) {
	var parsed map[string]any
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return description{}, err
	}
	encoded, err := json.Marshal(parsed)
	if err != nil {
		return description{}, err
	}
	content, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return description{}, err
	}

	compiler := newCompiler()
	return description{object(content), compiler}, compiler.AddResource(openapi, content)
}

// newCompiler is for JSON Schema as OpenAPI 3.1 has it; times must be times.
func newCompiler() *jsonschema.Compiler {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	return compiler
}

func compileDocument(text []byte) (*jsonschema.Schema, error) {
	const name = "urn:document"
	content, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := newCompiler()
	if err := compiler.AddResource(name, content); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// compile compiles the schema at a place of the description.
func (d description) compile(place ...string) (*jsonschema.Schema, error) {
	schema, err := d.compiler.Compile(openapi + "#" + pointer(place...))
	if err != nil {
		return nil, fmt.Errorf("compile %s of openapi.yaml: %w", strings.Join(place, " "), err)
	}
	return schema, nil
}

// responses compiles what an operation may answer.
func (d description) responses(path, method string) (responses, error) {
	all := responses{}
	operation := object(object(object(d.content["paths"])[path])[method])
	for status, response := range object(operation["responses"]) {
		place := []string{"paths", path, method, "responses", status}
		if ref, ok := object(response)["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/components/responses/")
			place = []string{"components", "responses", name}
			response = object(object(d.content["components"])["responses"])[name]
		}

		all[status] = map[string]*jsonschema.Schema{}
		for media := range object(object(response)["content"]) {
			schema, err := d.compile(append(place, "content", media, "schema")...)
			if err != nil {
				return nil, err
			}
			all[status][media] = schema
		}
	}
	return all, nil
}

// object is a value as an object; what is none has no fields.
func object(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}

// pointer is a JSON pointer as the fragment of a URI (RFC 6901).
func pointer(place ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D")
	var p strings.Builder
	for _, name := range place {
		p.WriteString("/" + escape.Replace(name))
	}
	return p.String()
}
