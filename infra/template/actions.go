package template

// needs are the actions that a role must be allowed for an operation (service authorization reference, "Actions,
// resources, and condition keys"; S3 user guide, "Required permissions for S3 API operations").
var needs = map[string][]string{
	"s3.AbortMultipartUpload":    {"s3:AbortMultipartUpload"},
	"s3.CompleteMultipartUpload": {"s3:PutObject"},
	"s3.CopyObject":              {"s3:PutObject"}, // and s3:GetObject of the source
	"s3.CreateMultipartUpload":   {"s3:PutObject"},
	"s3.DeleteObject":            {"s3:DeleteObject"},
	"s3.DeleteObjects":           {"s3:DeleteObject"}, // of each key
	"s3.GetObject":               {"s3:GetObject"},
	"s3.HeadBucket":              {"s3:ListBucket"},
	"s3.HeadObject":              {"s3:GetObject"},
	"s3.ListMultipartUploads":    {"s3:ListBucketMultipartUploads"},
	"s3.ListObjectsV2":           {"s3:ListBucket"},
	"s3.ListParts":               {"s3:ListMultipartUploadParts"},
	"s3.PutObject":               {"s3:PutObject"},
	"s3.PutObjectTagging":        {"s3:PutObjectTagging"},
	"s3.UploadPart":              {"s3:PutObject"},
	"s3.UploadPartCopy":          {"s3:PutObject"}, // and s3:GetObject of the source

	"sqs.ChangeMessageVisibility":      {"sqs:ChangeMessageVisibility"},
	"sqs.ChangeMessageVisibilityBatch": {"sqs:ChangeMessageVisibility"},
	"sqs.DeleteMessage":                {"sqs:DeleteMessage"},
	"sqs.GetQueueAttributes":           {"sqs:GetQueueAttributes"},
	"sqs.GetQueueUrl":                  {"sqs:GetQueueUrl"},
	"sqs.ReceiveMessage":               {"sqs:ReceiveMessage"},
	"sqs.SendMessage":                  {"sqs:SendMessage"},

	"ecs.DescribeServices":          {"ecs:DescribeServices"},
	"ecs.UpdateService":             {"ecs:UpdateService"},
	"eventbridge.DescribeEventBus":  {"events:DescribeEventBus"},
	"eventbridge.PutEvents":         {"events:PutEvents"},
	"secretsmanager.GetSecretValue": {"secretsmanager:GetSecretValue"},
}

// Needs are the actions that an operation needs. Operations are called SERVICE.OPERATION, as the SDK's packages are.
// What is not known here needs nothing, and is to be added.
func Needs(operation string) []string { return needs[operation] }
