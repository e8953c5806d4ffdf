package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Statement is one of a policy (IAM user guide, "IAM JSON policy elements reference").
type Statement struct {
	Sid       string
	Deny      bool
	Actions   []string
	Resources []string
	// Conditions has what must be equal, by the name of the key: of StringEquals and Bool, the only operators that are
	// known here.
	Conditions map[string]string
	Principal  string // of a resource's own policy: a service, or *
}

// Call is what somebody asks AWS to do.
type Call struct {
	Action   string // s3:GetObject
	Resource string // ARN, or * for calls that are about none
	// Context has what else is known of the call, such as kms:ViaService.
	Context map[string]string
}

// Policy are the statements of a role, in order.
func (d *Deployment) Policy(role string) (all []Statement, err error) {
	properties, err := d.Properties(role)
	if err != nil {
		return nil, err
	}
	if managed, ok := properties["ManagedPolicyArns"].([]any); ok && len(managed) > 0 {
		return nil, fmt.Errorf("role %s has managed policies, which are AWS's to change: %v", role, managed)
	}

	policies, _ := properties["Policies"].([]any)
	attached, err := d.attached(role)
	if err != nil {
		return nil, err
	}
	for _, p := range append(policies, attached...) {
		policy, _ := p.(Node)
		statements, err := statements(policy["PolicyDocument"])
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", role, err)
		}
		all = append(all, statements...)
	}
	return all, nil
}

// attached are the policies that are resources of their own, and name a role.
func (d *Deployment) attached(role string) (policies []any, err error) {
	name, err := d.lookup(role)
	if err != nil {
		return nil, err
	}
	for _, resource := range slices.Sorted(maps.Keys(d.Section("Resources"))) {
		if d.Resource(resource)["Type"] != "AWS::IAM::Policy" {
			continue
		}
		policy, err := d.Properties(resource)
		if err != nil {
			return nil, err
		}
		if policy != nil && slices.Contains(texts(policy["Roles"]), fmt.Sprint(name)) {
			policies = append(policies, policy)
		}
	}
	return policies, nil
}

// Trust is who may take a role.
func (d *Deployment) Trust(role string) ([]Statement, error) {
	properties, err := d.Properties(role)
	if err != nil {
		return nil, err
	}
	return statements(properties["AssumeRolePolicyDocument"])
}

// ResourcePolicy is the policy that a resource itself has.
func (d *Deployment) ResourcePolicy(name string) ([]Statement, error) {
	properties, err := d.Properties(name)
	if err != nil || properties == nil {
		return nil, err
	}
	return statements(properties["PolicyDocument"])
}

func statements(document any) (all []Statement, err error) {
	policy, _ := document.(Node)
	if policy["Version"] != "2012-10-17" {
		return nil, fmt.Errorf("policy of version %v", policy["Version"])
	}
	list, _ := policy["Statement"].([]any)
	for _, s := range list {
		statement, _ := s.(Node)
		read, err := readStatement(statement)
		if err != nil {
			return nil, err
		}
		all = append(all, read)
	}
	return all, nil
}

func readStatement(n Node) (s Statement, err error) {
	for key := range n {
		known := []string{"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
		if !slices.Contains(known, key) {
			return s, fmt.Errorf("statement with %s", key)
		}
	}

	s = Statement{Deny: n["Effect"] == "Deny", Actions: texts(n["Action"]), Resources: texts(n["Resource"])}
	s.Sid, _ = n["Sid"].(string)
	if s.Deny == (n["Effect"] == "Allow") {
		return s, fmt.Errorf("statement %s has the effect %v", s.Sid, n["Effect"])
	}
	switch principal := n["Principal"].(type) {
	case string:
		s.Principal = principal
	case Node:
		s.Principal = fmt.Sprint(principal["Service"])
	}

	conditions, _ := n["Condition"].(Node)
	for operator, keys := range conditions {
		if operator != "StringEquals" && operator != "Bool" {
			return s, fmt.Errorf("statement %s has the condition %s", s.Sid, operator)
		}
		s.Conditions = map[string]string{}
		for key, value := range keys.(Node) {
			s.Conditions[key] = fmt.Sprint(value)
		}
	}
	return s, nil
}

// texts is a text or a list of them.
func texts(value any) (all []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, fmt.Sprint(item))
		}
	}
	return all
}

// Grant is one action on one resource of a statement.
type Grant struct {
	Sid, Action, Resource string
}

// Grants are what a statement allows, one by one.
func (s Statement) Grants() (all []Grant) {
	for _, action := range s.Actions {
		for _, resource := range s.Resources {
			all = append(all, Grant{s.Sid, action, resource})
		}
	}
	return all
}

// Allowing are the grants that allow a call; none if it is refused.
func Allowing(policy []Statement, call Call) (grants []Grant) {
	for _, s := range policy {
		for _, g := range s.Grants() {
			if !s.meets(call) || !like(strings.ToLower(g.Action), strings.ToLower(call.Action)) ||
				!like(g.Resource, call.Resource) {
				continue
			}
			if s.Deny {
				return nil // whatever else allows it
			}
			grants = append(grants, g)
		}
	}
	return grants
}

func (s Statement) meets(call Call) bool {
	for key, value := range s.Conditions {
		if call.Context[key] != value {
			return false
		}
	}
	return true
}

// like compares with a pattern in which * stands for anything, slashes included, and ? for one character.
func like(pattern, text string) bool {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile(`(?s)^` + quoted + `$`).MatchString(text)
}
