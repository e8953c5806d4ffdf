// Package scaling plays the scaling of template.yaml in virtual time: how CloudWatch calculates its alarms, what
// Application Auto Scaling makes of them, how ECS starts and stops tasks, and how recorders share what is on the queue.
// The policies and the alarms are read from the template, the recorders' pace is that of recorder/worker; the rest is a
// model, whose assumptions are in world.go.
package scaling

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Parameters are the template's parameters that are numbers, by name.
type Parameters map[string]int

// alarm is a CloudWatch alarm on a metric math expression.
type alarm struct {
	name       string
	metrics    map[string]metric
	expression string
	periods    int
	threshold  float64
	policies   []string
}

// metric is one of the metrics that an alarm calculates with.
type metric struct {
	name      string // with its namespace
	statistic string
}

// policy is a step scaling policy.
type policy struct {
	adjustment string
	cooldown   int // seconds
	steps      []step
}

// step is one of its steps. Bounds count from the alarm's threshold; nil is none.
type step struct {
	Lower      *float64 `yaml:"MetricIntervalLowerBound"`
	Upper      *float64 `yaml:"MetricIntervalUpperBound"`
	Adjustment int      `yaml:"ScalingAdjustment"`
}

// Template is what a template says of scaling.
type Template struct {
	Defaults Parameters
	// DesiredCount is what each deployment sets the number of tasks to; empty if it leaves that alone.
	DesiredCount string

	alarms   []alarm
	policies map[string]policy
}

// resources are those of a template, as far as they concern scaling. Functions such as !Ref are tags of their arguments,
// and read like these.
type resources struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Resources map[string]struct {
		Type       string    `yaml:"Type"`
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

// alarmProperties are those of AWS::CloudWatch::Alarm.
type alarmProperties struct {
	Metrics []struct {
		ID         string `yaml:"Id"`
		ReturnData bool   `yaml:"ReturnData"`
		Expression string `yaml:"Expression"`
		MetricStat struct {
			Stat   string `yaml:"Stat"`
			Period int    `yaml:"Period"`
			Metric struct {
				Namespace  string `yaml:"Namespace"`
				MetricName string `yaml:"MetricName"`
			} `yaml:"Metric"`
		} `yaml:"MetricStat"`
	} `yaml:"Metrics"`
	EvaluationPeriods  int      `yaml:"EvaluationPeriods"`
	Threshold          float64  `yaml:"Threshold"`
	ComparisonOperator string   `yaml:"ComparisonOperator"`
	TreatMissingData   string   `yaml:"TreatMissingData"`
	AlarmActions       []string `yaml:"AlarmActions"`
}

// policyProperties are those of AWS::ApplicationAutoScaling::ScalingPolicy.
type policyProperties struct {
	PolicyType    string `yaml:"PolicyType"`
	Configuration struct {
		AdjustmentType  string `yaml:"AdjustmentType"`
		Cooldown        int    `yaml:"Cooldown"`
		StepAdjustments []step `yaml:"StepAdjustments"`
	} `yaml:"StepScalingPolicyConfiguration"`
}

// Read reads a template.
func Read(path string) (*Template, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	return parse(content)
}

func parse(content []byte) (*Template, error) {
	var all resources
	if err := yaml.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}

	t := &Template{Defaults: Parameters{}, policies: map[string]policy{}}
	for name, parameter := range all.Parameters {
		if n, err := strconv.Atoi(parameter.Default); err == nil {
			t.Defaults[name] = n
		}
	}

	for name, resource := range all.Resources {
		var err error
		switch resource.Type {
		case "AWS::CloudWatch::Alarm":
			err = t.addAlarm(name, &resource.Properties)
		case "AWS::ApplicationAutoScaling::ScalingPolicy":
			err = t.addPolicy(name, &resource.Properties)
		case "AWS::ECS::Service":
			var service struct {
				DesiredCount string `yaml:"DesiredCount"`
			}
			err = resource.Properties.Decode(&service)
			t.DesiredCount = service.DesiredCount
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return t, t.complete()
}

// complete forgets the alarms that scale nothing, and complains if nothing is left.
func (t *Template) complete() error {
	var scaling []alarm
	for _, a := range t.alarms {
		for _, action := range a.policies {
			if _, ok := t.policies[action]; ok {
				scaling = append(scaling, a)
			}
		}
	}
	t.alarms = scaling
	if len(scaling) == 0 {
		return errors.New("read template: no alarm has a scaling policy for an action")
	}
	return nil
}

// addAlarm takes an alarm. What the model does not know is an error only for those that scale.
func (t *Template) addAlarm(name string, properties *yaml.Node) error {
	var p alarmProperties
	if err := properties.Decode(&p); err != nil {
		return err
	}

	a := alarm{
		name:      name,
		metrics:   map[string]metric{},
		periods:   p.EvaluationPeriods,
		threshold: p.Threshold,
		policies:  p.AlarmActions,
	}
	for _, m := range p.Metrics {
		switch {
		case m.ReturnData:
			a.expression = m.Expression
		case m.MetricStat.Period == 60:
			of := m.MetricStat.Metric
			a.metrics[m.ID] = metric{of.Namespace + " " + of.MetricName, m.MetricStat.Stat}
		}
	}
	if a.expression == "" || p.ComparisonOperator != "GreaterThanOrEqualToThreshold" ||
		p.TreatMissingData != "notBreaching" {
		return nil // nothing that can be scaled by here: complete says so if that leaves nothing
	}
	t.alarms = append(t.alarms, a)
	return nil
}

func (t *Template) addPolicy(name string, properties *yaml.Node) error {
	var p policyProperties
	if err := properties.Decode(&p); err != nil {
		return err
	}
	if p.PolicyType != "StepScaling" {
		return fmt.Errorf("a policy of type %s is not modelled", p.PolicyType)
	}

	t.policies[name] = policy{
		adjustment: p.Configuration.AdjustmentType,
		cooldown:   p.Configuration.Cooldown,
		steps:      p.Configuration.StepAdjustments,
	}
	return nil
}

var inText = regexp.MustCompile(`\$\{([A-Za-z]+)\}`)

// fill puts parameters into a text, as !Sub does.
func (p Parameters) fill(text string) string {
	return inText.ReplaceAllStringFunc(text, func(name string) string {
		return strconv.Itoa(p[name[2:len(name)-1]])
	})
}
