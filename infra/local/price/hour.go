package price

import (
	"math"
	"time"
)

// Measured is what a run has shown of so many recordings at once on one recorder.
type Measured struct {
	Recordings int
	// Hourly are the requests of an hour of all of them, while nobody comes and goes; Once those of the coming and going
	// of all of them.
	Hourly, Once Counts
	// LogBytes are what the recorder logs in an hour, LogOnce for the coming and going.
	LogBytes, LogOnce float64
}

// Assumed is what no run can show.
type Assumed struct {
	// CPU is what a participant takes of the processors, in seconds a minute, ffmpeg included; Memory in MiB.
	CPU, Memory float64
	// Most is how many recordings a recorder takes at most (MAX_RECORDINGS).
	Most int
	// Call is how long people stay: their coming and going costs requests.
	Call time.Duration
	// Bits is what a participant sends, in bits a second.
	Bits float64
}

// Line is something that costs, in dollars for each participant and hour.
type Line struct {
	What    string
	Dollars float64
}

// busiest is up to which share of its processors a recorder takes recordings (recorder/main.go), ffmpeg included here.
const busiest = 0.8

// PerRecorder is how many participants a recorder has on average while many are recorded.
func (a Assumed) PerRecorder() int {
	byCPU := math.Floor(busiest * taskCPUs * time.Minute.Seconds() / a.CPU)
	byMemory := math.Floor(busiest * taskGB * 1024 / a.Memory)
	return int(max(1, filled*min(float64(a.Most), byCPU, byMemory)))
}

// fit splits what was measured into what a recorder costs by itself, and what each recording costs: from the fewest and
// the most recordings. What takes no straight line is each recording's.
func fit(few, many Measured, of func(Measured) Counts) (recorder, recording Counts) {
	n, m := float64(few.Recordings), float64(many.Recordings)
	if n == m {
		return Counts{}, of(many).Times(1 / m)
	}
	recording = Counts{}
	recorder = Counts{}
	for _, o := range Operations(of(few), of(many)) {
		slope := (of(many)[o] - of(few)[o]) / (m - n)
		base := of(few)[o] - n*slope
		if slope < 0 || base < 0 {
			slope, base = of(many)[o]/m, 0
		}
		recording[o], recorder[o] = slope, base
	}
	return recorder, recording
}

// Hour is what an hour of one of so many participants at once costs, by what it is for. Without a NAT gateway, recorders
// have public addresses.
func Hour(few, many Measured, a Assumed, people int, nat bool) (lines []Line) {
	each := float64(people)
	recorders := math.Ceil(each / float64(a.PerRecorder()))
	hourly := func(m Measured) Counts { return m.Hourly }
	ofRecorder, ofRecording := fit(few, many, hourly)
	requests := ofRecording.Plus(ofRecorder.Times(recorders / each))
	once := many.Once.Times(time.Hour.Hours() / a.Call.Hours() / float64(many.Recordings))
	logs := (many.LogBytes + many.LogOnce*time.Hour.Hours()/a.Call.Hours()) / float64(many.Recordings)

	task := taskCPUs*vCPUHour + taskGB*gbHour + (taskDisk-freeDisk)*diskHour
	const fleet = (ownMetrics*metricMonth + alarmMetrics*alarmMonth) / monthHours
	lines = []Line{
		{"Fargate", task * recorders / each},
		{"S3: PUTs", dollars(requests, Operation.Writes)},
		{"S3: GETs", dollars(requests, Operation.Reads)},
		{"SQS", dollars(requests, func(o Operation) bool { return o.Service == SQS })},
		{"coming and going: S3, SQS, function", once.Dollars() + dollars(requests, isAPI)},
		{"logs", logs / 1e9 * logsGB},
		{"metrics, alarms", fleet / each},
	}
	if !nat {
		return append(lines, Line{"public IPv4", ipv4Hour * recorders / each})
	}
	gb := a.Bits / 8 * time.Hour.Seconds() / 1e9
	return append(lines, Line{"NAT gateway: hours, IPv4", (natHour + ipv4Hour) / each}, Line{"NAT gateway: media", gb * natGB})
}

func isAPI(o Operation) bool { return o.Service == API }

func dollars(c Counts, wanted func(Operation) bool) float64 {
	return c.Each(func(o Operation, n float64) float64 {
		if !wanted(o) {
			return 0
		}
		return n
	}).Dollars()
}

// Total is what lines cost together.
func Total(lines []Line) (sum float64) {
	for _, l := range lines {
		sum += l.Dollars
	}
	return sum
}
