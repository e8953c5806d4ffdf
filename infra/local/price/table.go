package price

// TableDate is when the prices below were taken from AWS's pages. They are list prices of us-east-1, in dollars,
// without free tiers, discounts and taxes: check them before they are relied upon, and those of other regions anyway.
const TableDate = "2026-11"

// List prices.
const (
	s3Put    = 0.005 / 1000  // a PUT, COPY, POST or LIST request of S3 Standard; deletes are free
	s3Get    = 0.0004 / 1000 // a GET or any other request
	sqsCall  = 0.40 / 1e6    // a request to a standard queue, of up to 64 KiB
	apiCall  = 1.00 / 1e6    // a request to an HTTP API
	lambda   = 0.20 / 1e6    // an invocation
	lambdaGB = 0.0000133334  // a GB-second on arm64

	vCPUHour    = 0.03238  // Fargate, arm64
	gbHour      = 0.00356  // memory, the same
	diskHour    = 0.000111 // a GB of ephemeral storage beyond the first 20
	ipv4Hour    = 0.005    // a public IPv4 address
	natHour     = 0.045    // a NAT gateway
	natGB       = 0.045    // a GB through it, whichever way
	logsGB      = 0.50     // a GB of logs taken in
	metricMonth = 0.30     // a custom metric
	alarmMonth  = 0.10     // a metric that an alarm looks at
	monthHours  = 730.0
)

// What template.yaml deploys.
const (
	taskCPUs   = 1.0  // vCPU
	taskGB     = 2.0  // memory
	taskDisk   = 50.0 // GB
	freeDisk   = 20.0
	functionGB = 0.256
	// filled is how much of its recordings a recorder has on average: KeepHeadroom keeps three quarters.
	filled = 0.75
	// ownMetrics are those that recorders log (infra/METRICS.md), of all recorders of a stack together.
	ownMetrics = 17
	// alarmMetrics are those that the template's alarms look at: two of scaling, and those that call somebody.
	alarmMetrics = 18
	// warmCall is how long the function takes for a request, in seconds, as measured.
	warmCall = 0.005
)

// dollars is the price of one request.
func (o Operation) dollars() float64 {
	switch o.Service {
	case SQS:
		return sqsCall
	case API:
		return apiCall + lambda + lambdaGB*functionGB*warmCall
	}

	switch {
	case o.Deletes():
		return 0
	case o.Reads():
		return s3Get
	}
	return s3Put
}

// Deletes says of a request of S3 that it costs nothing.
func (o Operation) Deletes() bool {
	switch o.Call {
	case "DeleteObject", "DeleteObjects", "AbortMultipartUpload":
		return o.Service == S3
	}
	return false
}

// Reads says of a request of S3 that it costs as much as a GET.
func (o Operation) Reads() bool {
	return o.Service == S3 && (o.Call == "GetObject" || o.Call == "HeadObject")
}

// Writes says of a request of S3 that it costs as much as a PUT.
func (o Operation) Writes() bool { return o.Service == S3 && !o.Reads() && !o.Deletes() }

// Dollars is what requests cost.
func (c Counts) Dollars() (sum float64) {
	for o, n := range c {
		sum += n * o.dollars()
	}
	return sum
}
