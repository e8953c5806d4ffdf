package template

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const example = `
Parameters:
  Name: {Type: String, Default: videos}
  Subnets: {Type: "List<AWS::EC2::Subnet::Id>"}
Mappings:
  Sizes:
    small: {Cpu: "512"}
Conditions:
  New: !Equals [!Ref Name, ""]
  Old: !Not [!Condition New]
  Both: !And [!Condition New, !Condition Old]
  Either: !Or [!Condition New, !Condition Old]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Condition: New
  Queue:
    Type: AWS::SQS::Queue
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - {Sid: Read, Effect: Allow, Action: "s3:Get*", Resource: "arn:aws:s3:::videos/*"}
              - {Sid: Not, Effect: Deny, Action: s3:GetObject, Resource: "arn:aws:s3:::videos/secret/?"}
              - Sid: Key
                Effect: Allow
                Action: [kms:Decrypt]
                Resource: key
                Condition: {StringEquals: {"kms:ViaService": s3}}
  Beside:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{Sid: More, Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt Queue.Arn}]
`

func deploy(t *testing.T, given map[string]string) *Deployment {
	t.Helper()
	tree, err := Parse([]byte(example))
	require.NoError(t, err)
	d, err := tree.Deploy(given)
	require.NoError(t, err)
	return d
}

func TestFunctionsAreCalculatedAsCloudFormationDoes(t *testing.T) {
	d := deploy(t, map[string]string{"Subnets": "a,b", "Queue": "http://localhost/queue"})
	for text, wanted := range map[string]any{
		`!Ref Name`:    "videos",
		`!Ref Subnets`: []any{"a", "b"},
		`!Ref Queue`:   "http://localhost/queue",
		`!Sub "${Name}/${!x}/${AWS::Region}/${Queue.QueueName}"`: "videos/${x}/eu-central-1/participant-recorder-Queue",
		`!Sub ["${A}-${Name}", {A: !Ref Name}]`:                  "videos-videos",
		`!If [New, !Ref Bucket, !Ref Name]`:                      "videos",
		`[a, !If [New, b, !Ref AWS::NoValue], c]`:                []any{"a", "c"},
		`{a: !Ref AWS::NoValue, b: c}`:                           Node{"b": "c"},
		`!FindInMap [Sizes, small, Cpu]`:                         "512",
		`!Join ["-", [a, !Ref Name]]`:                            "a-videos",
		`!Select [1, !Split [":", "a:b:c"]]`:                     "b",
		`!Condition Both`:                                        false,
		`!Condition Either`:                                      true,
	} {
		parsed, err := Parse([]byte("value: " + text))
		require.NoError(t, err)
		value, err := d.Resolve(parsed.Tree["value"])
		require.NoError(t, err, text)
		require.Equal(t, wanted, value, text)
	}
}

func TestWhatIsNotThereIsAnError(t *testing.T) {
	d := deploy(t, map[string]string{"Subnets": "a"})
	for text, wanted := range map[string]string{
		`!Ref Nothing`:                   "Nothing, which there is not",
		`!Ref Bucket`:                    "Bucket, which is not part of this deployment",
		`!GetAtt Bucket.Arn`:             "Bucket, which is not part of this deployment",
		`!Sub "${Bucket}"`:               "Bucket, which is not part of this deployment",
		`!GetAtt Queue.Colour`:           "Queue.Colour, which there is not",
		`!FindInMap [Sizes, large, Cpu]`: "nothing is mapped",
		`!If [Unknown, a, b]`:            "condition Unknown",
		`!If [New, a]`:                   "3 arguments",
		`!Select [1, !Ref Subnets]`:      "number 1 of 1 items",
	} {
		parsed, err := Parse([]byte("value: " + text))
		require.NoError(t, err)
		_, err = d.Resolve(parsed.Tree["value"])
		require.ErrorContains(t, err, wanted, text)
	}

	tree, err := Parse([]byte(example))
	require.NoError(t, err)
	_, err = tree.Deploy(nil)
	require.ErrorContains(t, err, "parameter Subnets has no value")
	for _, broken := range []string{"", "[a]", "a: [", "a"} {
		_, err := Parse([]byte(broken))
		require.Error(t, err, broken)
	}
}

func TestPoliciesAllowWhatIAMWould(t *testing.T) {
	policy, err := deploy(t, map[string]string{"Subnets": "a"}).Policy("Role")
	require.NoError(t, err)

	queue := "arn:aws:sqs:eu-central-1:123456789012:participant-recorder-Queue"
	through := func(service string) map[string]string { return map[string]string{"kms:ViaService": service} }
	for _, c := range []struct {
		call Call
		by   string // the statement; empty: refused
	}{
		{Call{"s3:GetObject", "arn:aws:s3:::videos/a/b", nil}, "Read"},
		{Call{"S3:getobject", "arn:aws:s3:::videos/a", nil}, "Read"}, // actions have no case
		{Call{"s3:GetObject", "arn:aws:s3:::VIDEOS/a", nil}, ""},
		{Call{"s3:PutObject", "arn:aws:s3:::videos/a", nil}, ""},
		{Call{"s3:GetObject", "arn:aws:s3:::videos-of-others/a", nil}, ""},
		{Call{"s3:GetObject", "arn:aws:s3:::videos/secret/1", nil}, ""},
		{Call{"s3:GetObject", "arn:aws:s3:::videos/secret/12", nil}, "Read"},
		{Call{"kms:Decrypt", "key", through("s3")}, "Key"},
		{Call{"kms:Decrypt", "key", through("sqs")}, ""},
		{Call{"kms:Decrypt", "key", nil}, ""},
		{Call{"sqs:SendMessage", queue, nil}, "More"},
	} {
		var by string
		for _, g := range Allowing(policy, c.call) {
			by = g.Sid
		}
		require.Equal(t, c.by, by, "%v", c.call)
	}
}

func TestPoliciesThatAreNotUnderstoodAreErrors(t *testing.T) {
	for _, statement := range []string{
		`{Effect: Allow, NotAction: "s3:*", Resource: "*"}`,
		`{Effect: Allow, Action: "s3:*", NotResource: "*"}`,
		`{Effect: Permit, Action: "s3:*", Resource: "*"}`,
		`{Effect: Allow, Action: a, Resource: b, Condition: {StringLike: {a: b}}}`,
	} {
		parsed, err := Parse([]byte(`value: {Version: "2012-10-17", Statement: [` + statement + `]}`))
		require.NoError(t, err)
		_, err = statements(parsed.Tree["value"])
		require.Error(t, err, statement)
	}
}
