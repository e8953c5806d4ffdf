package checks

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/template"
	"livekit-recorder/shared/command"
)

// The linter of CloudFormation knows more than all of the checks. It is not on every machine.
func TestLinterFindsNothing(t *testing.T) {
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed")
	}
	lint := exec.Command(linter, "template.yaml", filepath.Join("infra", "repository.yaml"))
	lint.Dir = root
	out, err := lint.CombinedOutput()
	require.NoError(t, err, "%s", out)

	translated := filepath.Join(t.TempDir(), "translated.json")
	out, err = exec.Command("python3", "translate.py", filepath.Join(root, "template.yaml")).Output()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(translated, out, 0o644))
	out, err = exec.Command(linter, translated).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// sam build runs this command (AWS Lambda Builders, custom make workflow), and packs what it leaves.
func TestFunctionIsBuiltAsSAMDoes(t *testing.T) {
	artifacts := t.TempDir()
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	build := exec.Command("make", "--makefile", filepath.Join(absolute, "Makefile"), "build-ApiFunction")
	build.Dir = absolute
	build.Env = append(os.Environ(), "ARTIFACTS_DIR="+artifacts)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	entries, err := os.ReadDir(artifacts)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "bootstrap", entries[0].Name())
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o111, "it can be run")

	program, err := elf.Open(filepath.Join(artifacts, "bootstrap"))
	require.NoError(t, err)
	defer program.Close()
	require.Equal(t, elf.EM_AARCH64, program.Machine)
	libraries, err := program.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries, "provided.al2023 need not have them")
}

// Every call of the SDK in the programs is one that the roles have been compared with, and the other way round.
func TestPermissionsAreOfWhatTheProgramsCall(t *testing.T) {
	tree, err := template.Read(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)

	listed := map[string]bool{}
	for _, parameters := range ways() {
		d, err := tree.Deploy(parameters)
		require.NoError(t, err)
		w := (&examiner{Deployment: d}).whereabouts()
		for _, u := range slices.Concat(w.recorderUses(), w.functionUses()) {
			if strings.Contains(u.operation, ".") {
				require.NotEmpty(t, template.Needs(u.operation), "%s", u.operation)
				listed[u.operation] = true
			}
		}
	}
	called := operationsOf(programs("recorder", "functions", "shared"))
	for _, operation := range called {
		require.True(t, listed[operation], "%s is called, and nobody has looked whether it is allowed", operation)
	}
	for operation := range listed {
		require.Contains(t, called, operation, "nobody calls it")
	}
}

// push runs infra/push.sh with programs in place of Docker and the AWS CLI, which say what they were asked.
func push(t *testing.T, architecture, repository, image string) (said string, calls string, err error) {
	t.Helper()
	directory := t.TempDir()
	log := filepath.Join(directory, "calls")
	for name, script := range map[string]string{
		"docker": `[ "$2" != inspect ] || { [ -n "` + architecture + `" ] && echo ` + architecture + `; }`,
		"aws": `case "$2" in describe-repositories) [ -n "` + repository + `" ] && echo ` + repository +
			`;; *) echo password;; esac`,
	} {
		body := "#!/bin/sh\necho " + name + " \"$@\" >>" + log + "\n" + script + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), []byte(body), 0o755))
	}

	cmd := exec.Command(filepath.Join(root, "infra", "push.sh"), image)
	cmd.Env = []string{"PATH=" + directory + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	asked, reading := os.ReadFile(log)
	require.NoError(t, reading)
	return string(out), string(asked), err
}

func TestPushTakesOnlyWhatTheTasksCanRun(t *testing.T) {
	const uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/participant-recorder"
	said, calls, err := push(t, "arm64", uri, "participant-recorder:v1.2.3")
	require.NoError(t, err, said)
	require.Contains(t, said, "RecorderVersion=v1.2.3\n")
	require.Contains(t, calls, "docker tag participant-recorder:v1.2.3 "+uri+":v1.2.3\ndocker push "+uri+":v1.2.3\n")
	require.Contains(t, calls, "docker login --username AWS --password-stdin "+strings.Split(uri, "/")[0]+"\n")

	for _, c := range []struct{ architecture, repository, image, why string }{
		{"amd64", uri, "participant-recorder:v1", "is for amd64, the tasks want arm64"},
		{"", uri, "participant-recorder:v1", "there is no participant-recorder:v1"},
		{"arm64", "", "participant-recorder:v1", "there is no ECR repository"},
		{"arm64", uri, "participant-recorder:abc1234-dirty", "in no commit"},
	} {
		said, calls, err := push(t, c.architecture, c.repository, c.image)
		require.Error(t, err)
		require.Contains(t, said, c.why)
		require.NotContains(t, calls, "docker push")
	}
}

// sam deploy --guided writes into samconfig.toml, after which the next version must still have its commit's name.
func TestAnswersOfADeploymentMakeNoVersionDirty(t *testing.T) {
	directory, run := released(t)
	for _, file := range []string{"Makefile", "samconfig.toml"} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, file), []byte(source(file)), 0o644))
	}
	commit(t, run)
	version := func() string {
		said, err := run("make", "--no-print-directory", "--eval", "version:; @echo $(VERSION)", "version")
		require.NoError(t, err, said)
		return strings.TrimSpace(said)
	}
	clean := version()
	require.Regexp(t, "^[0-9a-f]{7,}$", clean)

	change := func(file string) {
		require.NoError(t, os.WriteFile(filepath.Join(directory, file), []byte(source(file)+"\n# more\n"), 0o644))
	}
	change("samconfig.toml")
	require.Equal(t, clean, version())
	change("CHANGELOG.md")
	require.Equal(t, clean+"-dirty", version())
}

// The start that RUNBOOK.md makes of a document is one that recorders read.
func TestRunbookRestoresWithAStartThatRecordersRead(t *testing.T) {
	filter := regexp.MustCompile(`(?s)jq -c '(\{version: 1, action: "start".*?\})' > start.json`).
		FindStringSubmatch(source("infra", "RUNBOOK.md"))
	require.NotNil(t, filter)

	// The words of the filter, without jq, which is not on every machine.
	body := regexp.MustCompile(`\s+`).ReplaceAllString(filter[1], " ")
	for from, to := range map[string]string{
		`version:`:              `"version":`,
		`action:`:               `"action":`,
		`id: ("CM_" + .id)`:     `"id":"CM_RC_1"`,
		`recording: .id`:        `"recording":"RC_1"`,
		` room,`:                ` "room":"r",`,
		` participant,`:         ` "participant":"p",`,
		` requestedAt,`:         ` "requestedAt":"2026-01-02T03:04:05Z",`,
		`track: (.track // "")`: `"track":""`,
		`media: (.media // "")`: `"media":"av"`,
	} {
		require.Contains(t, body, from)
		body = strings.Replace(body, from, to, 1)
	}
	c, err := command.Decode(body)
	require.NoError(t, err, body)
	require.Equal(t, command.Start, c.Action)
	require.Equal(t, "RC_1", c.Recording)
}

// What the runbook looks for in logs and documents is what programs write.
func TestRunbookLooksForWhatIsWritten(t *testing.T) {
	written := programs("recorder", "functions", "shared")
	text := source("infra", "RUNBOOK.md")
	searched := regexp.MustCompile(`(?:grep|-e) ['"]([a-z][a-z' ]+ [a-z' ]+)['"]`)
	for _, quoted := range searched.FindAllStringSubmatch(text, -1) {
		require.Contains(t, written, quoted[1])
	}
	reason := regexp.MustCompile(`"([a-zA-Z]+ [a-zA-Z, ]+)"[,:]`)
	reasons := reason.FindAllStringSubmatch(section(text, "recordings-failed"), -1)
	require.Len(t, reasons, 7)
	for _, reason := range reasons {
		require.Contains(t, written, reason[1])
	}
	require.Contains(t, source("infra", "DEPLOYMENT.md"), "start received")
	require.Contains(t, written, "start received")
}

// The answers that SAM has in brackets must lead to a stack: see also [checkAPI].
func TestGuidedDeploymentGoesThroughAtItsDefaultAnswers(t *testing.T) {
	settings := source("samconfig.toml")
	require.Contains(t, settings, "confirm_changeset = false", "the question whether to deploy has no for its default")
	require.Contains(t, settings, `capabilities = "CAPABILITY_IAM"`)
	require.Contains(t, settings, "build_in_source = true")
	require.NotContains(t, source("template.yaml"), "RoleName:", "that would need CAPABILITY_NAMED_IAM")
	require.NotContains(t, source("template.yaml"), "NoEcho", "a value that is not shown has no default")
}

// DEPLOYMENT.md has the questions of `sam deploy --guided` in their order, which is that of the parameters.
func TestDeploymentAsksInOrder(t *testing.T) {
	text := source("infra", "DEPLOYMENT.md")
	at := 0
	for _, name := range regexp.MustCompile(`(?m)^  ([A-Z]\w+):\n    Type: (?:String|Number|List|AWS::EC2)`).
		FindAllStringSubmatch(strings.Split(source("template.yaml"), "\nResources:")[0], -1) {
		position := strings.Index(text[at:], name[1])
		if slices.Contains([]string{"LogRetentionDays", "ApiRateLimit", "RecordingsPerRecorder", "Headroom"}, name[1]) {
			continue // in the middle of a row that says: Enter
		}
		require.GreaterOrEqual(t, position, 0, "the question for %s is missing, or elsewhere", name[1])
		at += position
	}
	runbook := source("infra", "RUNBOOK.md")
	for _, anchor := range regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`).FindAllStringSubmatch(runbook, -1) {
		require.NotEmpty(t, section(runbook, anchor[1]), "there is no paragraph %s", anchor[1])
	}
}
