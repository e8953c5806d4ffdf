package checks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What infra/compose.yaml and infra/kubernetes say is compared with the programs and the image. Whether they are of
// their specifications is checked by infra/schemas.

// ofTheSDK are variables that the AWS SDK reads (AWS SDKs and Tools reference guide, "Settings reference").
var ofTheSDK = []string{
	"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS",
	"AWS_EC2_METADATA_DISABLED",
}

func TestVariablesOfTheKitAreRead(t *testing.T) {
	kit := slices.Concat(composed(t), clustered(t))
	require.Len(t, kit, 4)
	everything := sourceOf(t, "recorder") + sourceOf(t, "api")
	for _, d := range kit {
		own := sourceOf(t, d.program())
		for name := range d.environment {
			if slices.Contains(ofTheSDK, name) {
				continue
			}
			// The ConfigMap is for both: what only the other program reads does no harm.
			source := own
			if strings.HasPrefix(d.file, "infra/kubernetes") {
				source = everything
			}
			if !strings.Contains(source, `"`+name+`"`) {
				t.Errorf("%s sets %s, which nobody reads", d, name)
			}
		}
	}
}

// Whatever a program refuses to start without is set.
func TestRequiredVariablesAreSet(t *testing.T) {
	required := regexp.MustCompile(`required\("(\w+)"\)`)
	for _, d := range slices.Concat(composed(t), clustered(t)) {
		found := required.FindAllStringSubmatch(sourceOf(t, d.program()), -1)
		require.NotEmpty(t, found)
		for _, match := range found {
			require.NotEmpty(t, d.environment[match[1]], "%s needs %s", d, match[1])
		}
		for _, name := range []string{"LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"} {
			require.NotEmpty(t, d.environment[name], "%s needs %s", d, name)
		}
	}
}

// usualStop is STOP_TIMEOUT unless it is set.
const usualStop = 110 * time.Second

func TestRecordersHaveTimeToStop(t *testing.T) {
	for _, d := range slices.Concat(composed(t), clustered(t)) {
		if d.program() == "recorder" {
			require.Empty(t, d.environment["STOP_TIMEOUT"])
			require.GreaterOrEqual(t, d.grace, usualStop+10*time.Second, "%s", d)
		}
	}
	require.True(t, strings.Contains(sourceOf(t, "recorder"), `r.duration("STOP_TIMEOUT", 110*time.Second`))
}

func TestProbesAskWhatAnswers(t *testing.T) {
	for _, d := range slices.Concat(composed(t), clustered(t)) {
		require.NotEmpty(t, d.probes, "%s", d)
		for _, probe := range d.probes {
			if d.file == "infra/compose.yaml" {
				require.Equal(t, "CMD /usr/local/bin/"+d.program()+" health", probe)
				continue
			}
			answers := map[string][]string{
				// Not /readyz: a recorder that is full is killed for it, or removed first.
				"recorder": {d.environment["METRICS_ADDR"] + "/healthz"},
				"api":      {d.environment["LISTEN_ADDR"] + "/health", d.environment["LISTEN_ADDR"] + "/openapi.yaml"},
			}[d.program()]
			require.Contains(t, answers, probe, "%s", d)
		}
	}
	// Of pods that are not ready Kubernetes removes those first: a full recorder must not be one.
	for _, object := range documents(t, "kubernetes", "recorder.yaml") {
		if object["kind"] == "Deployment" {
			ask := get(object, "spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet", "path")
			require.Equal(t, "/healthz", ask)
			require.Nil(t, get(object, "spec", "replicas"), "scaling.yaml has the number")
		}
	}
}

func TestImageHasWhatIsStarted(t *testing.T) {
	built := stages(t)
	last := built[len(built)-1]
	require.Equal(t, "participant-recorder", last.name, "what is built unless something else is asked for")

	for _, d := range slices.Concat(composed(t), clustered(t)) {
		require.Equal(t, last.name, d.image)
		if len(d.command) > 0 {
			require.Contains(t, last.text, " "+d.command[0]+"\n", "%s", d)
		}
		for _, path := range d.paths {
			require.Contains(t, last.text, "VOLUME "+path+"\n", "%s", d)
			require.Contains(t, last.text, "SCRATCH_DIR="+path+" ", "%s", d)
		}
		if d.program() == "recorder" {
			require.NotEmpty(t, d.paths, "%s has a scratch volume", d)
		}
	}
	template, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`/usr/local/bin/\w+`).FindAllString(string(template), -1) {
		require.Contains(t, last.text, " "+match+"\n", "template.yaml runs it")
	}
	for _, label := range []string{"title", "description", "licenses", "version", "revision", "created", "source"} {
		require.Contains(t, last.text, "org.opencontainers.image."+label+"=")
	}
	require.Contains(t, last.text, "USER 65532:65532")
}

// Nothing is emulated: what builds runs on the machine that builds.
func TestImageIsCrossCompiled(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	for _, line := range regexp.MustCompile(`(?m)^FROM .*$`).FindAllString(string(content), -1) {
		if strings.Contains(line, "FROM scratch") || strings.Contains(line, "FROM programs") {
			continue
		}
		require.Contains(t, line, "--platform=$BUILDPLATFORM")
	}
	require.Equal(t, 1, strings.Count(string(content), "GOARCH=$TARGETARCH"))
	require.Contains(t, string(content), "build.sh /build/ffmpeg $TARGETARCH")
}

func TestImagesOfOthersHaveVersions(t *testing.T) {
	for name, service := range documents(t, "compose.yaml")[0]["services"].(map[string]any) {
		image := fmt.Sprint(get(service, "image"))
		require.Regexp(t, `^(participant-recorder(-queues)?:\$\{VERSION:-local\}|[a-z/-]+:v?\d+(\.\d+)+)$`, image, name)
	}
	tools, err := os.ReadFile(filepath.Join(root, "infra", "tools.sh"))
	require.NoError(t, err)
	for image, tool := range map[string]string{
		"livekit/livekit-server": "livekit/livekit-server/cmd/server",
		"versity/versitygw":      "versity/versitygw/cmd/versitygw",
	} {
		tested := regexp.MustCompile(regexp.QuoteMeta(tool) + ` (v[\d.]+)`).FindSubmatch(tools)
		require.NotNil(t, tested)
		compose, err := os.ReadFile(filepath.Join(root, "infra", "compose.yaml"))
		require.NoError(t, err)
		require.Contains(t, string(compose), image+":"+string(tested[1])+"\n", "the version that the suite has tested")
	}
}

// Three quarters of what a recorder takes, as in template.yaml: the rest is for the time until another one is there.
func TestScalingFitsTheRecorder(t *testing.T) {
	var scaled map[string]any
	for _, object := range documents(t, "kubernetes", "scaling.yaml") {
		if object["kind"] == "ScaledObject" {
			scaled = object
		}
	}
	trigger := get(scaled, "spec", "triggers", 0, "metadata")
	require.Equal(t, "true", get(trigger, "scaleOnInFlight"), "a start is in flight while its recording runs")
	require.Equal(t, "START_QUEUE_URL", get(trigger, "queueURLFromEnv"))
	for _, d := range clustered(t) {
		if d.program() == "recorder" {
			require.Equal(t, "recorder", get(scaled, "spec", "scaleTargetRef", "name"))
			most, err1 := strconv.Atoi(d.environment["MAX_RECORDINGS"])
			wanted, err2 := strconv.Atoi(get(trigger, "queueLength").(string))
			require.NoError(t, errors.Join(err1, err2))
			require.Equal(t, most*3/4, wanted)
			require.Equal(t, d.environment["AWS_REGION"], get(trigger, "awsRegion"))
		}
	}
}
