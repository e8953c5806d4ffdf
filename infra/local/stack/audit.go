package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"livekit-recorder/infra/local/price"
	"livekit-recorder/infra/template"
)

// The programs say who they are in their User-Agent (AWS SDKs reference guide, "Application ID").
const appID = "AWS_SDK_UA_APP_ID="

// audit judges all calls to S3 and SQS by what template.yaml allows the program's role. The stand-ins would let
// everybody do everything.
type audit struct {
	deployed *template.Deployment
	policies map[string][]template.Statement // by program

	mu      sync.Mutex
	refused map[string]bool
	calls   map[string]int // by program
}

func newAudit(deployed *template.Deployment) (*audit, error) {
	a := &audit{
		deployed: deployed,
		policies: map[string][]template.Statement{},
		refused:  map[string]bool{},
		calls:    map[string]int{},
	}
	for program, role := range map[string]string{"recorder": "RecorderRole", "function": "FunctionRole"} {
		policy, err := deployed.Policy(role)
		if err != nil {
			return nil, err
		}
		a.policies[program] = policy
	}
	return a, nil
}

// Refused are the calls that the template's roles would not have allowed, and how many there were of each program.
// There are none without [Options.Audit].
func (s *Stack) Refused() (refused []string, calls map[string]int) {
	if s.audit == nil {
		return nil, nil
	}
	s.audit.mu.Lock()
	defer s.audit.mu.Unlock()
	return slices.Sorted(maps.Keys(s.audit.refused)), maps.Clone(s.audit.calls)
}

// scope finds the region that a request is signed for (S3 API reference, "Authenticating requests (AWS Signature
// Version 4)").
var scope = regexp.MustCompile(`Credential=[^/]+/\d+/([^/]+)/`)

// judge looks at a call.
func (a *audit) judge(r *http.Request, signedFor string, calls ...template.Call) {
	program := ""
	for name := range a.policies {
		if strings.Contains(r.UserAgent(), "app/"+name) {
			program = name
		}
	}
	if program == "" {
		return // a test's own
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[program]++
	if found := scope.FindStringSubmatch(r.Header.Get("Authorization")); found == nil || found[1] != signedFor {
		a.refused[fmt.Sprintf("%s: %s is not signed for %s", program, r.URL.Path, signedFor)] = true
	}
	for _, call := range calls {
		if len(template.Allowing(a.policies[program], call)) == 0 {
			a.refused[fmt.Sprintf("%s: %s of %s", program, call.Action, call.Resource)] = true
		}
	}
}

// s3 judges a request to S3. Of the keys that DeleteObjects has in its body nothing is known here: that recorders may
// delete journals, and nothing else, is checked in infra/checks.
func (a *audit) s3(r *http.Request) {
	operation := "s3." + price.OfS3(r).Call
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	resource := "arn:aws:s3:::" + bucket
	switch {
	case operation == "s3.DeleteObjects":
		key = Directory + "/.journal/"
	case operation == "s3.HeadObject" && key == "":
		operation = "s3.HeadBucket"
	}
	if key != "" {
		resource += "/" + key
	}

	var calls []template.Call
	for _, action := range template.Needs(operation) {
		calls = append(calls, template.Call{Action: action, Resource: resource})
	}
	if from := r.Header.Get("X-Amz-Copy-Source"); from != "" {
		if path, err := url.PathUnescape(from); err == nil {
			from = path
		}
		calls = append(calls, template.Call{
			Action:   "s3:GetObject",
			Resource: "arn:aws:s3:::" + strings.TrimPrefix(from, "/"),
		})
	}
	if len(template.Needs(operation)) == 0 {
		calls = append(calls, template.Call{Action: operation, Resource: resource}) // which nobody is allowed
	}
	a.judge(r, region, calls...)
}

// sqs judges the requests to SQS on their way to a handler.
func (a *audit) sqs(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // who asked has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))

		var asked struct{ QueueName, QueueUrl string }
		_ = json.Unmarshal(body, &asked) // what is none names no queue, and is allowed nobody
		name := asked.QueueName + asked.QueueUrl[strings.LastIndexByte(asked.QueueUrl, '/')+1:]
		operation := "sqs." + price.OfSQS(r).Call
		for _, action := range append(template.Needs(operation), operation)[:1] {
			a.judge(r, home, template.Call{Action: action, Resource: "arn:aws:sqs:us-east-1:000000000000:" + name})
		}
		handler.ServeHTTP(w, r)
	})
}
