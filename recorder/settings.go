package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/worker"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/keys"
)

// settings are the environment, read once.
type settings struct {
	liveKit                  liveKitSettings
	storage                  storageSettings
	ecs                      ecsSettings
	policy                   recording.Policy
	startQueue, controlQueue string
	notices                  noticeSettings
	ffmpeg, scratchDir       string
	operators                operatorSettings
	limits                   limits
	runtime                  goRuntime
}

// goRuntime says what Go's own variables set, and is not to be set otherwise.
type goRuntime struct {
	threads bool // GOMAXPROCS
	memory  bool // GOMEMLIMIT
}

// liveKitSettings say where the LiveKit server is, and where its API keys are.
type liveKitSettings struct {
	url  string
	keys keys.Source
}

// storageSettings say where files go, and how they are called.
type storageSettings struct {
	region, bucket, directory string
	recordings                string // directory for finished files without a bucket
	fileTemplate              string
}

// noticeSettings say who is told of recordings.
type noticeSettings struct {
	stored   bool // told before parts are joined, too
	webhooks []string
	started  bool   // webhooks are told of beginnings, too
	private  bool   // recordings may have webhooks of their own that are not on the internet
	bus      string // name or ARN of an EventBridge bus; empty: none
}

// operatorSettings say what operators see, and where.
type operatorSettings struct {
	logLevel logrus.Level
	address  string // where metrics and health are served; empty: nowhere
	stack    string // by which CloudWatch tells the metrics of one stack from those of another; empty: it does not
}

// ecsSettings are where ECS's own endpoints are, if this is an ECS task.
type ecsSettings struct{ agent, metadata string }

// limits bound what the recorder does.
type limits struct {
	stopTimeout, hold time.Duration
	maxRecordings     int   // 0: by the number of processors
	scratchLimit      int64 // bytes
	joinParts         bool
}

// reader reads variables and collects what is wrong with them, so that all of it can be said at once.
type reader struct{ faults []error }

func (r *reader) fault(name, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s %s", name, fmt.Sprintf(format, args...)))
}

func (r *reader) required(name string) string {
	value := os.Getenv(name)
	if value == "" {
		r.fault(name, "is not set")
	}
	return value
}

func (r *reader) optional(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func (r *reader) url(name, value string, schemes ...string) string {
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Host == "") {
		r.fault(name, "is not a URL")
		return value
	}

	for _, scheme := range schemes {
		if value == "" || u.Scheme == scheme {
			return value
		}
	}

	r.fault(name, "must begin with %s://", strings.Join(schemes, ":// or "))
	return value
}

func (r *reader) duration(name string, otherwise, least time.Duration) time.Duration {
	value := os.Getenv(name)
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least {
		r.fault(name, "must be a duration like 30s, 5m or 2h, at least %s", least)
	}
	return d
}

func (r *reader) onOff(name string, otherwise bool) bool {
	switch os.Getenv(name) {
	case "":
		return otherwise
	case "on":
		return true
	case "off":
		return false
	}
	r.fault(name, "must be on or off")
	return otherwise
}

func (r *reader) integer(name string, otherwise, least int) int {
	value := os.Getenv(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		r.fault(name, "must be a whole number, at least %d", least)
	}
	return n
}

// address reads where to listen, like :9090 or 127.0.0.1:9090; empty if that is not set.
func (r *reader) address(name string) string {
	value := os.Getenv(name)
	if value == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(value)
	if n, invalid := strconv.ParseUint(port, 10, 16); err != nil || invalid != nil || n == 0 {
		r.fault(name, "must be an address to listen on, like :9090 or 127.0.0.1:9090")
	}
	return value
}

// sizeUnits by suffix.
var sizeUnits = map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// bytes reads a size like 20GiB; 0 if there is none.
func (r *reader) bytes(name string) int64 {
	value := os.Getenv(name)
	if value == "" {
		return 0
	}

	for suffix, unit := range sizeUnits {
		if digits, ok := strings.CutSuffix(value, suffix); ok {
			if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n > 0 {
				return n * unit
			}
		}
	}

	r.fault(name, "must be a whole number of KiB, MiB or GiB, like 20GiB")
	return 0
}

// recordingsPerCPU leaves two thirds of a processor free: 60 people with 720p30 VP8 of 1.75 Mbit/s and Opus take 0.29,
// ffmpeg included (`make load`), and nothing got lost when all their key frames came at once. On slower processors, a
// recorder that uses too much of them takes no more anyway.
const recordingsPerCPU = 60

// headStart is how long the bucket may take to say who records, and under which name, before recording begins without
// it.
const headStart = time.Second

// connectPatience is how long a bot's way into a room may take: connecting gives up after 10 seconds or so by itself.
const connectPatience = 15 * time.Second

func readSettings() (settings, error) {
	r := &reader{}
	s := settings{
		liveKit: liveKitSettings{
			url:  r.url("LIVEKIT_URL", r.required("LIVEKIT_URL"), "ws", "wss"),
			keys: r.keys(),
		},
		storage:      r.storage(),
		ecs:          ecsSettings{agent: os.Getenv("ECS_AGENT_URI"), metadata: os.Getenv("ECS_CONTAINER_METADATA_URI_V4")},
		startQueue:   r.url("START_QUEUE_URL", r.required("START_QUEUE_URL"), "http", "https"),
		controlQueue: r.url("CONTROL_QUEUE_URL", r.required("CONTROL_QUEUE_URL"), "http", "https"),
		ffmpeg:       r.optional("FFMPEG", "ffmpeg"),
		scratchDir:   r.optional("SCRATCH_DIR", filepath.Join(os.TempDir(), "participant-recorder")),
		policy: recording.Policy{
			HeadStart:    headStart,
			Connect:      connectPatience,
			StartTimeout: r.duration("START_TIMEOUT", 5*time.Minute, time.Second),
			RejoinWindow: r.duration("REJOIN_WINDOW", 30*time.Second, time.Second),
			MaxDuration:  r.duration("MAX_DURATION", 0, time.Second),
			HandOver:     r.duration("HAND_OVER_TIMEOUT", time.Minute, 0),
		},
		limits: limits{
			stopTimeout:   r.duration("STOP_TIMEOUT", 110*time.Second, time.Second),
			hold:          r.duration("HOLD_LIMIT", worker.MaxHold, time.Second),
			scratchLimit:  r.bytes("SCRATCH_LIMIT"),
			maxRecordings: r.integer("MAX_RECORDINGS", 0, 1),
			joinParts:     r.onOff("JOIN_PARTS", false),
		},
	}
	s.notices.bus = os.Getenv("EVENT_BUS")
	s.operators = operatorSettings{address: r.address("METRICS_ADDR"), stack: os.Getenv("STACK_NAME")}
	s.runtime = goRuntime{threads: os.Getenv("GOMAXPROCS") != "", memory: os.Getenv("GOMEMLIMIT") != ""}
	if s.limits.hold > worker.MaxHold {
		r.fault("HOLD_LIMIT", "must be at most %s: SQS keeps no message in flight for more than 12 hours", worker.MaxHold)
	}

	for hook := range strings.FieldsFuncSeq(os.Getenv("WEBHOOK_URLS"), func(c rune) bool { return c == ',' || c == ' ' }) {
		s.notices.webhooks = append(s.notices.webhooks, r.url("WEBHOOK_URLS", hook, "http", "https"))
	}

	switch r.optional("WEBHOOK_EVENTS", "started,ended") {
	case "ended":
	case "started,ended":
		s.notices.started = true
	case "stored,ended":
		s.notices.stored = true
	case "started,stored,ended":
		s.notices.started, s.notices.stored = true, true
	default:
		r.fault("WEBHOOK_EVENTS", "must be ended, or started,ended or stored,ended or started,stored,ended")
	}
	switch os.Getenv("WEBHOOK_PRIVATE") {
	case "", "off":
	case "on":
		s.notices.private = true
	default:
		r.fault("WEBHOOK_PRIVATE", "must be on or off")
	}

	level, err := logrus.ParseLevel(r.optional("LOG_LEVEL", "info"))
	if err != nil || level < logrus.ErrorLevel || level > logrus.DebugLevel {
		r.fault("LOG_LEVEL", "must be debug, info, warn or error")
	}

	s.operators.logLevel = level
	return s, errors.Join(r.faults...)
}

func (r *reader) keys() keys.Source {
	source, faults := keys.ReadSource(os.Getenv)
	r.faults = append(r.faults, faults...)
	return source
}

func (r *reader) storage() storageSettings {
	s := storageSettings{
		region:       r.optional("S3_REGION", os.Getenv("AWS_REGION")),
		bucket:       os.Getenv("S3_BUCKET"),
		directory:    os.Getenv("S3_DIRECTORY"),
		recordings:   r.optional("RECORDINGS_DIR", "recordings"),
		fileTemplate: os.Getenv("FILE_TEMPLATE"),
	}
	if s.bucket != "" && s.region == "" {
		r.fault("S3_REGION", "is not set, and neither is AWS_REGION")
	}

	if err := command.ValidateFile(s.fileTemplate); err != nil {
		r.fault("FILE_TEMPLATE", "is no file template: %v", err)
	}
	return s
}
