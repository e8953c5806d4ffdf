package simulate

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/document"
)

// Product is what is simulated: the real one (host.go), or a toy that tests have.
type Product struct {
	// Recorder makes one recorder on a machine.
	Recorder func(Machine) (Recorder, error)
	// Function makes the function.
	Function func(Cloud) http.Handler
	// Beginnings says that it tells of these, too.
	Beginnings bool
}

// product is the one that plans are played with.
var product = real

// Recorder is one recorder process.
type Recorder interface {
	// Run records until ctx is done (SIGTERM) and everything is handed over or stored.
	Run(ctx context.Context) error
	// Stopped is another recorder's hint that a recording has been stopped.
	Stopped(recording string)
}

// Machine is what a recorder has around it.
type Machine struct {
	Name  string // of the process
	Disk  scratch.Disk
	Rooms *Rooms
	Muxer *Muxer
	Cloud Cloud
	Tell  func(ctx context.Context, r document.Recording) error
	// Beginnings says that somebody wants to be told of these.
	Beginnings bool
	// Now is the machine's clock.
	Now  func() time.Time
	Hold time.Duration
}

// Cloud is AWS as one process reaches it.
type Cloud struct {
	SQS               *awssqs.Client
	S3                *s3.Client // for media
	Small             *s3.Client // for small objects, with a shorter time for each attempt
	Starts, Controls  string     // queue URLs
	Bucket, Directory string
	MinimumPart       int64
	APIKey, APISecret string
	Now               func() time.Time
	Log               *logrus.Entry
}

// stopTimeout is STOP_TIMEOUT of simulated recorders.
const stopTimeout = 110 * time.Second

// scratchDirectory is SCRATCH_DIR of simulated recorders.
const scratchDirectory = "/scratch"
