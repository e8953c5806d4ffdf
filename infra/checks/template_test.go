package checks

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/template"
)

// examiner looks at the template as it is deployed with some parameters, and collects what is wrong with it.
type examiner struct {
	*template.Deployment
	findings []string
}

func (e *examiner) finding(format string, args ...any) {
	e.findings = append(e.findings, fmt.Sprintf(format, args...))
}

// want finds fault with a value that is not the wanted one.
func (e *examiner) want(what string, value, wanted any) {
	if fmt.Sprint(value) != fmt.Sprint(wanted) {
		e.finding("%s is %v, not %v", what, value, wanted)
	}
}

// between finds fault with what is no number, or none in a range.
func (e *examiner) between(what string, value any, least, most int) int {
	n, err := strconv.Atoi(fmt.Sprint(value))
	if err != nil || n < least || n > most {
		e.finding("%s is %v, not from %d to %d", what, value, least, most)
	}
	return n
}

// properties are those of a resource. That it is missing is a fault.
func (e *examiner) properties(name string) template.Node {
	properties, err := e.Properties(name)
	if err != nil {
		e.finding("%v", err)
	} else if properties == nil {
		e.finding("there is no resource %s", name)
	}
	return properties
}

// of are the resources of a type that this deployment has, in order.
func (e *examiner) of(kind string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(e.Section("Resources"))) {
		there, err := e.Has(name)
		if err != nil {
			e.finding("%v", err)
		}
		if there && e.Resource(name)["Type"] == kind {
			names = append(names, name)
		}
	}
	return names
}

// at follows names and numbers into a value; nil if they lead nowhere.
func at(value any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			n, _ := value.(template.Node)
			value = n[s]
		case int:
			list, _ := value.([]any)
			if s >= len(list) {
				return nil
			}
			value = list[s]
		}
	}
	return value
}

func items(value any) []any {
	list, _ := value.([]any)
	return list
}

// pairs reads a list of maps with a name and a value each, such as a container's environment or a metric's dimensions.
func pairs(value any) map[string]string {
	all := map[string]string{}
	for _, item := range items(value) {
		all[fmt.Sprint(at(item, "Name"))] = fmt.Sprint(at(item, "Value"))
	}
	return all
}

// checks are all of them, by name. Each looks at one thing that an operator, or somebody who changes the template, may
// get wrong.
var checks = map[string]func(*examiner){
	"alarms":      checkAlarms,
	"api":         checkAPI,
	"bucket":      checkBucket,
	"builds":      checkBuilds,
	"capacity":    checkCapacity,
	"dashboard":   checkDashboard,
	"environment": checkEnvironment,
	"events":      checkEvents,
	"health":      checkHealth,
	"lifecycle":   checkLifecycle,
	"logs":        checkLogs,
	"network":     checkNetwork,
	"parameters":  checkParameters,
	"permissions": checkPermissions,
	"queues":      checkQueues,
	"references":  checkReferences,
	"roles":       checkRoles,
	"schema":      checkSchema,
	"scratch":     checkScratch,
	"stopping":    checkStopping,
	"variables":   checkVariables,
}

const (
	secretARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:livekit-AbCdEf"
	keyARN    = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
)

// ways are parameters with which the template may be deployed: as it comes, and with every condition the other way.
func ways() map[string]map[string]string {
	required := map[string]string{
		"LiveKitUrl":       "wss://livekit.example.com",
		"LiveKitSecretArn": secretARN,
		"RecorderVersion":  "v1.2.3",
		"VpcId":            "vpc-1",
		"SubnetIds":        "subnet-1,subnet-2",
	}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(required)
		maps.Copy(all, more)
		return all
	}
	return map[string]map[string]string{
		"as it comes": required,
		"everything else": with(map[string]string{
			"ExistingBucket":      "videos",
			"BucketRegion":        "us-west-2",
			"S3Directory":         "",
			"KmsKeyArn":           keyARN,
			"LiveKitSecretArn":    strings.Replace(secretARN, "eu-central-1", "us-east-1", 1),
			"LiveKitSecretKeyArn": keyARN + "6",
			"EventBus":            "none",
			"AlarmEmail":          "ops@example.com",
			"MinRecorders":        "0",
			"RecorderSize":        "4vCPU-8GB",
			"SpotShare":           "75",
			"AssignPublicIp":      "DISABLED",
			"WebhookUrls":         "https://one.example.com/a,https://two.example.com/b",
		}),
		"new bucket at its top": with(map[string]string{
			"S3Directory":   "",
			"BucketRegion":  "us-west-2", // means nothing: a new bucket is where the stack is
			"KmsKeyArn":     keyARN,
			"RetentionDays": "45",
			"RecorderSize":  "0.5vCPU-1GB",
		}),
		"retention": with(map[string]string{
			"S3Directory":   "a/b",
			"RetentionDays": "45",
			"RecorderSize":  "2vCPU-4GB",
			"SpotShare":     "50",
		}),
	}
}

// examine plays a check with the template deployed in all ways, and returns what it has found.
func examine(t *testing.T, tree *template.Template, name string) (found []string) {
	t.Helper()
	require.Contains(t, checks, name)

	for way, parameters := range ways() {
		d, err := tree.Deploy(parameters)
		require.NoError(t, err)
		e := &examiner{Deployment: d}
		checks[name](e)
		for _, finding := range e.findings {
			found = append(found, way+": "+finding)
		}
	}
	return found
}

func TestTemplateIsSound(t *testing.T) {
	tree, err := template.Read(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)

	for name := range checks {
		for _, finding := range examine(t, tree, name) {
			t.Errorf("%s: %s", name, finding)
		}
	}
}

// contents remembers what has been read: each of many mutants asks for the same.
var contents = map[string]string{}

func remembered(key string, read func() string) string {
	content, ok := contents[key]
	if !ok {
		content = read()
		contents[key] = content
	}
	return content
}

// source is a file of the repository, as checks need it: what cannot be read is empty, and found to be wrong.
func source(path ...string) string {
	return remembered(filepath.Join(path...), func() string {
		content, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			return ""
		}
		return string(content)
	})
}

// programs are the Go sources below folders, tests left out.
func programs(folders ...string) string {
	return remembered("programs in "+strings.Join(folders, ", "), func() string {
		var all strings.Builder
		for _, folder := range folders {
			_ = filepath.WalkDir(filepath.Join(root, folder), func(path string, _ os.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
					content, _ := os.ReadFile(path) // what cannot be read has nothing that is looked for
					all.Write(content)
				}
				return nil
			})
		}
		return all.String()
	})
}
