package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/command"
)

const (
	// loadTime is how long each processor time is measured: three of them make a row.
	loadTime = 20 * time.Second
	// loadJoin bounds the coming of everybody, and the storing of everything.
	loadJoin = 2 * time.Minute
	// loadSignal is what a camera sends usually.
	loadSignal = "vp8-camera"
)

// loadKind is what everybody sends.
type loadKind struct {
	name   string
	camera string // the camera's signal, or none
}

var loadKinds = []loadKind{
	{"vp8", loadSignal},
	{"h264", "h264-camera"},
	{"audio", ""},
}

// tracks is how many tracks each person has.
func (k loadKind) tracks() int {
	if k.camera == "" {
		return 1
	}
	return 2
}

// media is what is asked for.
func (k loadKind) media() command.Media {
	if k.camera == "" {
		return command.AudioOnly
	}
	return command.AudioVideo
}

// loadPlan is what is to be measured.
type loadPlan struct {
	kinds  []loadKind
	people []int
	length time.Duration // of each measurement
	both   bool          // the floor receives beside the recorder, too
	env    []string      // of the recorder
	chart  string        // a file for a chart of it, or none
}

// readLoadPlan reads it from the environment: PEOPLE says how many there are, one row after the other, MEDIA what they
// send, SECONDS how long each measurement takes, ENV what else the recorder has in its environment. BESIDE=1 has the
// floor receive at the same time as the recorder, too, and compares the two: on a machine whose other load changes.
// CHART is a file for a chart of the first kind.
func readLoadPlan() (plan loadPlan, err error) {
	for field := range strings.SplitSeq(cmp.Or(os.Getenv("PEOPLE"), "1,10,20"), ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return plan, errors.New("PEOPLE must be numbers with commas between them, like 1,10,20")
		}
		plan.people = append(plan.people, n)
	}

	for name := range strings.SplitSeq(cmp.Or(os.Getenv("MEDIA"), "vp8"), ",") {
		kind, ok := kindOf(name)
		if !ok {
			return plan, errors.New("MEDIA must be some of vp8, h264 and audio with commas between them")
		}
		plan.kinds = append(plan.kinds, kind)
	}

	plan.length = loadTime
	if text := os.Getenv("SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 {
			return plan, errors.New("SECONDS must be a whole number, at least 1")
		}
		plan.length = time.Duration(seconds) * time.Second
	}
	plan.both = os.Getenv("BESIDE") != ""
	plan.env = strings.Fields(os.Getenv("ENV"))
	plan.chart = os.Getenv("CHART")
	return plan, nil
}

func kindOf(name string) (kind loadKind, ok bool) {
	for _, k := range loadKinds {
		if k.name == name {
			return k, true
		}
	}
	return kind, false
}

// load has one recorder record ever more people of one room, and prints what it takes, beside what the floor takes (a
// program that receives the same packets and drops them).
func load(ctx context.Context) error {
	plan, err := readLoadPlan()
	if err != nil {
		return err
	}

	return inSystem(ctx, "load", "off", func(s *stack.Stack, _, media string) error {
		recorder, err := s.StartRecorder(ctx, append([]string{"LOG_LEVEL=info", "MAX_RECORDINGS="}, plan.env...)...)
		if err != nil {
			return err
		}

		w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
		fmt.Fprintln(w, loadHeader)
		var rows []loadRow
		for _, kind := range plan.kinds {
			for _, n := range plan.people {
				step("%d people, %s", n, kind.name)
				row := loadRow{people: n, kind: kind, length: plan.length, both: plan.both}
				if err := row.measure(ctx, s, recorder, media); err != nil {
					return err
				}
				fmt.Fprintln(w, row.String())
				rows = append(rows, row)
			}
		}

		fmt.Println()
		if err := w.Flush(); err != nil || plan.chart == "" {
			return err
		}
		return draw(plan.chart, rows[:len(plan.people)])
	})
}

// crowd are the people of one row.
type crowd struct {
	people  []*participant.Participant
	cameras []*participant.Publication // nil where there are none
}

func (c *crowd) leave() {
	for _, p := range c.people {
		p.Leave()
	}
}

// join brings everybody into a room.
func (c *crowd) join(s *stack.Stack, room, media string, kind loadKind, people int) error {
	for n := range people {
		p, err := participant.Join(s.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, loadName(n), media)
		if err != nil {
			return err
		}
		c.people = append(c.people, p)

		if _, err := p.Microphone(); err != nil {
			return err
		}
		if kind.camera == "" {
			continue
		}
		camera, err := p.Camera(kind.camera)
		if err != nil {
			return err
		}
		c.cameras = append(c.cameras, camera)
	}
	return nil
}

func loadName(n int) string { return fmt.Sprint("person-", n) }
