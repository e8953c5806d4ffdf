package checks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"livekit-recorder/infra/template"
)

// checkBucket: a new bucket is nobody else's, is encrypted, speaks TLS only, and outlives the stack.
func checkBucket(e *examiner) {
	there, err := e.Has("Bucket")
	if err != nil || !there {
		return // somebody else's
	}
	bucket := e.properties("Bucket")
	flags, _ := bucket["PublicAccessBlockConfiguration"].(template.Node)
	for _, flag := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		e.want(flag, flags[flag], true)
	}
	e.want("ObjectOwnership", at(bucket, "OwnershipControls", "Rules", 0, "ObjectOwnership"), "BucketOwnerEnforced")

	key, _ := e.Resolve(template.Node{"Ref": "KmsKeyArn"})
	encryption := at(bucket, "BucketEncryption", "ServerSideEncryptionConfiguration", 0)
	if key == "" {
		e.want("SSEAlgorithm", at(encryption, "ServerSideEncryptionByDefault", "SSEAlgorithm"), "AES256")
	} else {
		e.want("SSEAlgorithm", at(encryption, "ServerSideEncryptionByDefault", "SSEAlgorithm"), "aws:kms")
		e.want("KMSMasterKeyID", at(encryption, "ServerSideEncryptionByDefault", "KMSMasterKeyID"), key)
		e.want("BucketKeyEnabled", at(encryption, "BucketKeyEnabled"), true)
	}

	for _, name := range []string{"Bucket", "BucketPolicy"} {
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			value := fmt.Sprint(e.Resource(name)[policy])
			if value != "Retain" && (policy != "DeletionPolicy" || value != "RetainExceptOnCreate") {
				e.finding("%s: %s is %s: recordings go with the stack", name, policy, value)
			}
		}
	}

	policy, err := e.ResourcePolicy("BucketPolicy")
	if err != nil {
		e.finding("%v", err)
	}
	of, _ := e.Resolve(template.Node{"Ref": "Bucket"})
	e.want("the bucket of BucketPolicy", at(e.properties("BucketPolicy"), "Bucket"), of)
	for _, resource := range []string{"arn:aws:s3:::" + fmt.Sprint(of), "arn:aws:s3:::" + fmt.Sprint(of) + "/any/key"} {
		for _, action := range []string{"s3:GetObject", "s3:PutObject", "s3:ListBucket"} {
			e.wantTLS(policy, action, resource)
		}
	}
}

// wantTLS finds fault with a policy that does not refuse a call without TLS, or refuses one with it.
func (e *examiner) wantTLS(policy []template.Statement, action, resource string) {
	everything := template.Statement{Sid: "role", Actions: []string{"*"}, Resources: []string{"*"}}
	all := append([]template.Statement{everything}, policy...)
	for _, tls := range []string{"true", "false"} {
		context := map[string]string{"aws:SecureTransport": tls}
		allowed := len(template.Allowing(all, template.Call{Action: action, Resource: resource, Context: context})) > 0
		if allowed != (tls == "true") {
			e.finding("%s of %s is allowed: %t, with TLS: %s", action, resource, allowed, tls)
		}
	}
	for _, s := range policy {
		if s.Deny && s.Principal != "*" || !s.Deny {
			e.finding("the bucket's policy has %s for %q", s.Sid, s.Principal)
		}
	}
}

// checkLifecycle: what nobody needs any more goes; recordings stay, or go together with all that leads to them.
func checkLifecycle(e *examiner) {
	if there, err := e.Has("Bucket"); err != nil || !there {
		return
	}
	rules := items(at(e.properties("Bucket"), "LifecycleConfiguration", "Rules"))
	directory := e.directory()
	retention, _ := e.Resolve(template.Node{"Ref": "RetentionDays"})
	forever, _ := strconv.Atoi(fmt.Sprint(retention)) // 0 for ever

	const never = 0 // or when recordings do
	for key, days := range map[string]int{
		"my-room/alice/20260101T120000Z-RC_1.webm":                     never,
		"my-room/alice/20260101T120000Z-RC_1.json":                     never,
		"x.journal/alice/file.mp4":                                     never,
		"%2Ejournal/alice/file.mp4":                                    never,
		"%2Eledger/alice/file.json":                                    never,
		".recordings/id/RC_1.json":                                     never,
		".recordings/rooms/my-room/8224-RC_1/my-room/alice/file.json":  never,
		".journal/RR_1/000000001":                                      7,
		".journal/files/my-room/alice/20260101T120000Z-RC_1.webm/RR_1": 7,
		".ledger/my-room/alice.json":                                   30,
		strings.Repeat("deep/", 20) + "file.e2.part3.rest1.ogg":        never,
	} {
		if days == never || forever > 0 && forever < days {
			days = forever
		}
		e.want("days of "+key, expiry(rules, directory+key), days)
	}

	aborts := 0
	for _, rule := range rules {
		e.want(fmt.Sprint("Status of ", at(rule, "Id")), at(rule, "Status"), "Enabled")
		if days := at(rule, "AbortIncompleteMultipartUpload", "DaysAfterInitiation"); days != nil {
			aborts++
			// An upload takes as long as its recording, up to 12 hours, and a recorder may be away from S3 for days.
			e.between("DaysAfterInitiation", days, 2, 30)
			if prefix := fmt.Sprint(at(rule, "Prefix")); prefix != "<nil>" && !strings.HasPrefix(directory, prefix) {
				e.finding("uploads outside of %s are never ended", prefix)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(rule.(template.Node))) {
			known := []string{"Id", "Status", "Prefix", "ExpirationInDays", "AbortIncompleteMultipartUpload"}
			if !slices.Contains(known, name) {
				e.finding("rule %v has %s, of which nobody has thought what it does to recordings", at(rule, "Id"), name)
			}
		}
	}
	e.want("rules that end abandoned uploads", aborts, 1)
}

// directory is what all keys begin with.
func (e *examiner) directory() string {
	directory, _ := e.Resolve(template.Node{"Ref": "S3Directory"})
	if directory == "" {
		return ""
	}
	return fmt.Sprint(directory, "/")
}

// expiry is after how many days an object is deleted; 0 if it never is. Of several rules the shortest counts (S3 user
// guide, "Conflicting lifecycle rules").
func expiry(rules []any, key string) (days int) {
	for _, rule := range rules {
		n, err := strconv.Atoi(fmt.Sprint(at(rule, "ExpirationInDays")))
		prefix, _ := at(rule, "Prefix").(string)
		if err == nil && at(rule, "Status") == "Enabled" && strings.HasPrefix(key, prefix) && (days == 0 || n < days) {
			days = n
		}
	}
	return days
}

// checkLogs: all logs end some day, and no log keeps a recorder waiting.
func checkLogs(e *examiner) {
	days, _ := e.Resolve(template.Node{"Ref": "LogRetentionDays"})
	groups := e.of("AWS::Logs::LogGroup")
	e.want("log groups", groups, "[ApiLogs FunctionLogs Logs]")
	for _, group := range groups {
		e.want(group+": RetentionInDays", e.properties(group)["RetentionInDays"], days)
	}

	// Wrong settings are said there, by recorders of a deployment that is then rolled back.
	e.want("Logs: DeletionPolicy", e.Resource("Logs")["DeletionPolicy"], "Retain")
	e.want("Logs: LogGroupName", e.properties("Logs")["LogGroupName"], nil) // or the next deployment would find it taken

	log := at(e.container(), "LogConfiguration")
	e.want("LogDriver", at(log, "LogDriver"), "awslogs")
	own, _ := e.Resolve(template.Node{"Ref": "Logs"})
	e.want("awslogs-group", at(log, "Options", "awslogs-group"), own)
	region, _ := e.Resolve(template.Node{"Ref": "AWS::Region"})
	e.want("awslogs-region", at(log, "Options", "awslogs-region"), region)
	e.want("awslogs-stream-prefix", at(log, "Options", "awslogs-stream-prefix"), "recorder") // Fargate wants one
	e.want("mode", at(log, "Options", "mode"), "non-blocking")
	e.want("max-buffer-size", at(log, "Options", "max-buffer-size"), "25m")

	own, _ = e.Resolve(template.Node{"Ref": "FunctionLogs"})
	e.want("the function's LogGroup", at(e.properties("ApiFunction"), "LoggingConfig", "LogGroup"), own)
}
