package schemas

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	compose "github.com/compose-spec/compose-go/v2/types"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// refuses checks that a check finds what is wrong: a check that takes anything checks nothing.
func refuses(t *testing.T, content []byte, check func([]byte) error, mistakes map[string]string) {
	t.Helper()
	if err := check(content); err != nil {
		t.Fatal(err)
	}
	for right, wrong := range mistakes {
		if !bytes.Contains(content, []byte(right)) {
			t.Fatalf("there is no %q to get wrong", right)
		}
		if check(bytes.Replace(content, []byte(right), []byte(wrong), 1)) == nil {
			t.Errorf("%q instead of %q is not found", wrong, right)
		}
	}
}

func TestDescriptionOfTheAPIIsOpenAPI(t *testing.T) {
	check := func(content []byte) error {
		description, err := openapi3.NewLoader().LoadFromData(content)
		if err != nil {
			return err
		}
		return description.Validate(context.Background())
	}
	refuses(t, read(t, "openapi.yaml"), check, map[string]string{
		"operationId: getHealth":            "operationId: getRecording",
		"in: path":                          "in: nowhere",
		"#/components/responses/NotFound":   "#/components/responses/Nowhere",
		"- name: id\n          in: path":    "- name: identity\n          in: path",
		"description: It will be recorded.": "summary: It will be recorded.",
	})
}

func TestComposeFileIsOfTheSpecification(t *testing.T) {
	check := func(content []byte) error {
		_, err := loader.LoadWithContext(context.Background(), compose.ConfigDetails{
			WorkingDir:  filepath.Join("..", "..", "infra"),
			ConfigFiles: []compose.ConfigFile{{Filename: "compose.yaml", Content: content}},
			Environment: compose.Mapping{"LIVEKIT_API_SECRET": "x", "S3_SECRET_KEY": "x"},
		}, func(o *loader.Options) { o.SetProjectName("participant-recorder", true) })
		return err
	}
	refuses(t, read(t, "infra", "compose.yaml"), check, map[string]string{
		"stop_grace_period: 120s":             "stop_grace_time: 120s",
		"network_mode: service:livekit":       "network_mode: service:nobody",
		"condition: service_healthy":          "condition: service_well",
		"- scratch:/scratch":                  "- scrotch:/scratch",
		"LIVEKIT_API_SECRET:?set":             "SOMETHING_ELSE:?set",
		"\"${LISTEN_IP:-127.0.0.1}:7880:7880": "\"${LISTEN_IP:-127.0.0.1}:7880:78800",
	})
}

// scaledObject has those fields of KEDA's object that the example uses (KEDA documentation, "ScaledObject specification"
// and "AWS SQS Queue"). KEDA's own module would bring Kubernetes' whole client with it.
type scaledObject struct {
	meta.TypeMeta
	meta.ObjectMeta `json:"metadata"`

	Spec struct {
		ScaleTargetRef  struct{ Name string } `json:"scaleTargetRef"`
		MinReplicaCount int32                 `json:"minReplicaCount"`
		MaxReplicaCount int32                 `json:"maxReplicaCount"`
		PollingInterval int32                 `json:"pollingInterval"`
		Advanced        struct {
			HPA struct {
				Behavior autoscaling.HorizontalPodAutoscalerBehavior `json:"behavior"`
			} `json:"horizontalPodAutoscalerConfig"`
		} `json:"advanced"`
		Triggers []struct {
			Type              string                `json:"type"`
			AuthenticationRef struct{ Name string } `json:"authenticationRef"`
			Metadata          struct {
				QueueURLFromEnv string `json:"queueURLFromEnv"`
				QueueLength     string `json:"queueLength"`
				ScaleOnInFlight string `json:"scaleOnInFlight"`
				AWSRegion       string `json:"awsRegion"`
				AWSEndpoint     string `json:"awsEndpoint"`
			} `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// triggerAuthentication is the same of another object.
type triggerAuthentication struct {
	meta.TypeMeta
	meta.ObjectMeta `json:"metadata"`

	Spec struct {
		SecretTargetRef []struct{ Parameter, Name, Key string } `json:"secretTargetRef"`
	} `json:"spec"`
}

// kinds are the objects that the example has.
var kinds = map[string]func() any{
	"v1 Namespace":                                  func() any { return &core.Namespace{} },
	"v1 ConfigMap":                                  func() any { return &core.ConfigMap{} },
	"v1 Secret":                                     func() any { return &core.Secret{} },
	"v1 ServiceAccount":                             func() any { return &core.ServiceAccount{} },
	"v1 Service":                                    func() any { return &core.Service{} },
	"apps/v1 Deployment":                            func() any { return &apps.Deployment{} },
	"networking.k8s.io/v1 Ingress":                  func() any { return &networking.Ingress{} },
	"policy/v1 PodDisruptionBudget":                 func() any { return &policy.PodDisruptionBudget{} },
	"keda.sh/v1alpha1 ScaledObject":                 func() any { return &scaledObject{} },
	"keda.sh/v1alpha1 TriggerAuthentication":        func() any { return &triggerAuthentication{} },
	"kustomize.config.k8s.io/v1beta1 Kustomization": func() any { return &kustomize.Kustomization{} },
}

// decode decodes every object of a file, of which no field may be unknown.
func decode(content []byte) error {
	for n, text := range strings.Split(string(content), "\n---\n") {
		var kind struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
			return fmt.Errorf("object %d: %w", n+1, err)
		}
		make, ok := kinds[kind.APIVersion+" "+kind.Kind]
		if !ok {
			return fmt.Errorf("object %d: there is no kind %s %s", n+1, kind.APIVersion, kind.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(text), make()); err != nil {
			return fmt.Errorf("object %d: %w", n+1, err)
		}
	}
	return nil
}

func TestManifestsAreOfKubernetesOwnTypes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "kubernetes", "*.yaml"))
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if err := decode(read(t, "infra", "kubernetes", filepath.Base(file))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}

	refuses(t, read(t, "infra", "kubernetes", "recorder.yaml"), decode, map[string]string{
		"terminationGracePeriodSeconds": "terminationGraceSeconds",
		"startupProbe":                  "startProbe",
		"emptyDir: {sizeLimit: 50Gi}":   "emptyDir: {sizeLimit: 50GiB}",
		"policy/v1":                     "policy/v1beta1",
	})
	refuses(t, read(t, "infra", "kubernetes", "scaling.yaml"), decode, map[string]string{
		"maxReplicaCount":   "maxReplicas",
		"scaleDown":         "scaleIn",
		"authenticationRef": "authentication",
	})
}

func TestDockerfileIsOfBuildKit(t *testing.T) {
	check := func(content []byte) error {
		parsed, err := parser.Parse(bytes.NewReader(content))
		if err != nil {
			return err
		}
		stages, _, err := instructions.Parse(parsed.AST, nil)
		if err != nil {
			return err
		}
		for _, stage := range stages {
			for _, command := range stage.Commands {
				c, ok := command.(*instructions.CopyCommand)
				if !ok || c.From == "" {
					continue
				}
				if _, there := instructions.HasStage(stages, c.From); !there {
					return fmt.Errorf("it copies from %s, which is no stage", c.From)
				}
			}
		}
		return nil
	}
	refuses(t, read(t, "Dockerfile"), check, map[string]string{
		"--from=ffmpeg":                       "--from=ffmepg",
		"COPY shared shared":                  "COPIES shared shared",
		"ENTRYPOINT [\"/usr/local/bin/queues": "ENTRYPOINTS [\"/usr/local/bin/queues",
		"--chown=65532:65532 /build/data":     "--chwon=65532:65532 /build/data",
		"EXPOSE 9324":                         "EXPOSE",
	})
}
