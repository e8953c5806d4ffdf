package checks

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"livekit-recorder/infra/template"
)

// checkAPI: everybody may call the function, which itself looks who they are; not too often; and is written down.
func checkAPI(e *examiner) {
	api := e.properties("HttpApi")
	e.want("StageName", api["StageName"], "$default")
	// An authorizer of API Gateway's would refuse LiveKit's webhooks, and tokens.
	e.want("Auth", api["Auth"], template.Node{"EnableIamAuthorizer": "false"})
	for name, parameter := range map[string]string{
		"ThrottlingRateLimit":  "ApiRateLimit",
		"ThrottlingBurstLimit": "ApiBurstLimit",
	} {
		value, _ := e.Resolve(template.Node{"Ref": parameter})
		e.want(name, at(api, "DefaultRouteSettings", name), value)
	}

	logs, _ := e.Resolve(template.Node{"Fn::GetAtt": "ApiLogs.Arn"})
	e.want("the access log's DestinationArn", at(api, "AccessLogSettings", "DestinationArn"), logs)
	format := fmt.Sprint(at(api, "AccessLogSettings", "Format"))
	for _, needed := range []string{"requestId", "status", "routeKey", "integrationStatus"} {
		if !strings.Contains(format, "$context."+needed+`"`) {
			e.finding("the access log lacks %s", needed)
		}
	}
	for _, secret := range []string{"authorizer", "$context.path", "querystring", "header"} {
		if strings.Contains(strings.ToLower(format), secret) {
			e.finding("the access log has %s", secret)
		}
	}

	own, _ := e.Resolve(template.Node{"Ref": "HttpApi"})
	routes := map[string]bool{}
	events, _ := e.properties("ApiFunction")["Events"].(template.Node)
	for name, event := range events {
		e.want(name+": Type", at(event, "Type"), "HttpApi")
		e.want(name+": ApiId", at(event, "Properties", "ApiId"), own)
		routes[fmt.Sprint(at(event, "Properties", "Method"), " ", at(event, "Properties", "Path"))] = true
	}
	if !routes["<nil> <nil>"] {
		e.finding("no route takes everything else")
	}
	for route := range routes {
		path := route[strings.LastIndex(route, " ")+1:]
		if route != "<nil> <nil>" && !strings.Contains(programs("functions"), path+`"`) {
			e.finding("the function has no route %s", route)
		}
	}

	outputs := e.Section("Outputs")
	address, err := e.Resolve(at(outputs, "WebhookUrl", "Value"))
	if err != nil || !strings.HasSuffix(fmt.Sprint(address), ".amazonaws.com/recordings/webhooks") {
		e.finding("WebhookUrl is %v: %v", address, err)
	}
	timeout := at(e.Section("Globals"), "Function", "Timeout")
	e.between("the function's Timeout", timeout, 11, 29) // calls to the bucket end after 10 s, API Gateway's after 30
}

// checkReferences: everything that is named is there, in every deployment, and everything that is there is used.
func checkReferences(e *examiner) {
	for _, name := range slices.Sorted(maps.Keys(e.Section("Resources"))) {
		if _, err := e.Properties(name); err != nil {
			e.finding("%v", err)
		}
	}
	for name, output := range e.Section("Outputs") {
		if _, err := e.Resolve(at(output, "Value")); err != nil {
			e.finding("output %s: %v", name, err)
		}
		if at(output, "Description") == nil {
			e.finding("output %s does not say what it is", name)
		}
	}

	used := e.used()
	for _, section := range []string{"Parameters", "Conditions", "Mappings"} {
		for name := range e.Section(section) {
			if !used[name] {
				e.finding("%s: %s is not used", section, name)
			}
		}
	}
	runbook := source("infra", "RUNBOOK.md") + source("infra", "DEPLOYMENT.md")
	for _, m := range regexp.MustCompile(`(?:\$\(output|logs|^output) (\w+)`).FindAllStringSubmatch(runbook, -1) {
		if e.Section("Outputs")[m[1]] == nil && strings.ToUpper(m[1][:1]) == m[1][:1] {
			e.finding("the runbook uses the output %s, which there is not", m[1])
		}
	}
}

// used are the names that something in the template uses.
func (e *examiner) used() map[string]bool {
	used := map[string]bool{}
	inText := regexp.MustCompile(`\$\{([A-Za-z0-9:]+)(\.[A-Za-z]+)?\}`)
	template.Walk(e.Tree, func(_ string, n template.Node) {
		for function, argument := range n {
			switch function {
			case "Ref", "Condition":
				used[fmt.Sprint(argument)] = true
			case "Fn::If", "Fn::FindInMap":
				used[fmt.Sprint(at(argument, 0))] = true
			case "Fn::Sub":
				for _, m := range inText.FindAllStringSubmatch(fmt.Sprint(argument), -1) {
					used[m[1]] = true
				}
			}
		}
	})
	return used
}
