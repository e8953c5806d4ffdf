package checks

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/functions/api"
	"livekit-recorder/infra/template"
)

// checkParameters: each has a description, a place among the questions, and a default that it would accept itself.
func checkParameters(e *examiner) {
	grouped := map[string]int{}
	groups := at(e.Section("Metadata"), "AWS::CloudFormation::Interface", "ParameterGroups")
	for _, group := range items(groups) {
		for _, name := range items(at(group, "Parameters")) {
			grouped[fmt.Sprint(name)]++
		}
	}

	parameters := e.Section("Parameters")
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		p, _ := parameters[name].(template.Node)
		if grouped[name] != 1 && len(grouped) > 0 {
			e.finding("%s is in %d groups", name, grouped[name])
		}
		if p["Description"] == nil && name != "LogLevel" {
			e.finding("%s has no description", name)
		}
		if p["NoEcho"] != nil {
			e.finding("%s is a secret: those are in Secrets Manager", name)
		}
		if p["AllowedPattern"] != nil && p["ConstraintDescription"] == nil {
			e.finding("%s says in a pattern only what it may be", name)
		}
		if value, ok := p["Default"].(string); ok {
			if err := accepts(p, value); err != nil {
				e.finding("the default of %s: %v", name, err)
			}
		}
		e.constrained(name, p)
	}
	for name := range grouped {
		if parameters[name] == nil {
			e.finding("there is no parameter %s to group", name)
		}
	}
}

// constrained finds fault with a text that may be anything.
func (e *examiner) constrained(name string, p template.Node) {
	if p["Type"] == "String" && p["AllowedPattern"] == nil && p["AllowedValues"] == nil {
		e.finding("%s may be any text", name)
	}
	if p["Type"] == "Number" && p["MinValue"] == nil && p["AllowedValues"] == nil {
		e.finding("%s may be any number", name)
	}
	pattern, _ := p["AllowedPattern"].(string)
	if pattern != "" && (!strings.HasPrefix(pattern, "^") || !strings.HasSuffix(pattern, "$")) {
		e.finding("the pattern of %s need not match all of it", name)
	}
}

// accepts says why CloudFormation would refuse a value.
func accepts(p template.Node, value string) error {
	if allowed := items(p["AllowedValues"]); allowed != nil && !slices.Contains(allowed, any(value)) {
		return fmt.Errorf("%q is none of %v", value, allowed)
	}
	if pattern, ok := p["AllowedPattern"].(string); ok {
		compiled, err := regexp.Compile(pattern)
		if err != nil || !compiled.MatchString(value) {
			return fmt.Errorf("%q does not match %s (%v)", value, pattern, err)
		}
	}

	n, err := strconv.Atoi(value)
	if p["Type"] == "Number" && err != nil {
		return fmt.Errorf("%q is no number", value)
	}
	if least, err := strconv.Atoi(fmt.Sprint(p["MinValue"])); err == nil && n < least {
		return fmt.Errorf("%d is less than %d", n, least)
	}
	if most, err := strconv.Atoi(fmt.Sprint(p["MaxValue"])); err == nil && n > most {
		return fmt.Errorf("%d is more than %d", n, most)
	}
	if most, err := strconv.Atoi(fmt.Sprint(p["MaxLength"])); err == nil && len(value) > most {
		return fmt.Errorf("%q is longer than %d", value, most)
	}
	return nil
}

func TestParametersTakeWhatIsRightAndRefuseWhatIsWrong(t *testing.T) {
	tree, err := template.Read(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)

	for name, values := range map[string]struct{ right, wrong []string }{
		"LiveKitUrl": {
			[]string{"wss://a.livekit.cloud", "ws://10.0.0.1:7880", "wss://host/livekit"},
			[]string{"", "https://a.livekit.cloud", "a.livekit.cloud", "wss://", "wss://host?x=1", "wss://a b"},
		},
		"LiveKitSecretArn": {
			[]string{secretARN, "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a/b-AbCdE1"},
			[]string{
				"livekit", "", strings.TrimSuffix(secretARN, "-AbCdEf"), secretARN + "*",
				strings.Replace(secretARN, "livekit", "*", 1),
			},
		},
		"S3Directory": {
			[]string{"", "recordings", "a/b_c/d.e", "2026"},
			[]string{"/a", "a/", "a//b", ".a", "a/.b", "a/../b", "a*", "a?", "${a}", "a b", "ä"},
		},
		"ExistingBucket": {
			[]string{"", "videos", "my.videos-1"}, []string{"My-Videos", "s3://videos", "ab", "videos/", "-videos"},
		},
		"BucketRegion": {
			[]string{"", "eu-central-1", "us-gov-west-1"}, []string{"eu-central", "EU", "eu-central-1a"},
		},
		"KmsKeyArn": {
			[]string{"", keyARN}, []string{"alias/aws/s3", strings.Replace(keyARN, "key/", "alias/", 1), keyARN + "*"},
		},
		"RetentionDays": {[]string{"0", "1", "365"}, []string{"-1", "never", "", "36501"}},
		"WebhookUrls": {
			[]string{"", "https://a.example.com/x", "https://a.example.com, http://b.example.com"},
			[]string{"a.example.com", "ftp://a", "https://", "https://a,,https://b", "https://a https://b"},
		},
		"AutoRecordKinds": {
			[]string{"standard", "sip,agent", "standard, ingress , sip,agent", " sip"},
			[]string{"", ",", "egress", "standard,", "Standard", "sip agent", "sip,,agent", "sips"},
		},
		"AutoRecordTargets": {
			[]string{"av", "av,screen", "screen, audio ,video"}, []string{"", "camera", "av,", "AV", "av screen", "avaudio"},
		},
		"EventBus": {[]string{"default", "none", "my-bus"}, []string{"", "arn:aws:events:x:1:event-bus/y", "a b"}},
		"AlarmEmail": {
			[]string{"", "ops@example.com"}, []string{"ops", "ops@example", "a@b.c d@e.f", "@example.com"},
		},
		"RecorderVersion":    {[]string{"v1.2.3", "abc1234-dirty", "1"}, []string{"", "a:b", ".a", "sha256:abc", "a b"}},
		"RecorderRepository": {[]string{"participant-recorder", "video/recorder"}, []string{"", "A", "a:b", "*", "a//b/"}},
		"RecorderSize":       {[]string{"1vCPU-2GB"}, []string{"1vCPU-1GB", "", "2"}},
		"LogRetentionDays":   {[]string{"1", "30", "3653"}, []string{"0", "2", "31"}},
	} {
		p, ok := tree.Section("Parameters")[name].(template.Node)
		require.True(t, ok, name)
		for _, value := range values.right {
			require.NoError(t, accepts(p, value), "%s", name)
		}
		for _, value := range values.wrong {
			require.Error(t, accepts(p, value), "%s: %q", name, value)
		}
	}
}

// What CloudFormation lets through, the function must understand: it would not start.
func TestTheFunctionUnderstandsWhomToRecord(t *testing.T) {
	tree, err := template.Read(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)
	p := tree.Section("Parameters")["AutoRecord"].(template.Node)

	alphabet := []string{"a", "/", ",", "!", "*", " ", "?", "off", "all", "-"}
	refused := 0
	for n := range 100_000 { // all of five pieces
		var text string
		for range 5 {
			text += alphabet[n%10]
			n /= 10
		}
		_, wrong := api.ParseRules(text)
		if accepts(p, text) == nil {
			require.NoError(t, wrong, "%q is accepted", text)
		} else {
			refused++
		}
	}
	require.Greater(t, refused, 10_000)

	right := []string{"off", "all", "support-*/*", "support-*/*,!*/bot-?", "!*/bot-*", "a b/c d, e/f/g", "ü/ß"}
	for _, text := range right {
		require.NoError(t, accepts(p, text))
	}
	for _, text := range []string{"", "Off", "everybody", "a", "a/", "/a", "a/b,", ",a/b", "a/b c/d,/", "!"} {
		require.Error(t, accepts(p, text), "%q", text)
	}
}

// The same, for whose kind and of what.
func TestTheFunctionUnderstandsWhatToRecord(t *testing.T) {
	tree, err := template.Read(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		parse    func(string) error
		alphabet []string
	}{
		"AutoRecordKinds": {
			func(text string) error { _, err := api.ParseKinds(text); return err },
			[]string{"standard", "ingress", "sip", "agent", "egress", ",", " ", ""},
		},
		"AutoRecordTargets": {
			func(text string) error { _, err := api.ParseTargets(text); return err },
			[]string{"av", "audio", "video", "screen", "camera", ",", " ", ""},
		},
	} {
		p := tree.Section("Parameters")[name].(template.Node)
		accepted := 0
		for n := range 8 * 8 * 8 * 8 * 8 { // all of five pieces
			var text string
			for range 5 {
				text += c.alphabet[n%8]
				n /= 8
			}
			if accepts(p, text) == nil {
				require.NoError(t, c.parse(text), "%s: %q is accepted", name, text)
				accepted++
			}
		}
		require.Greater(t, accepted, 100, name)
	}
}
