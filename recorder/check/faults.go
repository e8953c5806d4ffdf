package check

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// fault is what an error of a call over the network comes to.
type fault struct {
	State
	status int    // of the HTTP answer; 0: there was none
	code   string // AWS's name of the error
	text   string // in one line
}

// faultOf tells a wrong setting from an outage. A service that answers, and refuses, is there; so is a name that does
// not exist, as far as anybody knows. Whoever does not answer, or has a fault of its own, may be back.
func faultOf(ctx context.Context, err error) fault {
	f := fault{State: Wrong, text: strings.Join(strings.Fields(err.Error()), " ")}

	if strings.Contains(f.text, "get credentials") { // whatever keeps them away: there are errors of its own in it
		f.code, f.text = noCredentials, "there are no AWS credentials"
		return f
	}

	var api smithy.APIError
	if errors.As(err, &api) {
		f.code = api.ErrorCode()
		f.text = strings.TrimSuffix(strings.TrimSuffix(f.code+": "+api.ErrorMessage(), ": "), ".")
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil && response.Response.Response != nil {
		f.status = response.HTTPStatusCode()
	}

	switch {
	case f.status >= http.StatusInternalServerError, f.status == http.StatusTooManyRequests, throttled[f.code]:
		f.State = Away
	case f.status != 0, f.code != "":
	case isAway(ctx, err):
		f.State = Away
		f.text = "no answer: " + reason(ctx, err)
	default:
		f.text = reason(ctx, err)
	}
	return f
}

// noCredentials stands for a call that could not be signed.
const noCredentials = "NoCredentials"

// badCredentials says that AWS does not know who we are: not to be confused with not being allowed something.
func (f fault) badCredentials() bool {
	return f.code == noCredentials || f.code == "SignatureDoesNotMatch" || f.code == "InvalidAccessKeyId" ||
		strings.Contains(f.code, "Token") ||
		strings.Contains(strings.ToLower(f.text), "access key id")
}

// awsCredentials are those by which AWS is called.
func awsCredentials() (setting, remedy string) {
	return "AWS credentials", "give the task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to those of a " +
		"user that exists"
}

// throttled are answers that ask for patience.
var throttled = map[string]bool{
	"SlowDown":                               true,
	"Throttling":                             true,
	"ThrottlingException":                    true,
	"RequestThrottled":                       true,
	"RequestTimeout":                         true,
	"RequestLimitExceeded":                   true,
	"ServiceUnavailable":                     true,
	"InternalError":                          true,
	"com.amazonaws.sqs#RequestThrottled":     true,
	"AWS.SimpleQueueService.InternalFailure": true,
}

// isAway says whether an error is of the network, but for names that do not exist, and certificates that are not good.
func isAway(ctx context.Context, err error) bool {
	var name *net.DNSError
	if errors.As(err, &name) {
		return !name.IsNotFound
	}

	var operation *net.OpError
	var timeout net.Error
	return ctx.Err() != nil || errors.As(err, &operation) || errors.As(err, &timeout) && timeout.Timeout() ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		strings.HasSuffix(err.Error(), "EOF")
}

// reason is the innermost part of an error, which says what happened.
func reason(ctx context.Context, err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "there is no host " + name.Name
	case ctx.Err() != nil:
		return "nothing came in time"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func remedyOfS3(f fault, right string) (setting, remedy string) {
	switch {
	case f.badCredentials():
		return awsCredentials()
	case f.code == "RequestTimeTooSkewed":
		return "the clock", "set this machine's clock"
	case f.code == "NoSuchBucket" || f.status == http.StatusNotFound && f.code == "NotFound":
		return "S3_BUCKET", "set it to the name of a bucket that is there"
	case strings.HasPrefix(f.code, "KMS.") || strings.Contains(f.text, "kms:"):
		return "S3_BUCKET", "grant kms:GenerateDataKey and kms:Decrypt for the bucket's key"
	case f.status == http.StatusForbidden:
		return "S3_BUCKET", "grant " + right + ", or correct the name if this is somebody else's bucket"
	case f.code == "AuthorizationHeaderMalformed" || f.code == "PermanentRedirect" || f.status == 0:
		return "S3_REGION, S3_BUCKET", "set them to the region and the name of the bucket"
	}
	return "S3_BUCKET", "correct it"
}

// regionOf is the region that S3 says a bucket is in, with a refusal.
func regionOf(err error) string {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil && response.Response.Response != nil {
		return response.Response.Header.Get("X-Amz-Bucket-Region")
	}
	return ""
}
