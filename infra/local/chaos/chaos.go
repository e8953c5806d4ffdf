// Package chaos records several people with several recorders while recorders are killed, queues repeat and reorder
// messages, and the bucket, the queue and LiveKit go away and come back. From the bucket alone it then checks how
// much of what was sent is lost.
package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// Room is the room that everybody is in; the system must record whoever joins it.
const Room = "chaos"

// Fault is something that goes wrong.
type Fault struct {
	Name string
	// Lossless says that not a second may be lost.
	Lossless bool
	// Rare faults are in `make chaos` only.
	Rare bool
	// Within is how long it takes at most until everybody is recorded again.
	Within time.Duration
	inject func(*arena, context.Context) error
}

// Faults returns all of them. S3 and SQS are away for that long; 0 is about the limits that matter: SQS takes a
// recorder for dead after 30 s.
func Faults(outage time.Duration) []Fault {
	s3, sqs := cmp.Or(outage, 15*time.Second), cmp.Or(outage, 40*time.Second)
	return []Fault{
		{
			Name:     "garbage on the queues",
			Lossless: true,
			Within:   2 * time.Second,
			inject:   (*arena).garbage,
		},
		{
			Name:     "recorder terminated (SIGTERM)",
			Lossless: true,
			Within:   25 * time.Second,
			inject:   (*arena).terminate,
		},
		{Name: "recorder killed (SIGKILL)", Within: 50 * time.Second, inject: (*arena).kill},
		{
			Name:     fmt.Sprintf("S3 away for %s", s3),
			Rare:     true,
			Lossless: true,
			Within:   20 * time.Second,
			inject:   withoutS3(s3),
		},
		{
			Name:     fmt.Sprintf("S3 silent for %s", s3),
			Rare:     true,
			Lossless: true,
			Within:   20 * time.Second,
			inject:   silentS3(s3),
		},
		{
			Name:     fmt.Sprintf("SQS away for %s", sqs),
			Rare:     true,
			Lossless: true,
			Within:   25 * time.Second,
			inject:   withoutSQS(sqs),
		},
		{
			Name:   "LiveKit killed and started again",
			Rare:   true,
			Within: 20 * time.Second,
			inject: (*arena).withoutLiveKit,
		},
	}
}

// arena is where it happens.
type arena struct {
	system    *stack.Stack
	media     string
	recorders []*stack.Process
	people    []*person
}

// person is somebody who is recorded.
type person struct {
	*participant.Participant
	name string
	// late is how much of what they send first may be missing; from is when they must have been recorded from, at the
	// latest, if their recording was seen to run.
	late time.Duration
	from time.Time
}

// expected is what of a person's sound must be in the files: what was really sent, whatever happened to their
// connection, or to their goodbye.
func (p *person) expected() []timeline.Span {
	sent := p.Sent("audio")
	if len(sent) == 0 {
		return nil
	}

	from := sent[0].From.Add(p.late)
	if !p.from.IsZero() && p.from.Before(from) {
		from = p.from
	}
	return timeline.From(sent, from)
}

const (
	// firstFrame is how much of what somebody sends first may be missing: messages are up to 2 seconds late.
	firstFrame = 4 * time.Second
	// lateFrame is the same while the bucket is away, which is waited for.
	lateFrame = 6 * time.Second
)

// injected is a fault that has happened.
type injected struct {
	Fault
	at time.Time
}

// Run lets people join, injects the faults one after the other, in an order of their own each time, and lets people
// leave. The system must be up, without recorders.
func Run(
	ctx context.Context, s *stack.Stack, media string, people, recorders int, faults []Fault, say func(string, ...any),
) (Report, error) {
	a := &arena{system: s, media: media}
	for range recorders {
		if err := a.start(ctx); err != nil {
			return Report{}, err
		}
	}

	s.DisturbSQS(true)
	defer func() {
		var leaving sync.WaitGroup
		for _, p := range a.people {
			leaving.Go(p.Leave)
		}
		leaving.Wait()
	}()

	for range people {
		if err := a.enter(firstFrame); err != nil {
			return Report{}, err
		}
	}
	if err := a.everybodyRecorded(ctx); err != nil {
		return Report{}, err
	}

	var happened []injected
	for _, n := range rand.Perm(len(faults)) {
		f := injected{Fault: faults[n], at: time.Now()}
		say("%s", f.Name)
		if err := f.inject(a, ctx); err != nil {
			return Report{}, fmt.Errorf("%s: %w", f.Name, err)
		}
		if err := stack.Pass(ctx, f.Within); err != nil {
			return Report{}, err
		}
		happened = append(happened, f)
	}

	say("everybody leaves")
	var leaving sync.WaitGroup
	for _, p := range a.people {
		leaving.Go(p.Leave)
	}
	leaving.Wait()
	return a.check(ctx, happened)
}

func (a *arena) start(ctx context.Context) error {
	p, err := a.system.StartRecorder(ctx, "HAND_OVER_TIMEOUT=40s", "REJOIN_WINDOW=30s")
	a.recorders = append(a.recorders, p)
	return err
}

// enter lets one more person come, who must be recorded within some time.
func (a *arena) enter(within time.Duration) error {
	codecs := []string{"vp8", "h264", "vp9"}
	n := len(a.people)
	name := "person-" + strconv.Itoa(n)
	p, err := participant.Join(a.system.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, Room, name, a.media)
	if err != nil {
		return err
	}
	a.people = append(a.people, &person{Participant: p, name: name, late: within})

	if _, err = p.Microphone(); err == nil {
		_, err = p.Camera(codecs[n%len(codecs)])
	}
	return err
}

func (a *arena) everybodyRecorded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	for _, p := range a.people {
		if _, err := a.recording(ctx, p, func(r document.Recording) bool { return r.State == document.Active }); err != nil {
			return err
		}
		p.from = time.Now()
	}
	return nil
}

// recording returns a person's recording when it is as wanted.
func (a *arena) recording(
	ctx context.Context, p *person, wanted func(document.Recording) bool,
) (document.Recording, error) {
	return a.system.REST().AwaitOf(ctx, Room, p.name, func(r document.Recording) bool {
		return len(r.Parts) > 0 && wanted(r) // those without parts are the duplicates of its start
	})
}

// victim takes the recorder with the most recordings out of the list.
func (a *arena) victim() (*stack.Process, error) {
	busiest, most := 0, -1
	for n, p := range a.recorders {
		children, err := p.Children() // an ffmpeg for each
		if err != nil {
			return nil, err
		}
		if len(children) > most {
			busiest, most = n, len(children)
		}
	}

	p := a.recorders[busiest]
	a.recorders = slices.Delete(a.recorders, busiest, busiest+1)
	return p, nil
}

func (a *arena) terminate(ctx context.Context) error {
	p, err := a.victim()
	if err != nil {
		return err
	}
	if err := a.start(ctx); err != nil { // as a deployment does: the new one first
		return err
	}

	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return p.Wait(ctx)
}

func (a *arena) kill(ctx context.Context) error {
	p, err := a.victim()
	if err != nil {
		return err
	}
	p.Kill()
	return a.start(ctx)
}

func withoutS3(length time.Duration) func(*arena, context.Context) error {
	return func(a *arena, ctx context.Context) error {
		a.system.StopS3()
		if err := a.comeMeanwhile(ctx, length); err != nil {
			return err
		}
		return a.system.StartS3(ctx)
	}
}

func silentS3(length time.Duration) func(*arena, context.Context) error {
	return func(a *arena, ctx context.Context) error {
		a.system.SilenceS3(true)
		defer a.system.SilenceS3(false)
		return a.comeMeanwhile(ctx, length)
	}
}

// comeMeanwhile lets time pass, in which somebody comes.
func (a *arena) comeMeanwhile(ctx context.Context, length time.Duration) error {
	if err := a.enter(lateFrame); err != nil {
		return err
	}
	return stack.Pass(ctx, length)
}

func withoutSQS(length time.Duration) func(*arena, context.Context) error {
	return func(a *arena, ctx context.Context) error {
		a.system.CutSQS(true)
		defer a.system.CutSQS(false)
		return stack.Pass(ctx, length)
	}
}

func (a *arena) withoutLiveKit(ctx context.Context) error {
	return a.system.RestartLiveKit(ctx, time.Second)
}

func (a *arena) garbage(ctx context.Context) error {
	client := a.system.SQSClient()
	for _, queue := range []string{a.system.StartQueue, a.system.ControlQueue} {
		for _, body := range []string{"not json", "{}", `{"version":99}`, `{"version":1,"action":"start","room":"x"}`} {
			if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
				return err
			}
		}
	}
	return nil
}
