package checks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"livekit-recorder/infra/template"
)

// variables are those of both programs, with what they must be.
func (e *examiner) variables() (recorder, function map[string]string) {
	recorder = pairs(at(e.container(), "Environment"))
	function = map[string]string{}
	variables, _ := at(e.properties("ApiFunction"), "Environment", "Variables").(template.Node)
	for name, value := range variables {
		function[name] = fmt.Sprint(value)
	}
	return recorder, function
}

// checkEnvironment: each variable has the value of what it is about, and no other.
func checkEnvironment(e *examiner) {
	value := func(of template.Node) string {
		v, err := e.Resolve(of)
		if err != nil {
			e.finding("%v", err)
		}
		return fmt.Sprint(v)
	}
	ref := func(name string) string { return value(template.Node{"Ref": name}) }

	bucket, region := ref("ExistingBucket"), ref("AWS::Region")
	if bucket == "" {
		bucket = ref("Bucket")
	} else if there := ref("BucketRegion"); there != "" {
		region = there
	}
	size := func(what string) string {
		return value(template.Node{"Fn::FindInMap": []any{"Sizes", template.Node{"Ref": "RecorderSize"}, what}})
	}
	bus := ref("EventBus")
	if bus == "none" {
		bus = ""
	}

	both := map[string]string{
		"LIVEKIT_SECRET_ARN": ref("LiveKitSecretArn"),
		"START_QUEUE_URL":    ref("StartQueue"),
		"CONTROL_QUEUE_URL":  ref("ControlQueue"),
		"S3_BUCKET":          bucket,
		"S3_DIRECTORY":       ref("S3Directory"),
		"S3_REGION":          region,
		"LOG_LEVEL":          ref("LogLevel"),
	}
	wanted := maps.Clone(both)
	maps.Copy(wanted, map[string]string{
		"LIVEKIT_URL":    ref("LiveKitUrl"),
		"AWS_REGION":     ref("AWS::Region"),
		"WEBHOOK_URLS":   ref("WebhookUrls"),
		"EVENT_BUS":      bus,
		"MAX_RECORDINGS": ref("RecordingsPerRecorder"),
		"SCRATCH_LIMIT":  size("ScratchLimit"),
		"METRICS_ADDR":   "127.0.0.1:9464",
		"STACK_NAME":     ref("AWS::StackName"),
	})
	recorder, function := e.variables()
	e.compare("recorder", recorder, wanted)

	both["AUTO_RECORD"] = ref("AutoRecord")
	both["AUTO_RECORD_KINDS"], both["AUTO_RECORD_TARGETS"] = ref("AutoRecordKinds"), ref("AutoRecordTargets")
	both["ECS_CLUSTER"], both["ECS_SERVICE"] = "", ""
	if ref("MinRecorders") == "0" {
		both["ECS_CLUSTER"] = ref("Cluster")
		both["ECS_SERVICE"] = value(template.Node{"Fn::GetAtt": "RecorderService.Name"})
	}
	e.compare("function", function, both)
}

func (e *examiner) compare(program string, is, wanted map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if value, set := is[name]; !set || value != wanted[name] {
			e.finding("%s: %s is %q (set: %t), not %q", program, name, value, set, wanted[name])
		}
	}
	for name := range is {
		if _, known := wanted[name]; !known {
			e.finding("%s: nobody knows what %s must be", program, name)
		}
	}
}

// checkVariables: programs read what is set, and no secret is among it.
func checkVariables(e *examiner) {
	recorder, function := e.variables()
	for program, set := range map[string]map[string]string{"recorder": recorder, "functions": function} {
		sources := programs(program, "shared")
		for _, name := range slices.Sorted(maps.Keys(set)) {
			read := strings.Contains(sources, `"`+name+`"`) || strings.HasPrefix(name, "AWS_") // the SDK's
			if !read {
				e.finding("%s: nobody reads %s", program, name)
			}
			secret := strings.HasSuffix(name, "_SECRET") || strings.HasSuffix(name, "_KEY")
			if secret || strings.Contains(set[name], "{{resolve:") {
				e.finding("%s: %s is a secret, for everybody to see who may look at configurations", program, name)
			}
		}
	}
	e.want("Secrets", at(e.container(), "Secrets"), nil) // they would be read at the task's start only
}
