package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"livekit-recorder/infra/template"
)

// home is the region of everything but the bucket.
const home = "eu-central-1"

// queueNames are what the queues of template.yaml are called here. Those of dead letters come first: the others name
// them.
var queueNames = []struct{ resource, name string }{
	{"StartDeadLetterQueue", Dead("starts")},
	{"ControlDeadLetterQueue", Dead("controls")},
	{"StartQueue", "starts"},
	{"ControlQueue", "controls"},
}

// notHere are the variables of template.yaml for which there is nothing here, unless somebody says otherwise: a secret
// and an event bus at AWS, ECS, and a port that recorders on one machine would all want.
var notHere = []string{"LIVEKIT_SECRET_ARN", "EVENT_BUS", "ECS_CLUSTER", "ECS_SERVICE", "METRICS_ADDR"}

// deploy reads template.yaml, and makes its queues, as it says.
func (s *Stack) deploy(ctx context.Context) error {
	tree, err := template.Read(filepath.Join(s.Tools, "..", "..", "template.yaml"))
	if err != nil {
		return err
	}
	given := map[string]string{
		"AWS::Region":       home,
		"LiveKitUrl":        s.LiveKit,
		"LiveKitSecretArn":  "arn:aws:secretsmanager:" + home + ":000000000000:secret:local-AbCdEf",
		"AutoRecord":        cmp.Or(s.AutoRecord, "all"),
		"AutoRecordTargets": cmp.Or(s.AutoTargets, "av"),
		"ExistingBucket":    Bucket,
		"BucketRegion":      region,
		"S3Directory":       Directory,
		"RecorderVersion":   "local",
		"VpcId":             "vpc-local",
		"SubnetIds":         "subnet-local",
	}

	for _, queue := range queueNames {
		url, arn, err := s.createQueue(ctx, tree, given, queue.resource, queue.name)
		if err != nil {
			return fmt.Errorf("create %s: %w", queue.resource, err)
		}
		given[queue.resource], given[queue.resource+".Arn"] = url, arn
	}
	s.StartQueue, s.ControlQueue = given["StartQueue"], given["ControlQueue"]

	if s.deployed, err = tree.Deploy(given); err != nil {
		return err
	}
	if s.Audit {
		s.audit, err = newAudit(s.deployed)
	}
	return err
}

// createQueue makes a queue with the attributes that the template gives it.
func (s *Stack) createQueue(ctx context.Context, tree *template.Template, given map[string]string,
	resource, name string) (url, arn string, err error) {
	deployed, err := tree.Deploy(given)
	if err != nil {
		return "", "", err
	}
	properties, err := deployed.Properties(resource)
	if err != nil {
		return "", "", err
	}

	attributes := map[string]string{}
	for attribute, value := range properties {
		text, plain := value.(string)
		if !plain {
			encoded, err := json.Marshal(value)
			if err != nil {
				return "", "", err
			}
			text = string(encoded)
		}
		attributes[attribute] = text
	}

	client := s.SQSClient()
	made, err := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		return "", "", err
	}
	url = aws.ToString(made.QueueUrl)
	read, err := client.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{
		QueueUrl:       &url,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", "", err
	}
	return url, read.Attributes[string(types.QueueAttributeNameQueueArn)], nil
}

// functionEnv and deployedRecorderEnv are the environments that the template gives the two programs, but for what is not
// here.
func (s *Stack) functionEnv() ([]string, error) {
	properties, err := s.deployed.Properties("ApiFunction")
	if err != nil {
		return nil, err
	}
	environment, _ := properties["Environment"].(template.Node)
	variables, _ := environment["Variables"].(template.Node)
	return lines(variables)
}

func (s *Stack) deployedRecorderEnv() ([]string, error) {
	properties, err := s.deployed.Properties("RecorderTask")
	if err != nil {
		return nil, err
	}
	variables := template.Node{}
	containers, _ := properties["ContainerDefinitions"].([]any)
	for _, c := range containers {
		container, _ := c.(template.Node)
		environment, _ := container["Environment"].([]any)
		for _, v := range environment {
			variable, _ := v.(template.Node)
			variables[fmt.Sprint(variable["Name"])] = variable["Value"]
		}
	}
	return lines(variables)
}

// lines are an environment in order.
func lines(variables template.Node) (env []string, err error) {
	if len(variables) == 0 {
		return nil, errors.New("template.yaml gives a program no environment")
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if !slices.Contains(notHere, name) {
			env = append(env, name+"="+fmt.Sprint(variables[name]))
		}
	}
	return env, nil
}

// functionTimeout is how long the function may take.
func (s *Stack) functionTimeout() (time.Duration, error) {
	globals, _ := s.deployed.Section("Globals")["Function"].(template.Node)
	seconds, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(globals["Timeout"])))
	if err != nil {
		return 0, fmt.Errorf("the function's timeout: %w", err)
	}
	return time.Duration(seconds) * time.Second, nil
}
