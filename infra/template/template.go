// Package template reads template.yaml: what CloudFormation would make of it with given parameters, and what its roles
// allow. Tests of the template and the local system share it, so that what is tested is what is deployed.
package template

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// Node is a map of the template. Intrinsic functions are maps with one key, as in JSON: Ref, Condition, Fn::Sub and so
// on. All scalars are strings.
type Node = map[string]any

// Template is template.yaml as it is written.
type Template struct{ Tree Node }

// Read reads a template from a file.
func Read(path string) (*Template, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	return Parse(content)
}

// Parse reads a template.
func Parse(content []byte) (*Template, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	if len(document.Content) == 0 {
		return nil, errors.New("read template: it is empty")
	}
	tree, ok := plain(document.Content[0]).(Node)
	if !ok {
		return nil, errors.New("read template: it is no map")
	}
	return &Template{tree}, nil
}

// plain makes maps, lists and strings of YAML, and long forms of CloudFormation's short ones.
func plain(n *yaml.Node) any {
	var value any
	switch n.Kind {
	case yaml.MappingNode:
		m := Node{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		value = m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plain(item))
		}
		value = list
	default:
		value = n.Value
	}

	function, short := strings.CutPrefix(n.Tag, "!")
	if !short || strings.HasPrefix(function, "!") { // those of YAML itself begin with two
		return value
	}
	if function != "Ref" && function != "Condition" {
		function = "Fn::" + function
	}
	return Node{function: value}
}

// Section is a part of the template at its top, such as Parameters; empty if there is none.
func (t *Template) Section(name string) Node {
	section, _ := t.Tree[name].(Node)
	return section
}

// Resource is a resource as it is written; empty if there is none.
func (t *Template) Resource(name string) Node {
	resource, _ := t.Section("Resources")[name].(Node)
	return resource
}

// Walk visits every map of a value, with the names that lead to it.
func Walk(value any, visit func(path string, n Node)) { walk("", value, visit) }

func walk(path string, value any, visit func(path string, n Node)) {
	switch v := value.(type) {
	case Node:
		visit(path, v)
		for key, child := range v {
			walk(path+"/"+key, child, visit)
		}
	case []any:
		for n, child := range v {
			walk(fmt.Sprintf("%s/%d", path, n), child, visit)
		}
	}
}
