package checks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/awslabs/goformation/v7"
	"github.com/awslabs/goformation/v7/intrinsics"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"livekit-recorder/recorder/worker"
)

// node is a value of the template in which !Ref and the like have become maps, as in JSON.
type node = map[string]any

func readTemplate(t *testing.T) node {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal(content, &document))
	template, ok := plain(document.Content[0]).(node)
	require.True(t, ok)
	return template
}

func plain(n *yaml.Node) any {
	var value any
	switch n.Kind {
	case yaml.MappingNode:
		m := node{}
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
	if tag := strings.TrimPrefix(n.Tag, "!"); n.Tag != tag && !strings.HasPrefix(tag, "!") {
		return node{tag: value}
	}
	return value
}

// walk visits every map of a value.
func walk(value any, visit func(node)) {
	switch v := value.(type) {
	case node:
		visit(v)
		for _, child := range v {
			walk(child, visit)
		}
	case []any:
		for _, child := range v {
			walk(child, visit)
		}
	}
}

// A misspelt property or type fails here.
func TestTemplateHasOnlyKnownProperties(t *testing.T) {
	template, err := goformation.OpenWithOptions(filepath.Join(root, "template.yaml"), &intrinsics.ProcessorOptions{
		IntrinsicHandlerOverrides: map[string]intrinsics.IntrinsicHandler{},
	})
	require.NoError(t, err)
	require.NotEmpty(t, template.Resources)
}

func TestTemplatesReferencesLeadSomewhere(t *testing.T) {
	template := readTemplate(t)
	known := map[string]bool{}
	for _, section := range []string{"Parameters", "Resources"} {
		for name := range template[section].(node) {
			known[name] = true
		}
	}
	check := func(name string) {
		require.True(t, known[name] || strings.HasPrefix(name, "AWS::"), "reference to %s", name)
	}
	inText := regexp.MustCompile(`\$\{([A-Za-z0-9:]+)(\.[A-Za-z]+)?\}`)
	used := map[string]bool{}
	walk(template, func(n node) {
		if ref, ok := n["Ref"].(string); ok {
			check(ref)
			used[ref] = true
		}
		if get, ok := n["GetAtt"].(string); ok {
			check(strings.Split(get, ".")[0])
		}
		if text, ok := n["Sub"].(string); ok {
			for _, m := range inText.FindAllStringSubmatch(text, -1) {
				check(m[1])
				used[m[1]] = true
			}
		}
	})
	for name := range template["Parameters"].(node) {
		require.True(t, used[name], "parameter %s is not used", name)
	}
}

func TestTemplateKeepsItsPromises(t *testing.T) {
	resources := readTemplate(t)["Resources"].(node)
	properties := func(name string) node { return resources[name].(node)["Properties"].(node) }
	task := properties("RecorderTask")
	container := task["ContainerDefinitions"].([]any)[0].(node)
	stop, err := strconv.Atoi(container["StopTimeout"].(string))
	require.NoError(t, err)
	require.LessOrEqual(t, stop, 120, "Fargate's maximum")
	require.Equal(t, []string{"1024", "2048"}, []string{task["Cpu"].(string), task["Memory"].(string)},
		"a pair that Fargate has")
	require.Equal(t, "true", container["ReadonlyRootFilesystem"])
	function := properties("ApiFunction")
	text := fmt.Sprint(container, function)
	for _, name := range []string{"LIVEKIT_API_", "{{resolve:", "Secrets:"} {
		require.NotContains(t, text, name, "secrets are read from Secrets Manager at run time")
	}
	for flag, value := range properties("Bucket")["PublicAccessBlockConfiguration"].(node) {
		require.Equal(t, "true", value, flag)
	}
	require.NotEmpty(t, properties("Bucket")["BucketEncryption"])
	for _, queue := range []string{"StartQueue", "ControlQueue"} {
		receives := properties(queue)["RedrivePolicy"].(node)["maxReceiveCount"]
		require.Equal(t, strconv.Itoa(worker.MaxReceives), receives,
			"recorders give a start up at that receive, and not before")
	}
	require.Equal(t, "provided.al2023", function["Runtime"])
	require.Equal(t, []any{"arm64"}, function["Architectures"])
	walk(resources, func(n node) {
		if n["Effect"] == "Allow" && n["Principal"] == nil {
			require.NotEqual(t, "*", n["Resource"], "least privilege")
			require.NotContains(t, fmt.Sprint(n["Action"]), "*", "least privilege")
		}
	})
}

// Every variable that the template sets is one that a program reads.
func TestTemplateSetsOnlyVariablesThatAreRead(t *testing.T) {
	resources := readTemplate(t)["Resources"].(node)
	sources := map[string]string{}
	for _, directory := range []string{"recorder", "functions/environment"} {
		own, err := filepath.Glob(filepath.Join(root, directory, "*.go"))
		require.NoError(t, err)
		both, err := filepath.Glob(filepath.Join(root, "shared/keys/*.go"))
		require.NoError(t, err)
		for _, file := range slices.Concat(own, both) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			sources[directory] += string(content)
		}
	}
	container := resources["RecorderTask"].(node)["Properties"].(node)["ContainerDefinitions"].([]any)[0].(node)
	for _, item := range container["Environment"].([]any) {
		require.Contains(t, sources["recorder"], `"`+item.(node)["Name"].(string)+`"`)
	}
	for name := range resources["ApiFunction"].(node)["Properties"].(node)["Environment"].(node)["Variables"].(node) {
		require.Contains(t, sources["functions/environment"], `"`+name+`"`)
	}
}

// The linter of CloudFormation knows more than all of the above. It is not on every machine.
func TestLinterFindsNothing(t *testing.T) {
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed")
	}
	out, err := exec.Command(linter, filepath.Join(root, "template.yaml")).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
