package template

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What a deployment is called, if nobody says otherwise.
const (
	account = "123456789012"
	stack   = "participant-recorder"
	home    = "eu-central-1"
)

// Deployment is the template with parameters, and with names for what only AWS knows.
type Deployment struct {
	*Template
	// values are what Ref gives, and GetAtt (RESOURCE.ATTRIBUTE).
	values map[string]any
}

// Deploy gives the template parameters; what is not given has its default. Names of what is made, which AWS would
// choose, may be given, too: "StartQueue" for Ref, "StartQueue.Arn" for GetAtt.
func (t *Template) Deploy(given map[string]string) (*Deployment, error) {
	d := &Deployment{t, map[string]any{
		"AWS::AccountId": account,
		"AWS::Partition": "aws",
		"AWS::Region":    home,
		"AWS::StackName": stack,
		"AWS::URLSuffix": "amazonaws.com",
	}}

	for name, value := range given {
		d.values[name] = value
	}
	for name, p := range t.Section("Parameters") {
		parameter, _ := p.(Node)
		value, ok := given[name]
		if !ok {
			if value, ok = parameter["Default"].(string); !ok {
				return nil, fmt.Errorf("parameter %s has no value", name)
			}
		}
		d.values[name] = value
		if kind, _ := parameter["Type"].(string); strings.HasPrefix(kind, "List<") {
			d.values[name] = list(strings.Split(value, ","))
		}
	}

	for name := range t.Section("Resources") {
		for attribute, value := range named(d, name) {
			if _, ok := d.values[attribute]; !ok {
				d.values[attribute] = value
			}
		}
	}
	return d, nil
}

func list(values []string) (all []any) {
	for _, value := range values {
		all = append(all, value)
	}
	return all
}

// named are names that AWS could choose for a resource.
func named(d *Deployment, name string) map[string]any {
	kind, _ := d.Resource(name)["Type"].(string)
	own := stack + "-" + name
	region, id := fmt.Sprint(d.values["AWS::Region"]), fmt.Sprint(d.values["AWS::AccountId"])
	arn := func(service, rest string) string {
		return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, region, id, rest)
	}

	switch kind {
	case "AWS::SQS::Queue":
		return map[string]any{
			name:                fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", region, id, own),
			name + ".Arn":       arn("sqs", own),
			name + ".QueueName": own,
		}
	case "AWS::S3::Bucket":
		bucket := strings.ToLower(own)
		return map[string]any{name: bucket, name + ".Arn": "arn:aws:s3:::" + bucket}
	case "AWS::Logs::LogGroup":
		return map[string]any{name: own, name + ".Arn": arn("logs", "log-group:"+own+":*")}
	case "AWS::IAM::Role":
		return map[string]any{name: own, name + ".Arn": "arn:aws:iam::" + id + ":role/" + own}
	case "AWS::ECS::Service":
		cluster := stack + "-Cluster"
		return map[string]any{name: arn("ecs", "service/"+cluster+"/"+own), name + ".Name": own}
	case "AWS::SNS::Topic":
		return map[string]any{name: arn("sns", own)}
	case "AWS::CloudWatch::Alarm":
		return map[string]any{name: own, name + ".Arn": arn("cloudwatch", "alarm:"+own)}
	case "AWS::Serverless::Function":
		return map[string]any{name: own, name + ".Arn": arn("lambda", "function:"+own)}
	}
	return map[string]any{
		name:           own,
		name + ".Arn":  arn("other", own),
		name + ".Name": own,
	}
}

// noValue is what AWS::NoValue stands for: what has it as its value is not there.
type noValue struct{}

// Has says whether a resource is part of this deployment: whether its condition holds.
func (d *Deployment) Has(resource string) (bool, error) {
	r := d.Resource(resource)
	if r == nil {
		return false, nil
	}
	condition, ok := r["Condition"].(string)
	if !ok {
		return true, nil
	}
	return d.condition(condition)
}

// Properties are those of a resource, resolved; nil if the deployment does not have it.
func (d *Deployment) Properties(resource string) (Node, error) {
	there, err := d.Has(resource)
	if err != nil || !there {
		return nil, err
	}
	properties, err := d.Resolve(d.Resource(resource)["Properties"])
	if err != nil {
		return nil, fmt.Errorf("resource %s: %w", resource, err)
	}
	n, _ := properties.(Node)
	return n, nil
}

// Resolve calculates a value: everything in it that is a function of the deployment.
func (d *Deployment) Resolve(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		return d.resolveList(v)
	case Node:
		if len(v) == 1 {
			for function, argument := range v {
				if known := d.function(function); known != nil {
					return known(argument)
				}
			}
		}
		return d.resolveMap(v)
	}
	return value, nil
}

func (d *Deployment) resolveList(v []any) (any, error) {
	all := []any{}
	for _, item := range v {
		resolved, err := d.Resolve(item)
		if err != nil {
			return nil, err
		}
		if resolved != (noValue{}) {
			all = append(all, resolved)
		}
	}
	return all, nil
}

func (d *Deployment) resolveMap(v Node) (any, error) {
	all := Node{}
	for _, key := range slices.Sorted(maps.Keys(v)) {
		resolved, err := d.Resolve(v[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if resolved != (noValue{}) {
			all[key] = resolved
		}
	}
	return all, nil
}

// function finds one of CloudFormation's intrinsic functions.
func (d *Deployment) function(name string) func(any) (any, error) {
	return map[string]func(any) (any, error){
		"Ref":           d.ref,
		"Condition":     d.named,
		"Fn::GetAtt":    d.getAtt,
		"Fn::Sub":       d.sub,
		"Fn::If":        d.choose,
		"Fn::FindInMap": d.find,
		"Fn::Join":      d.join,
		"Fn::Split":     d.split,
		"Fn::Select":    d.pick,
		"Fn::Equals":    d.equals,
		"Fn::Not":       d.not,
		"Fn::And":       d.both(true),
		"Fn::Or":        d.both(false),
	}[name]
}

// lookup is what Ref or GetAtt gives. What belongs to a resource whose condition does not hold is an error, as it is
// for CloudFormation.
func (d *Deployment) lookup(name string) (any, error) {
	if name == "AWS::NoValue" {
		return noValue{}, nil
	}
	resource, _, _ := strings.Cut(name, ".")
	if d.Resource(resource) != nil {
		if there, err := d.Has(resource); err != nil || !there {
			return nil, errors.Join(err, fmt.Errorf("reference to %s, which is not part of this deployment", resource))
		}
	}
	value, ok := d.values[name]
	if !ok {
		return nil, fmt.Errorf("reference to %s, which there is not", name)
	}
	return value, nil
}

func (d *Deployment) ref(argument any) (any, error) { return d.lookup(fmt.Sprint(argument)) }

func (d *Deployment) getAtt(argument any) (any, error) {
	if parts, ok := argument.([]any); ok && len(parts) == 2 {
		argument = fmt.Sprint(parts[0], ".", parts[1])
	}
	return d.lookup(fmt.Sprint(argument))
}

var inText = regexp.MustCompile(`\$\{([^!}][^}]*)\}`)

func (d *Deployment) sub(argument any) (any, error) {
	text, ok := argument.(string)
	local := Node{}
	if parts, isList := argument.([]any); isList && len(parts) == 2 {
		text, ok = parts[0].(string)
		given, err := d.Resolve(parts[1])
		if err != nil {
			return nil, err
		}
		local, _ = given.(Node)
	}
	if !ok {
		return nil, errors.New("Fn::Sub without a text")
	}

	var failed error
	filled := inText.ReplaceAllStringFunc(text, func(found string) string {
		name := found[2 : len(found)-1]
		value, ok := local[name]
		if !ok {
			var err error
			value, err = d.lookup(name)
			failed = cmp.Or(failed, err)
		}
		return fmt.Sprint(value)
	})
	return strings.ReplaceAll(filled, "${!", "${"), failed
}
