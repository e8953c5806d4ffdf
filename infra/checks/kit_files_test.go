package checks

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// deployed is a container that one of these files starts.
type deployed struct {
	file, image string
	command     []string // program and arguments; the image's own program if there is none
	environment map[string]string
	paths       []string // mounted
	probes      []string // METHOD-less: ":port/path"
	grace       time.Duration
}

func (d deployed) String() string { return fmt.Sprintf("%s of %s", d.program(), d.file) }

// program is which of ours runs in it.
func (d deployed) program() string {
	if len(d.command) == 0 {
		return "recorder"
	}
	return filepath.Base(d.command[0])
}

// documents reads a file of one or several YAML documents.
func documents(t *testing.T, path ...string) (all []map[string]any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{root, "infra"}, path...)...))
	require.NoError(t, err)
	for part := range strings.SplitSeq(string(content), "\n---\n") {
		var document map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(part), &document))
		all = append(all, document)
	}
	return all
}

// get follows names and indices into a value; nil where there is nothing.
func get(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := value.(map[string]any)
			value = m[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

func texts(value any) (all []string) {
	list, _ := value.([]any)
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// composed are our containers of infra/compose.yaml.
func composed(t *testing.T) (all []deployed) {
	t.Helper()
	services := documents(t, "compose.yaml")[0]["services"].(map[string]any)
	for _, name := range []string{"api", "recorder"} {
		service := services[name]
		d := deployed{
			file:        "infra/compose.yaml",
			image:       get(service, "build", "target").(string),
			command:     slices.Concat(texts(get(service, "entrypoint")), texts(get(service, "command"))),
			environment: map[string]string{},
			probes:      []string{strings.Join(texts(get(service, "healthcheck", "test")), " ")},
		}
		for key, value := range get(service, "environment").(map[string]any) {
			d.environment[key] = fmt.Sprint(value)
		}
		for _, volume := range texts(get(service, "volumes")) {
			d.paths = append(d.paths, strings.Split(volume, ":")[1])
		}
		var err error
		d.grace, err = time.ParseDuration(get(service, "stop_grace_period").(string))
		require.NoError(t, err)
		all = append(all, d)
	}
	return all
}

// clustered are our containers of infra/kubernetes.
func clustered(t *testing.T) (all []deployed) {
	t.Helper()
	shared := map[string]string{}
	for key, value := range get(documents(t, "kubernetes", "settings.yaml")[0], "data").(map[string]any) {
		shared[key] = fmt.Sprint(value)
	}
	for _, secret := range documents(t, "kubernetes", "secret.yaml") {
		for key, value := range get(secret, "stringData").(map[string]any) {
			shared[key] = fmt.Sprint(value)
		}
	}

	for _, file := range []string{"api.yaml", "recorder.yaml"} {
		for _, object := range documents(t, "kubernetes", file) {
			if object["kind"] != "Deployment" {
				continue
			}
			pod := get(object, "spec", "template", "spec")
			container := get(pod, "containers", 0)
			d := deployed{
				file:        "infra/kubernetes/" + file,
				image:       get(container, "image").(string),
				command:     texts(get(container, "command")),
				environment: maps.Clone(shared),
				grace:       30 * time.Second, // Kubernetes' default
			}
			for n := 0; get(container, "env", n) != nil; n++ {
				d.environment[get(container, "env", n, "name").(string)] = fmt.Sprint(get(container, "env", n, "value"))
			}
			for n := 0; get(container, "volumeMounts", n) != nil; n++ {
				d.paths = append(d.paths, get(container, "volumeMounts", n, "mountPath").(string))
			}
			ports := map[any]any{}
			for n := 0; get(container, "ports", n) != nil; n++ {
				ports[get(container, "ports", n, "name")] = get(container, "ports", n, "containerPort")
			}
			for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
				if ask := get(container, probe, "httpGet"); ask != nil {
					d.probes = append(d.probes, fmt.Sprintf(":%v%v", ports[get(ask, "port")], get(ask, "path")))
				}
			}
			if seconds, ok := get(pod, "terminationGracePeriodSeconds").(int); ok {
				d.grace = time.Duration(seconds) * time.Second
			}
			all = append(all, d)
		}
	}
	return all
}

// sourceOf is the source of the packages that read a program's environment.
func sourceOf(t *testing.T, program string) string {
	t.Helper()
	folders := map[string][]string{
		"recorder": {"recorder", "shared/keys"},
		"api":      {"functions/environment", "functions/server", "shared/keys"},
	}[program]
	require.NotEmpty(t, folders, "there is no program %s", program)
	var source strings.Builder
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			source.Write(content)
		}
	}
	return source.String()
}

// stage is what one stage of the Dockerfile ends with.
type stage struct{ name, text string }

func stages(t *testing.T) (all []stage) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	name := regexp.MustCompile(`(?m)^FROM .* AS (\S+)$`)
	text := string(content)
	for _, at := range name.FindAllStringSubmatchIndex(text, -1) {
		end := len(text)
		if next := strings.Index(text[at[1]:], "\nFROM "); next >= 0 {
			end = at[1] + next
		}
		all = append(all, stage{text[at[2]:at[3]], text[at[1]:end]})
	}
	require.NotEmpty(t, all)
	return all
}
