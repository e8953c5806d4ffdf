package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"livekit-recorder/infra/template"
)

// metric is where a number comes from, and how to look at it.
type metric struct {
	namespace, name string
	// of is the resource that it is about; the stack for the recorders' own.
	of string
	// statistic is the one that means something, and below says that it is bad when it is too small.
	statistic string
	below     bool
}

const (
	recorders = "ParticipantRecorder"
	visible   = "ApproximateNumberOfMessagesVisible"
)

// alarms are those that there must be, each with what it watches.
var alarms = map[string]metric{
	"StartDeadLettersAlarm":   {"AWS/SQS", visible, "StartDeadLetterQueue", "Maximum", false},
	"ControlDeadLettersAlarm": {"AWS/SQS", visible, "ControlDeadLetterQueue", "Maximum", false},
	"OldestStartAlarm":        {"AWS/SQS", visible, "StartQueue", "Minimum", false},
	"RecordingsFailedAlarm":   {recorders, "RecordingsFailed", "", "Sum", false},
	"ApiErrorsAlarm":          {"AWS/ApiGateway", "5xx", "HttpApi", "Sum", false},
	"FunctionErrorsAlarm":     {"AWS/Lambda", "Errors", "ApiFunction", "Sum", false},
	"FunctionThrottlesAlarm":  {"AWS/Lambda", "Throttles", "ApiFunction", "Sum", false},
	"UploadLagAlarm":          {recorders, "UploadLag", "", "Maximum", false},
	"AllFullAlarm":            {recorders, "Full", "", "Minimum", false},
	"NoneRunningAlarm":        {recorders, "Capacity", "", "SampleCount", true},
	"ScratchAlarm":            {recorders, "ScratchUsed", "", "Maximum", false},
	"DroppedDatagramsAlarm":   {recorders, "DroppedDatagrams", "", "Sum", false},
	"FaultsAlarm":             {recorders, "Faults", "", "Maximum", false},
}

// dimensions are those that a metric has (each service's documentation of its metrics).
func (e *examiner) dimensions(m metric) map[string]string {
	name := map[string]string{"AWS/SQS": "QueueName", "AWS/ApiGateway": "ApiId", "AWS/Lambda": "FunctionName"}
	var value any
	switch m.namespace {
	case recorders:
		value, _ = e.Resolve(template.Node{"Ref": "AWS::StackName"})
		return map[string]string{"Stack": fmt.Sprint(value)}
	case "AWS/SQS":
		value, _ = e.Resolve(template.Node{"Fn::GetAtt": m.of + ".QueueName"})
	default:
		value, _ = e.Resolve(template.Node{"Ref": m.of})
	}
	return map[string]string{name[m.namespace]: fmt.Sprint(value)}
}

// wantMetric finds fault with a metric of the recorders' that they do not have.
func (e *examiner) wantMetric(name string) {
	if !strings.Contains(programs("recorder"), `"`+name+`"`) {
		e.finding("recorders do not say %s", name)
	}
}

// checkAlarms: each alarm watches what it is called after, can go off, tells somebody, and says where to read on.
func checkAlarms(e *examiner) {
	topic, _ := e.Resolve(template.Node{"Ref": "AlarmTopic"})
	runbook := source("infra", "RUNBOOK.md")
	always, _ := e.Resolve(template.Node{"Condition": "AlwaysRunning"})

	for _, name := range slices.Sorted(maps.Keys(alarms)) {
		if name == "NoneRunningAlarm" && always == false {
			if there, _ := e.Has(name); there {
				e.finding("%s goes off whenever nobody is recorded", name)
			}
			continue
		}
		m, alarm := alarms[name], e.properties(name)
		e.want(name+": Namespace", alarm["Namespace"], m.namespace)
		e.want(name+": MetricName", alarm["MetricName"], m.name)
		e.want(name+": Dimensions", pairs(alarm["Dimensions"]), e.dimensions(m))
		e.want(name+": Statistic", alarm["Statistic"], m.statistic)
		e.want(name+": AlarmActions", alarm["AlarmActions"], []any{topic})
		e.want(name+": OKActions", alarm["OKActions"], []any{topic})
		if m.namespace == recorders {
			e.wantMetric(m.name)
		}

		missing, comparison := "notBreaching", "GreaterThanOrEqualToThreshold"
		if m.below {
			missing, comparison = "breaching", "LessThanThreshold"
		}
		e.want(name+": TreatMissingData", alarm["TreatMissingData"], missing)
		e.want(name+": ComparisonOperator", alarm["ComparisonOperator"], comparison)
		most := map[string]int{"Full": 1, "ScratchUsed": 95, "UploadLag": 600, "DroppedDatagrams": 1000}[m.name]
		e.between(name+": Threshold", alarm["Threshold"], 1, max(most, 1))
		period := e.between(name+": Period", alarm["Period"], 60, 300)
		times := e.between(name+": EvaluationPeriods", alarm["EvaluationPeriods"], 1, 5)
		if period%60 != 0 || period*times > 10*60 {
			e.finding("%s takes %d s, %d times", name, period, times)
		}
		e.checkRunbook(name, fmt.Sprint(alarm["AlarmDescription"]), runbook)
	}

	for _, name := range e.of("AWS::CloudWatch::Alarm") {
		told := items(e.properties(name)["AlarmActions"])
		if _, known := alarms[name]; !known && slices.Contains(told, topic) {
			e.finding("nobody has said what %s is to watch", name)
		}
	}
}

// section finds a paragraph of the runbook.
func section(runbook, anchor string) string {
	for part := range strings.SplitSeq(runbook, "\n## ") {
		title, body, _ := strings.Cut(part, "\n")
		if strings.ReplaceAll(strings.ToLower(title), " ", "-") == anchor {
			return body
		}
	}
	return ""
}

func (e *examiner) checkRunbook(name, description, runbook string) {
	link := regexp.MustCompile(`infra/RUNBOOK\.md#(\S+)$`).FindStringSubmatch(description)
	if link == nil {
		e.finding("%s does not end in a link to the runbook: %s", name, description)
		return
	}
	body := section(runbook, link[1])
	for _, question := range []string{"**What it means.**", "**Look at.**", "**Do.**"} {
		if !strings.Contains(body, question) {
			e.finding("%s: the runbook's %q has no %s", name, link[1], question)
		}
	}
}

// checkDashboard: what it shows is there.
func checkDashboard(e *examiner) {
	body := fmt.Sprint(e.properties("Dashboard")["DashboardBody"])
	var dashboard struct {
		Widgets []struct {
			Type          string
			Width, Height int
			Properties    struct {
				Title, Region, View, Query string
				Alarms                     []string
				Metrics                    [][]any
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		e.finding("the dashboard is no JSON: %v", err)
		return
	}

	shown := map[string]bool{}
	region, _ := e.Resolve(template.Node{"Ref": "AWS::Region"})
	for _, w := range dashboard.Widgets {
		if w.Properties.Title == "" || w.Width < 1 || w.Width > 24 {
			e.finding("a widget has the title %q and the width %d", w.Properties.Title, w.Width)
		}
		for _, alarm := range w.Properties.Alarms {
			shown[alarm[strings.LastIndex(alarm, "-")+1:]] = true
		}
		for _, m := range w.Properties.Metrics {
			e.want(w.Properties.Title+": region", w.Properties.Region, region)
			e.checkShown(w.Properties.Title, m)
		}
	}
	for name := range alarms {
		if name != "NoneRunningAlarm" && !shown[name] {
			e.finding("the dashboard does not show %s", name)
		}
	}
	if name := fmt.Sprint(e.properties("Dashboard")["DashboardName"]); !strings.Contains(name, fmt.Sprint(region)) {
		e.finding("the dashboard %s is also that of a stack of the same name in another region", name)
	}
}

// known are the metrics of AWS's services that are of use here.
var known = map[string][]string{
	"AWS/SQS":        {"ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"},
	"AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency", "IntegrationLatency", "DataProcessed"},
	"AWS/Lambda":     {"Errors", "Throttles", "Invocations", "Duration", "ConcurrentExecutions"},
}

// checkShown looks at a metric of the dashboard: namespace, name, dimension, value, and how to show it.
func (e *examiner) checkShown(title string, shown []any) {
	if len(shown) != 5 {
		e.finding("%s: a metric has %d parts: %v", title, len(shown), shown)
		return
	}
	namespace, name := fmt.Sprint(shown[0]), fmt.Sprint(shown[1])
	if namespace == recorders {
		e.wantMetric(name)
	} else if !slices.Contains(known[namespace], name) {
		e.finding("%s: %s has no metric %s", title, namespace, name)
	}

	is := map[string]string{fmt.Sprint(shown[2]): fmt.Sprint(shown[3])}
	for _, of := range []string{"StartQueue", "StartDeadLetterQueue", "ControlDeadLetterQueue", "HttpApi", "ApiFunction"} {
		if maps.Equal(is, e.dimensions(metric{namespace: namespace, of: of})) {
			return
		}
	}
	e.finding("%s: %s has no dimension %v", title, name, is)
}

// checkEvents: deployments that fail are told to the same people as alarms, who can be told at all.
func checkEvents(e *examiner) {
	topic, _ := e.Resolve(template.Node{"Ref": "AlarmTopic"})
	rule := e.properties("DeploymentFailed")
	e.want("the rule's target", at(rule, "Targets", 0, "Arn"), topic)
	e.want("source", at(rule, "EventPattern", "source"), "[aws.ecs]")
	e.want("detail-type", at(rule, "EventPattern", "detail-type"), "[ECS Deployment State Change]")
	e.want("eventName", at(rule, "EventPattern", "detail", "eventName"), "[SERVICE_DEPLOYMENT_FAILED]")
	service, _ := e.Resolve(template.Node{"Ref": "RecorderService"})
	e.want("resources", at(rule, "EventPattern", "resources"), []any{service})
	e.checkRunbook("DeploymentFailed", fmt.Sprint(rule["Description"]), source("infra", "RUNBOOK.md"))

	policy, err := e.ResourcePolicy("AlarmTopicPolicy")
	if err != nil {
		e.finding("%v", err)
	}
	e.want("the topic of AlarmTopicPolicy", e.properties("AlarmTopicPolicy")["Topics"], []any{topic})
	id, _ := e.Resolve(template.Node{"Ref": "AWS::AccountId"})
	may := map[string]bool{}
	for _, s := range policy {
		call := template.Call{
			Action:   "sns:Publish",
			Resource: fmt.Sprint(topic),
			Context:  map[string]string{"aws:SourceAccount": fmt.Sprint(id)},
		}
		may[s.Principal] = len(template.Allowing([]template.Statement{s}, call)) > 0
	}
	e.want("who may publish", may, map[string]bool{"cloudwatch.amazonaws.com": true, "events.amazonaws.com": true})

	address, _ := e.Resolve(template.Node{"Ref": "AlarmEmail"})
	if there, _ := e.Has("AlarmSubscription"); there != (address != "") {
		e.finding("there is a subscription: %t, for %q", there, address)
	} else if there {
		mail := e.properties("AlarmSubscription")
		e.want("TopicArn", mail["TopicArn"], topic)
		e.want("Protocol", mail["Protocol"], "email")
		e.want("Endpoint", mail["Endpoint"], address)
	}
}
