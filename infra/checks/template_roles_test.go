package checks

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"livekit-recorder/infra/template"
)

// checkRoles: each role is taken by whom it is for.
func checkRoles(e *examiner) {
	task := e.properties("RecorderTask")
	for role, taken := range map[string]struct {
		by    string
		where any
	}{
		"FunctionRole":  {"lambda.amazonaws.com", e.properties("ApiFunction")["Role"]},
		"RecorderRole":  {"ecs-tasks.amazonaws.com", task["TaskRoleArn"]},
		"ExecutionRole": {"ecs-tasks.amazonaws.com", task["ExecutionRoleArn"]},
	} {
		arn, _ := e.Resolve(template.Node{"Fn::GetAtt": role + ".Arn"})
		e.want("whose role "+role+" is", taken.where, arn)
		trust, err := e.Trust(role)
		if err != nil || len(trust) != 1 {
			e.finding("%s is trusted by %v: %v", role, trust, err)
			continue
		}
		e.want(role+": Principal", trust[0].Principal, taken.by)
		e.want(role+": Action", trust[0].Actions, "[sts:AssumeRole]")
	}
	e.want("the function's Policies beside its role", e.properties("ApiFunction")["Policies"], nil)
}

// whereabouts are the names of what roles may be allowed to touch.
type whereabouts struct {
	bucket, prefix         string // ARNs, the latter with the directory
	start, control         string
	deadStart, deadControl string
	logs                   string // of the function
	recorderLogs           string
	key, secretKey         string // empty without keys
	secret                 string
	events                 string // empty without events
	service                string
	cluster                string
	s3, secrets            map[string]string // context of calls to KMS
	wakes                  bool              // the function starts the first recorder
	asksVersion            bool              // recorders ask which version their service is to have
}

func (e *examiner) whereabouts() (w whereabouts) {
	value := func(function, of string) string {
		v, err := e.Resolve(template.Node{function: of})
		if err != nil {
			e.finding("%v", err)
		}
		return fmt.Sprint(v)
	}
	ref := func(name string) string { return value("Ref", name) }
	arn := func(name string) string { return value("Fn::GetAtt", name+".Arn") }

	bucket, region := ref("ExistingBucket"), ref("AWS::Region")
	if bucket == "" {
		bucket = ref("Bucket")
	} else if there := ref("BucketRegion"); there != "" {
		region = there
	}
	there := strings.Split(ref("LiveKitSecretArn"), ":")[3]
	w = whereabouts{
		bucket:       "arn:aws:s3:::" + bucket,
		start:        arn("StartQueue"),
		control:      arn("ControlQueue"),
		deadStart:    arn("StartDeadLetterQueue"),
		deadControl:  arn("ControlDeadLetterQueue"),
		logs:         strings.TrimSuffix(arn("FunctionLogs"), "*") + "log-stream:one",
		recorderLogs: strings.TrimSuffix(arn("Logs"), "*") + "log-stream:one",
		key:          ref("KmsKeyArn"),
		secretKey:    ref("LiveKitSecretKeyArn"),
		service:      ref("RecorderService"),
		cluster:      ref("Cluster"),
		s3:           map[string]string{"kms:ViaService": "s3." + region + ".amazonaws.com"},
		secret:       ref("LiveKitSecretArn"),
		secrets:      map[string]string{"kms:ViaService": "secretsmanager." + there + ".amazonaws.com"},
	}
	w.prefix = w.bucket + "/" + e.directory()
	if bus := ref("EventBus"); bus != "none" {
		w.events = "arn:aws:events:eu-central-1:123456789012:event-bus/" + bus
	}
	_, function := e.variables()
	w.wakes = function["ECS_SERVICE"] != ""
	w.asksVersion = e.Resource("RecorderVersionPolicy") != nil
	return w
}

// use is a call that a program makes: an operation as the SDK's packages call it, or an action, if somebody else makes
// the call for it.
type use struct {
	operation string
	resources []string
	context   map[string]string
}

// recorderUses are the calls of recorders.
func (w whereabouts) recorderUses() []use {
	media := []string{w.prefix + "room/alice/file.webm", w.prefix + "x.journal/bob/file.e2.part2.mp4"}
	journal := []string{w.prefix + ".journal/RR_1/000000001", w.prefix + ".journal/files/room/alice/file.webm/RR_1"}
	documents := []string{
		w.prefix + "room/alice/file.json", w.prefix + ".ledger/room/alice.json", w.prefix + ".recordings/id/RC_1.json",
		w.prefix + ".reached/0123456789abcdef.json",
	}
	commands := []string{w.start, w.control, w.deadStart}
	uses := []use{
		{"sqs.ReceiveMessage", commands, nil},
		{"sqs.DeleteMessage", commands, nil},
		{"sqs.ChangeMessageVisibility", commands, nil},
		{"sqs.ChangeMessageVisibilityBatch", []string{w.start}, nil},
		{"sqs.GetQueueAttributes", []string{w.start, w.control}, nil},
		{"sqs.GetQueueUrl", []string{w.deadStart}, nil},
		{"sqs.SendMessage", []string{w.start, w.control}, nil},
		{"s3.ListObjectsV2", []string{w.bucket}, nil},
		{"s3.ListMultipartUploads", []string{w.bucket}, nil},
		{"s3.GetObject", slices.Concat(media, journal, documents), nil},
		{"s3.HeadObject", media, nil},
		{"s3.PutObject", slices.Concat(media, journal, documents), nil},
		{"s3.PutObjectTagging", media, nil},
		{"s3.CreateMultipartUpload", media, nil},
		{"s3.UploadPart", media, nil},
		{"s3.UploadPartCopy", media, nil},
		{"s3.CompleteMultipartUpload", media, nil},
		{"s3.AbortMultipartUpload", media, nil},
		{"s3.ListParts", media, nil},
		{"s3.DeleteObjects", journal, nil},
		{"s3.DeleteObject", append(journal, media[0], media[1], w.prefix+"room/alice/file.ogg"), nil}, // parts, once joined
		// By the agent of ECS, in the task's name.
		{"ecs:UpdateTaskProtection", []string{w.task("1234")}, nil},
		{"ecs:GetTaskProtection", []string{w.task("1234")}, nil},
	}
	if w.events != "" {
		uses = append(uses, use{"eventbridge.PutEvents", []string{w.events}, nil})
	}
	if w.asksVersion {
		uses = append(uses, use{"ecs.DescribeServices", []string{w.service}, nil})
	}
	return append(uses, w.commonUses()...)
}

func (w whereabouts) task(id string) string {
	return "arn:aws:ecs:eu-central-1:123456789012:task/" + w.cluster + "/" + id
}

// functionUses are the calls of the function, and of Lambda in its name.
func (w whereabouts) functionUses() []use {
	uses := []use{
		{"sqs.SendMessage", []string{w.start, w.control}, nil},
		{"sqs.GetQueueAttributes", []string{w.start, w.control}, nil},
		{"s3.ListObjectsV2", []string{w.bucket}, nil},
		{"s3.GetObject", []string{w.prefix + "room/alice/file.json", w.prefix + ".recordings/id/RC_1.json"}, nil},
		{"s3.PutObject", []string{
			w.prefix + ".recordings/id/RC_1.json", w.prefix + ".recordings/rooms/room/8224-RC_1/.unnamed",
		}, nil},
		{"logs:CreateLogStream", []string{w.logs}, nil},
		{"logs:PutLogEvents", []string{w.logs}, nil},
	}
	if w.wakes {
		uses = append(uses,
			use{"ecs.DescribeServices", []string{w.service}, nil}, use{"ecs.UpdateService", []string{w.service}, nil})
	}
	return append(uses, w.commonUses()...)
}

// commonUses are calls of both: for the secret, and what S3 and Secrets Manager ask KMS in their name.
func (w whereabouts) commonUses() []use {
	uses := []use{{"secretsmanager.GetSecretValue", []string{w.secret}, nil}}
	if w.key != "" {
		uses = append(uses, use{"kms:Decrypt", []string{w.key}, w.s3}, use{"kms:GenerateDataKey", []string{w.key}, w.s3})
	}
	if w.secretKey != "" {
		uses = append(uses, use{"kms:Decrypt", []string{w.secretKey}, w.secrets})
	}
	return uses
}

// executionUses are ECS's own calls.
func (w whereabouts) executionUses() []use {
	repository := []string{"arn:aws:ecr:eu-central-1:123456789012:repository/participant-recorder"}
	return []use{
		{"ecr:GetAuthorizationToken", []string{"*"}, nil},
		{"ecr:BatchCheckLayerAvailability", repository, nil},
		{"ecr:BatchGetImage", repository, nil},
		{"ecr:GetDownloadUrlForLayer", repository, nil},
		{"logs:CreateLogStream", []string{w.recorderLogs}, nil},
		{"logs:PutLogEvents", []string{w.recorderLogs}, nil},
	}
}

// refusals are calls that nobody makes, and that would do harm, by role.
func (w whereabouts) refusals() map[string][]use {
	others := []use{
		{"s3:PutLifecycleConfiguration", []string{w.bucket}, nil},
		{"s3:GetObject", []string{w.bucket + "-of-others/file.webm"}, nil},
		{"sqs:SendMessage", []string{w.start + "-of-others", w.deadStart, w.deadControl}, nil},
		{"sqs:PurgeQueue", []string{w.start}, nil},
		{"secretsmanager:GetSecretValue", []string{strings.Replace(w.secret, "livekit", "livekit-other", 1)}, nil},
		{"secretsmanager:PutSecretValue", []string{w.secret}, nil},
		{"kms:Decrypt", []string{keyARN, keyARN + "6"}, nil}, // but through S3 and Secrets Manager
		{"ecs:UpdateTaskProtection", []string{"arn:aws:ecs:eu-central-1:123456789012:task/another/1234"}, nil},
		{"events:PutEvents", []string{"arn:aws:events:eu-central-1:123456789012:event-bus/of-others"}, nil},
	}
	media := []string{w.prefix + "room/alice/file.webm", w.prefix + "x.recordings/alice/file.webm"}
	documents := []string{w.prefix + "room/alice/file.json", w.prefix + "x.journal/alice/file.json",
		w.prefix + ".ledger/room/alice.json", w.prefix + ".recordings/id/RC_1.json"}
	stored := append(slices.Clone(media), documents...)
	return map[string][]use{
		"RecorderRole": append(others,
			use{"s3:DeleteObject", documents, nil},
			use{"sqs:ReceiveMessage", []string{w.deadControl}, nil},
			use{"sqs:DeleteMessage", []string{w.deadControl}, nil},
			use{"ecs.UpdateService", []string{w.service}, nil}),
		"FunctionRole": append(others,
			use{"s3:GetObject", media, nil},
			use{"s3:PutObject", append(media, w.prefix+"x.recordings/alice/file.json", w.prefix+".ledger/room/alice.json"), nil},
			use{"s3:DeleteObject", append(stored, w.prefix+".journal/RR_1/000000001"), nil},
			use{"sqs:ReceiveMessage", []string{w.start, w.control, w.deadStart, w.deadControl}, nil},
			use{"sqs:DeleteMessage", []string{w.start, w.control}, nil},
			use{"ecs.UpdateService", []string{w.service + "-of-others"}, nil}),
		"ExecutionRole": append(others,
			use{"s3:GetObject", stored, nil},
			use{"secretsmanager:GetSecretValue", []string{w.secret}, nil},
			use{"ecr:BatchGetImage", []string{"arn:aws:ecr:eu-central-1:123456789012:repository/another"}, nil}),
	}
}

// calls are what AWS asks a role's policy about.
func (u use) calls() (calls []template.Call) {
	actions := template.Needs(u.operation)
	if actions == nil {
		actions = []string{u.operation} // or an operation that is not known, and is allowed to nobody
	}
	for _, action := range actions {
		for _, resource := range u.resources {
			calls = append(calls, template.Call{Action: action, Resource: resource, Context: u.context})
		}
	}
	return calls
}

// checkPermissions: every call that is made is allowed, everything that is allowed is used, and what would do harm is
// refused.
func checkPermissions(e *examiner) {
	w := e.whereabouts()
	refused := w.refusals()
	for role, uses := range map[string][]use{
		"RecorderRole":  w.recorderUses(),
		"FunctionRole":  w.functionUses(),
		"ExecutionRole": w.executionUses(),
	} {
		policy, err := e.Policy(role)
		if err != nil {
			e.finding("%v", err)
			continue
		}

		used := map[template.Grant]bool{}
		for _, u := range uses {
			for _, call := range u.calls() {
				grants := template.Allowing(policy, call)
				if len(grants) == 0 {
					e.finding("%s: %s (%s) of %s is refused", role, call.Action, u.operation, call.Resource)
				}
				for _, g := range grants {
					used[g] = true
				}
			}
		}
		for _, s := range policy {
			for _, g := range s.Grants() {
				if !used[g] {
					e.finding("%s: nobody uses %s of %s (%s)", role, g.Action, g.Resource, g.Sid)
				}
				if strings.Contains(g.Action, "*") || g.Resource == "*" && g.Action != "ecr:GetAuthorizationToken" {
					e.finding("%s: %s of %s is more than is needed", role, g.Action, g.Resource)
				}
			}
		}
		for _, u := range refused[role] {
			for _, call := range u.calls() {
				if len(template.Allowing(policy, call)) > 0 {
					e.finding("%s: %s of %s is allowed", role, call.Action, call.Resource)
				}
			}
		}
	}
}

var operations = regexp.MustCompile(`\b(s3|sqs|ecs|eventbridge|secretsmanager)\.([A-Z]\w*)Input\{`)

// operationsOf are those that sources call.
func operationsOf(sources string) []string {
	found := map[string]bool{}
	for _, m := range operations.FindAllStringSubmatch(sources, -1) {
		found[m[1]+"."+m[2]] = true
	}
	return slices.Sorted(maps.Keys(found))
}
