package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/template"
)

// schema is what AWS's own schemas say of a value, as schemas.py writes it.
type schema struct {
	Type       string
	Enum       []string
	Properties map[string]*schema
	Required   []string
	Items      *schema
	Minimum    *float64
	Maximum    *float64
}

func schemas() map[string]*schema {
	all := map[string]*schema{}
	// What is no JSON has no types, and each resource is found to have none.
	_ = json.Unmarshal([]byte(source("infra", "checks", "testdata", "resources.json")), &all)
	return all
}

// checkSchema: names of properties, values, and what must be there, by AWS's own word.
func checkSchema(e *examiner) {
	all := schemas()
	for _, name := range slices.Sorted(maps.Keys(e.Section("Resources"))) {
		kind := fmt.Sprint(e.Resource(name)["Type"])
		for key := range e.Resource(name) {
			known := []string{
				"Type", "Properties", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata", "DependsOn",
			}
			if !slices.Contains(known, key) {
				e.finding("%s has %s", name, key)
			}
		}
		properties, err := e.Properties(name)
		switch {
		case err != nil:
			e.finding("%v", err)
		case all[kind] == nil:
			e.finding("%s: nothing is known of %s: run infra/checks/schemas.py", name, kind)
		case properties != nil: // what has none, or is not part of this deployment
			e.fits(name, properties, all[kind])
		}
	}
}

// fits finds fault with a value that is not as its schema says.
func (e *examiner) fits(path string, value any, s *schema) {
	switch v := value.(type) {
	case template.Node:
		if s.Properties == nil {
			return // anything, such as a policy
		}
		for key, child := range v {
			if s.Properties[key] == nil {
				e.finding("%s has no property %s", path, key)
				continue
			}
			e.fits(path+"."+key, child, s.Properties[key])
		}
		for _, key := range s.Required {
			if v[key] == nil {
				e.finding("%s lacks %s", path, key)
			}
		}
	case []any:
		if s.Type != "" && s.Type != "array" {
			e.finding("%s is a list, not a %s", path, s.Type)
		}
		for n, item := range v {
			if s.Items != nil {
				e.fits(fmt.Sprintf("%s.%d", path, n), item, s.Items)
			}
		}
	default:
		e.fitsText(path, fmt.Sprint(value), s)
	}
}

func (e *examiner) fitsText(path, value string, s *schema) {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		e.finding("%s is %s, none of %v", path, value, s.Enum)
	}

	number, err := strconv.ParseFloat(value, 64)
	switch s.Type {
	case "boolean":
		err = nil
		if value != "true" && value != "false" {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
	case "integer":
		_, err = strconv.Atoi(value)
	case "array", "object":
		err = fmt.Errorf("%q is no %s", value, s.Type)
	case "number":
	default:
		return
	}
	if err != nil {
		e.finding("%s: %v", path, err)
	}
	if s.Minimum != nil && number < *s.Minimum || s.Maximum != nil && number > *s.Maximum {
		e.finding("%s is %s: out of range", path, value)
	}
}

// The repository's stack is small enough for its schema and two promises.
func TestRepositoryKeepsImages(t *testing.T) {
	tree, err := template.Read(filepath.Join(root, "infra", "repository.yaml"))
	require.NoError(t, err)
	d, err := tree.Deploy(nil)
	require.NoError(t, err)

	e := &examiner{Deployment: d}
	checkSchema(e)
	repository := e.properties("Repository")
	e.want("ImageTagMutability", repository["ImageTagMutability"], "IMMUTABLE")
	e.want("RepositoryName", repository["RepositoryName"], "participant-recorder")
	e.want("UpdateReplacePolicy", e.Resource("Repository")["UpdateReplacePolicy"], "Retain")
	var rules struct {
		Rules []struct{ Selection struct{ TagStatus string } }
	}
	policy := fmt.Sprint(at(repository, "LifecyclePolicy", "LifecyclePolicyText"))
	require.NoError(t, json.Unmarshal([]byte(policy), &rules))
	require.Len(t, rules.Rules, 1)
	e.want("which images expire", rules.Rules[0].Selection.TagStatus, "untagged")
	require.Empty(t, e.findings)
}
