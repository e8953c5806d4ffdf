package checks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/template"
)

// mutant is a mistake that somebody could make in template.yaml.
type mutant struct {
	mistake  string
	in       string // the resource or parameter, or a section
	old, new string
	caught   string // by which of the checks
}

var mutants = []mutant{
	// Queues.
	{"starts go to the queue of controls", "ApiFunction", "START_QUEUE_URL: !Ref StartQueue",
		"START_QUEUE_URL: !Ref ControlQueue", "environment"},
	{"the recorder takes controls for starts", "RecorderTask", "CONTROL_QUEUE_URL, Value: !Ref ControlQueue",
		"CONTROL_QUEUE_URL, Value: !Ref StartQueue", "environment"},
	{"the recorder takes dead letters for starts", "RecorderTask", "Value: !Ref StartQueue",
		"Value: !Ref StartDeadLetterQueue", "environment"},
	{"dead starts go to the other dead letters", "StartQueue", "!GetAtt StartDeadLetterQueue.Arn",
		"!GetAtt ControlDeadLetterQueue.Arn", "queues"},
	{"dead controls go to the other dead letters", "ControlQueue", "!GetAtt ControlDeadLetterQueue.Arn",
		"!GetAtt StartDeadLetterQueue.Arn", "queues"},
	{"a start is dead before recorders give it up", "StartQueue", "maxReceiveCount: 100", "maxReceiveCount: 10",
		"queues"},
	{"notices are dead after a few tries", "ControlQueue", "maxReceiveCount: 100", "maxReceiveCount: 5", "queues"},
	{"a start is seen again while its recorder works", "StartQueue", "VisibilityTimeout: 30", "VisibilityTimeout: 5",
		"queues"},
	{"a recorder that vanished is missed late", "StartQueue", "VisibilityTimeout: 30", "VisibilityTimeout: 3600",
		"queues"},
	{"notices are lost within an hour", "ControlQueue", "MessageRetentionPeriod: 86400",
		"MessageRetentionPeriod: 3600", "queues"},
	{"starts outlive what the ledger remembers", "StartQueue", "MessageRetentionPeriod: 86400",
		"MessageRetentionPeriod: 1209600", "queues"},
	{"dead letters are gone before anybody looks", "StartDeadLetterQueue", "MessageRetentionPeriod: 1209600",
		"MessageRetentionPeriod: 86400", "queues"},
	{"a queue is not encrypted", "ControlQueue", "SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "queues"},
	{"the start queue is a FIFO queue", "StartQueue", "VisibilityTimeout: 30",
		"FifoQueue: true\n      VisibilityTimeout: 30", "queues"},

	// The recorder's task.
	{"scratch is not mounted", "RecorderTask", "- {SourceVolume: scratch, ContainerPath: /scratch}", "[]", "scratch"},
	{"scratch is mounted elsewhere", "RecorderTask", "ContainerPath: /scratch", "ContainerPath: /tmp", "scratch"},
	{"scratch cannot be written to", "RecorderTask", "ContainerPath: /scratch",
		"ContainerPath: /scratch, ReadOnly: true", "scratch"},
	{"the limit is the whole disk", "Mappings", "ScratchLimit: 40GiB", "ScratchLimit: 50GiB", "scratch"},
	{"the disk is larger than Fargate's", "Mappings", "Disk: 180", "Disk: 250", "scratch"},
	{"the image can be written to", "RecorderTask", "ReadonlyRootFilesystem: true", "ReadonlyRootFilesystem: false",
		"scratch"},
	{"no time to hand over", "RecorderTask", "StopTimeout: 120", "StopTimeout: 30", "stopping"},
	{"more time than Fargate gives", "RecorderTask", "StopTimeout: 120", "StopTimeout: 300", "stopping"},
	{"the recorder wants more time than it has", "RecorderTask", "{Name: STACK_NAME, Value: !Ref AWS::StackName}",
		"{Name: STOP_TIMEOUT, Value: 5m}", "stopping"},
	{"a pair that Fargate has not", "Mappings", `Cpu: "1024", Memory: "2048"`, `Cpu: "1024", Memory: "1024"`, "builds"},
	{"the task wants x86", "RecorderTask", "CpuArchitecture: ARM64", "CpuArchitecture: X86_64", "builds"},
	{"the function wants x86", "ApiFunction", "Architectures: [arm64]", "Architectures: [x86_64]", "builds"},
	{"the wrong handler", "ApiFunction", "Handler: bootstrap", "Handler: main", "builds"},
	{"SAM does not find make", "ApiFunction", "BuildMethod: makefile", "BuildMethod: go1.x", "builds"},
	{"an image without its tag", "RecorderTask", ":${RecorderVersion}", ":latest", "builds"},
	{"no health check", "RecorderTask", "HealthCheck:", "XHealthCheck:", "health"},
	{"a health check by a shell that is not there", "RecorderTask", "[CMD, /usr/local/bin/recorder, health]",
		"[CMD-SHELL, curl -f http://localhost:9464/healthz]", "health"},
	{"one failure is enough", "RecorderTask", "Retries: 3", "Retries: 1", "health"},
	{"nobody answers the health check", "RecorderTask", "- {Name: METRICS_ADDR", "- {Name: METRICS_ADDRESS", "health"},
	{"everybody may read the metrics", "RecorderTask", "127.0.0.1:9464", ":9464", "health"},
	{"roles swapped", "RecorderTask", "TaskRoleArn: !GetAtt RecorderRole.Arn",
		"TaskRoleArn: !GetAtt ExecutionRole.Arn", "roles"},
	{"a role that ECS may not take", "RecorderRole", "ecs-tasks.amazonaws.com", "ecs.amazonaws.com", "roles"},
	{"the function has SAM's role", "ApiFunction", "      Role: !GetAtt FunctionRole.Arn\n", "", "roles"},
	{"recorders let somebody in", "RecorderSecurityGroup", "SecurityGroupEgress:",
		"SecurityGroupIngress:\n        - {IpProtocol: tcp, FromPort: 9464, ToPort: 9464, CidrIp: 0.0.0.0/0}\n" +
			"      SecurityGroupEgress:",
		"network"},
	{"media cannot get out", "RecorderSecurityGroup", `IpProtocol: "-1", CidrIp: 0.0.0.0/0`,
		`IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0`, "network"},
	{"always a public address", "RecorderService", "AssignPublicIp: !Ref AssignPublicIp", "AssignPublicIp: ENABLED",
		"network"},

	{"half on Spot without being asked", "Mappings", `"0": {OnDemand: 1, Spot: 0}`, `"0": {OnDemand: 1, Spot: 1}`, "capacity"},
	{"all may be taken away", "RecorderService", "Base: !If [UsesSpot, !Ref MinRecorders, !Ref AWS::NoValue]", "Base: 0",
		"capacity"},
	{"another minimum needs a deployment", "RecorderService", "!If [UsesSpot, !Ref MinRecorders, !Ref AWS::NoValue]",
		"!Ref MinRecorders", "capacity"},
	{"another share of Spot is refused", "RecorderService", `!Sub "${SpotShare}-${MinRecorders}"`,
		`!Sub "${MinRecorders}"`, "capacity"},
	{"every update replaces all recorders", "RecorderService", `"${SpotShare}-${MinRecorders}", "0"]`,
		`"${SpotShare}-${MinRecorders}", !Ref RecordingsPerRecorder]`, "capacity"},
	{"why the first deployment failed is gone", "Logs", "DeletionPolicy: Retain", "DeletionPolicy: Delete", "logs"},
	{"the secret's key in the stack's region", "RecorderRole", `Region: !Select [3, !Split [":", !Ref LiveKitSecretArn]]`,
		"Region: !Ref AWS::Region", "permissions"},
	{"bills that nobody can sort", "RecorderService", "PropagateTags: SERVICE", "PropagateTags: TASK_DEFINITION", "capacity"},

	// Environment and secrets.
	{"a variable that nobody reads", "RecorderTask", "Name: WEBHOOK_URLS", "Name: WEBHOOKS", "environment"},
	{"a variable with another's value", "RecorderTask", "Value: !Ref LogLevel", "Value: !Ref WebhookUrls",
		"environment"},
	{"files in another directory than the function looks", "ApiFunction", "S3_DIRECTORY: !Ref S3Directory",
		"S3_DIRECTORY: recordings", "environment"},
	{"the region of the stack for the bucket", "RecorderTask",
		"S3_REGION, Value: !If [ElsewhereInTheWorld, !Ref BucketRegion, !Ref AWS::Region]",
		"S3_REGION, Value: !Ref AWS::Region", "environment"},
	{"the region of the bucket for the queues", "RecorderTask", "AWS_REGION, Value: !Ref AWS::Region",
		"AWS_REGION, Value: !Ref BucketRegion", "environment"},
	{"no limit of recordings", "RecorderTask",
		"            - {Name: MAX_RECORDINGS, Value: !Sub \"${RecordingsPerRecorder}\"}\n", "", "environment"},
	{"secrets in the function's configuration", "ApiFunction", "LIVEKIT_SECRET_ARN: !Ref LiveKitSecretArn",
		`LIVEKIT_API_SECRET: !Sub "{{resolve:secretsmanager:${LiveKitSecretArn}:SecretString:LIVEKIT_API_SECRET}}"`,
		"variables"},
	{"secrets at the task's start only", "RecorderTask", "          Environment:",
		"          Secrets:\n            - {Name: LIVEKIT_API_KEY, ValueFrom: !Ref LiveKitSecretArn}\n" +
			"          Environment:",
		"variables"},
	{"nobody is woken", "ApiFunction", "ECS_SERVICE: !If [ScalesToZero,", "ECS_SERVICE: !If [AlwaysRunning,",
		"environment"},

	// Bucket.
	{"the bucket is public", "Bucket", "BlockPublicPolicy: true", "BlockPublicPolicy: false", "bucket"},
	{"the bucket goes with the stack", "Bucket", "DeletionPolicy: RetainExceptOnCreate", "DeletionPolicy: Delete",
		"bucket"},
	{"the bucket goes with an update", "Bucket", "UpdateReplacePolicy: Retain", "UpdateReplacePolicy: Delete", "bucket"},
	{"the key is not used", "Bucket", "!If [HasKey, aws:kms, AES256]", "AES256", "bucket"},
	{"a call to KMS for each part", "Bucket", "BucketKeyEnabled: !If [HasKey, true, !Ref AWS::NoValue]",
		"BucketKeyEnabled: false", "bucket"},
	{"anything goes without TLS", "BucketPolicy", `"aws:SecureTransport": "false"`, `"aws:SecureTransport": "true"`,
		"bucket"},
	{"objects go without TLS", "BucketPolicy", `[!GetAtt Bucket.Arn, !Sub "${Bucket.Arn}/*"]`, "[!GetAtt Bucket.Arn]",
		"bucket"},
	{"a policy that lets everybody in", "BucketPolicy", "Effect: Deny", "Effect: Allow", "bucket"},
	{"all recordings expire", "Bucket", `Prefix: !If [HasDirectory, !Sub "${S3Directory}/.journal/", .journal/]`,
		`Prefix: !If [HasDirectory, !Sub "${S3Directory}/", ""]`, "lifecycle"},
	{"recordings at the top expire", "Bucket", `!Sub "${S3Directory}/.ledger/", .ledger/]`,
		`!Sub "${S3Directory}/.ledger/", ""]`, "lifecycle"},
	{"the index expires", "Bucket", `!Sub "${S3Directory}/.ledger/", .ledger/]`, `!Sub "${S3Directory}/.", .]`,
		"lifecycle"},
	{"entries of the ledger expire under their recordings", "Bucket", "ExpirationInDays: 30", "ExpirationInDays: 1",
		"lifecycle"},
	{"uploads are ended under their recorders", "Bucket", "DaysAfterInitiation: 7", "DaysAfterInitiation: 1",
		"lifecycle"},
	{"abandoned uploads are paid for ever", "Bucket", "Status: Enabled", "Status: Disabled", "lifecycle"},
	{"retention without being asked", "Conditions", "Expires: !Not [!Equals [!Ref RetentionDays, 0]]",
		"Expires: !Equals [!Ref RetentionDays, 0]", "lifecycle"},
	{"documents go to Glacier", "Bucket", "- Id: old-ledger-entries",
		"- Id: cold\n            Status: Enabled\n" +
			"            Transitions: [{StorageClass: GLACIER, TransitionInDays: 1}]\n          - Id: old-ledger-entries",
		"lifecycle"},
	{"the new bucket outside of a condition", "ApiFunction",
		"S3_BUCKET: !If [NewBucket, !Ref Bucket, !Ref ExistingBucket]", "S3_BUCKET: !Ref Bucket", "references"},

	// Permissions.
	{"recorders may not set visibilities", "RecorderRole", ", sqs:ChangeMessageVisibility]", "]", "permissions"},
	{"recorders may not look after dead letters", "RecorderRole", ", !GetAtt StartDeadLetterQueue.Arn]", "]",
		"permissions"},
	{"recorders may not list uploads", "RecorderRole", "[s3:ListBucket, s3:ListBucketMultipartUploads]",
		"s3:ListBucket", "permissions"},
	{"recorders may delete recordings", "RecorderRole", "${Directory}.journal/*", "${Directory}*", "permissions"},
	{"a room's name lets recorders delete", "RecorderRole", "${Directory}.journal/*", "${Directory}*.journal/*",
		"permissions"},
	{"a room's name lets the function write", "FunctionRole", "${Directory}.recordings/*", "*.recordings/*",
		"permissions"},
	{"the function may read recordings", "FunctionRole", "${Directory}*.json", "${Directory}*", "permissions"},
	{"the function sends stops to nobody", "FunctionRole", "[!GetAtt StartQueue.Arn, !GetAtt ControlQueue.Arn]",
		"!GetAtt StartQueue.Arn", "permissions"},
	{"the function may take starts", "FunctionRole", "Action: sqs:SendMessage",
		"Action: [sqs:SendMessage, sqs:ReceiveMessage]", "permissions"},
	{"every secret may be read", "RecorderRole", "Resource: !Ref LiveKitSecretArn",
		"Resource: !Sub arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:livekit*",
		"permissions"},
	{"the key opens everything", "RecorderRole", "kms:Decrypt, kms:GenerateDataKey", `kms:*`, "permissions"},
	{"the key may not be used for S3", "FunctionRole", "s3.${Region}", "sqs.${Region}", "permissions"},
	{"recorders may not use the key to write", "RecorderRole", "[kms:Decrypt, kms:GenerateDataKey]", "kms:Decrypt",
		"permissions"},
	{"tasks of all clusters may be protected", "RecorderRole", "task/${Cluster}/*", "task/*", "permissions"},
	{"the function may stop any service", "FunctionRole", "Resource: !Ref RecorderService",
		"Resource: !Sub arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/*", "permissions"},
	{"the function cannot wake anybody", "FunctionRole", "[ecs:DescribeServices, ecs:UpdateService]",
		"ecs:DescribeServices", "permissions"},
	{"any image may be pulled", "ExecutionRole", "repository/${RecorderRepository}", "repository/*", "permissions"},
	{"ECS may read the secret", "ExecutionRole", "Action: ecr:GetAuthorizationToken",
		"Action: [ecr:GetAuthorizationToken, secretsmanager:GetSecretValue]", "permissions"},
	{"events on another bus", "RecorderRole", "event-bus/${EventBus}", "event-bus/default-${EventBus}", "permissions"},
	{"logs cannot be written", "ExecutionRole", "!GetAtt Logs.Arn", "!GetAtt ApiLogs.Arn", "permissions"},

	// Logs and the API.
	{"logs for ever", "Logs", "RetentionInDays: !Ref LogRetentionDays", "LogGroupClass: STANDARD", "logs"},
	{"the function's logs for ever", "ApiFunction", "      LoggingConfig: {LogGroup: !Ref FunctionLogs}\n", "", "logs"},
	{"the recorder waits for its log", "RecorderTask", "mode: non-blocking", "mode: blocking", "logs"},
	{"two logs in one", "RecorderTask", "awslogs-group: !Ref Logs", "awslogs-group: !Ref ApiLogs", "logs"},
	{"webhooks need an IAM signature", "HttpApi", "EnableIamAuthorizer: false",
		"EnableIamAuthorizer: true, DefaultAuthorizer: AWS_IAM", "api"},
	{"guided deployments end at their default answer", "HttpApi", "      Auth: {EnableIamAuthorizer: false}\n", "",
		"api"},
	{"no throttling", "HttpApi", "        ThrottlingRateLimit: !Ref ApiRateLimit\n", "", "api"},
	{"names of rooms in the access log", "HttpApi", "$context.routeKey", "$context.path", "api"},
	{"a route that the function does not have", "ApiFunction", "Path: /recordings/webhooks",
		"Path: /recordings/webhook", "api"},
	{"lists are not found", "ApiFunction",
		"        Rest:\n          Type: HttpApi\n          Properties: {ApiId: !Ref HttpApi}\n", "", "api"},

	// Alarms.
	{"an alarm with the wrong dimension", "ScratchAlarm", "Name: Stack", "Name: StackName", "alarms"},
	{"an alarm of another stack's", "UploadLagAlarm", "Value: !Ref AWS::StackName", "Value: participant", "alarms"},
	{"an alarm for the other dead letters", "StartDeadLettersAlarm", "StartDeadLetterQueue", "ControlDeadLetterQueue",
		"alarms"},
	{"an alarm for running recordings", "OldestStartAlarm", "MessagesVisible", "MessagesNotVisible", "alarms"},
	{"an alarm at each start", "OldestStartAlarm", "Statistic: Minimum", "Statistic: Maximum", "alarms"},
	{"one full recorder is an alarm", "AllFullAlarm", "Statistic: Minimum", "Statistic: Maximum", "alarms"},
	{"an alarm that nobody hears", "RecordingsFailedAlarm", "      AlarmActions: [!Ref AlarmTopic]\n", "", "alarms"},
	{"an alarm that never goes off", "AllFullAlarm", "Threshold: 1", "Threshold: 2", "alarms"},
	{"an alarm for names of REST APIs", "ApiErrorsAlarm", "MetricName: 5xx", "MetricName: 5XXError", "alarms"},
	{"no recorder is no alarm", "NoneRunningAlarm", "TreatMissingData: breaching", "TreatMissingData: notBreaching",
		"alarms"},
	{"no recorder is an alarm where none is wanted", "NoneRunningAlarm", "    Condition: AlwaysRunning\n", "", "alarms"},
	{"an alarm without a paragraph", "FaultsAlarm", "#faults", "#panics", "alarms"},
	{"a metric that nobody sends", "Dashboard", `"Recordings"`, `"Recording"`, "dashboard"},
	{"a dashboard that is no JSON", "Dashboard", `"label": "running"}],`, `"label": "running"}]`, "dashboard"},
	{"a dashboard of all stacks", "Dashboard", `"Stack", "${AWS::StackName}"`, `"Stack", "*"`, "dashboard"},
	{"alarms cannot be published", "AlarmTopicPolicy", "cloudwatch.amazonaws.com", "sns.amazonaws.com", "events"},
	{"failed deployments of everybody", "DeploymentFailed", "        resources: [!Ref RecorderService]\n", "", "events"},
	{"a subscription without an address", "AlarmSubscription", "    Condition: HasAlarmEmail\n", "", "events"},

	// Names and values that AWS does not know.
	{"a misspelt property", "Bucket", "BucketEncryption:", "BucketEncyption:", "schema"},
	{"a value that there is not", "Bucket", "BucketOwnerEnforced", "BucketOwner", "schema"},
	{"a comparison that there is not", "AllFullAlarm", "GreaterThanOrEqualToThreshold", "GreaterOrEqual", "schema"},
	{"a provider that there is not", "Cluster", "FARGATE_SPOT]", "FARGATE-SPOT]", "capacity"},
	{"what must be there is not", "BucketPolicy", "      Bucket: !Ref Bucket\n", "", "schema"},
	{"a retention that there is not", "LogRetentionDays", "Default: 30", "Default: 31", "parameters"},
	{"a property that SAM does not know", "ApiFunction", "LoggingConfig:", "LogConfig:", "schema"},
	{"a runtime that there is not", "ApiFunction", "provided.al2023", "provided.al2", "builds"},
	{"a throttle that API Gateway does not know", "HttpApi", "ThrottlingRateLimit:", "ThrottleRateLimit:", "schema"},
	{"a list for one value", "BucketPolicy", "Bucket: !Ref Bucket", "Bucket: [!Ref Bucket]", "schema"},
	{"a type that there is not", "ControlQueue", "AWS::SQS::Queue", "AWS::SQS::Queues", "schema"},

	// Parameters.
	{"a default that is refused", "S3Directory", "Default: recordings", "Default: /recordings/", "parameters"},
	{"a parameter that may be anything", "AutoRecord", "    AllowedPattern:", "    XAllowedPattern:", "parameters"},
	{"a pattern that half a value matches", "LiveKitUrl", "^wss?://", "wss?://", "parameters"},
	{"a parameter without a group", "Metadata", ", RetentionDays]", "]", "parameters"},
	{"a parameter that does nothing", "Bucket", "              ExpirationInDays: !Ref RetentionDays\n",
		"              ExpirationInDays: 365\n", "lifecycle"},
}

// block finds a resource, a parameter, or a section of the template's text.
func block(text, name string) (start, end int) {
	for _, indent := range []string{"", "  "} {
		start = strings.Index(text, "\n"+indent+name+":\n")
		if start < 0 {
			continue
		}
		start++
		offset := start
		for n, line := range strings.SplitAfter(text[start:], "\n") {
			deeper := strings.HasPrefix(line, indent+"  ") || strings.TrimSpace(line) == "" || strings.HasPrefix(line, "  #")
			if n > 0 && !deeper {
				break
			}
			offset += len(line)
		}
		return start, offset
	}
	return 0, 0
}

func TestMistakesAreCaught(t *testing.T) {
	text := source("template.yaml")
	for _, m := range mutants {
		t.Run(m.mistake, func(t *testing.T) {
			start, end := block(text, m.in)
			require.NotZero(t, end, "there is no %s", m.in)
			require.Contains(t, text[start:end], m.old, "%s has changed: the mistake must, too", m.in)

			tree, err := template.Parse([]byte(text[:start] + strings.Replace(text[start:end], m.old, m.new, 1) + text[end:]))
			require.NoError(t, err)
			require.NotEmpty(t, examine(t, tree, m.caught), "by check %q", m.caught)
		})
	}
}
