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
	"livekit-recorder/shared/document"
)

const (
	loadRoom = "load"
	// loadTime is how long the processor time of one row is measured.
	loadTime = 30 * time.Second
	// loadJoin bounds the coming of everybody, and the storing of everything.
	loadJoin = 2 * time.Minute
	// loadSignal is what everybody's camera sends.
	loadSignal = "vp8-camera"
)

// load has one recorder record ever more people of one room, and prints what it takes. PEOPLE says how many.
func load(ctx context.Context) error {
	var rows []int
	for field := range strings.SplitSeq(cmp.Or(os.Getenv("PEOPLE"), "1,10,20"), ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return errors.New("PEOPLE must be numbers with commas between them, like 1,10,20")
		}
		rows = append(rows, n)
	}

	return inSystem(ctx, "load", loadRoom+"*/*", func(s *stack.Stack, _, media string) error {
		recorder, err := s.StartRecorder(ctx, "LOG_LEVEL=info")
		if err != nil {
			return err
		}

		w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
		fmt.Fprintln(w, "| people\t| cores: recorder\t| ffmpeg\t| CPU s a minute and person\t"+
			"| memory: recorder\t| ffmpeg, each\t| frames\t| packets lost\t|")
		fmt.Fprintln(w, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
		for _, n := range rows {
			step("%d people", n)
			row, err := loadOf(ctx, s, recorder, media, n)
			if err != nil {
				return err
			}
			fmt.Fprintln(w, row)
		}

		fmt.Println()
		return w.Flush()
	})
}

// loadRow is a row of the table.
type loadRow struct {
	people               int
	recorder, ffmpeg     stack.Usage // the processor time within loadTime
	frames, sent, packet int64
}

func (r loadRow) String() string {
	cores := func(u stack.Usage) float64 { return u.CPU.Seconds() / loadTime.Seconds() }
	person := (r.recorder.CPU + r.ffmpeg.CPU).Minutes() / loadTime.Minutes() / float64(r.people) * time.Minute.Seconds()
	const mega = 1 << 20
	return fmt.Sprintf("| %d\t| %.2f\t| %.2f\t| %.2f\t| %d MiB\t| %.1f MiB\t| %.2f %%\t| %d\t|",
		r.people, cores(r.recorder), cores(r.ffmpeg), person, r.recorder.Memory/mega,
		float64(r.ffmpeg.Memory)/float64(r.people)/mega, 100*float64(r.frames)/float64(r.sent), r.packet)
}

func loadOf(
	ctx context.Context, s *stack.Stack, recorder *stack.Process, media string, people int,
) (row loadRow, err error) {
	row.people = people
	room := fmt.Sprint(loadRoom, people)
	rest := s.REST()
	var cameras []*participant.Publication
	var all []*participant.Participant
	leave := func() {
		for _, p := range all {
			p.Leave()
		}
	}
	defer leave()

	joining, cancel := context.WithTimeout(ctx, loadJoin)
	defer cancel()
	for n := range people {
		p, err := participant.Join(s.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, fmt.Sprint("person-", n), media)
		if err != nil {
			return row, err
		}
		all = append(all, p)
		camera, err := p.Camera(loadSignal)
		if err != nil {
			return row, err
		}
		cameras = append(cameras, camera)
		if _, err := p.Microphone(); err != nil {
			return row, err
		}
	}
	active := func(r document.Recording) bool { return r.State == document.Active }
	if _, err := awaitAll(joining, rest, room, people, active); err != nil {
		return row, err
	}

	before, beforeFFmpeg, err := recorder.Usages()
	if err != nil {
		return row, err
	}
	if err := stack.Pass(ctx, loadTime); err != nil {
		return row, err
	}
	if row.recorder, row.ffmpeg, err = recorder.Usages(); err != nil {
		return row, err
	}
	row.recorder.CPU -= before.CPU
	row.ffmpeg.CPU -= beforeFFmpeg.CPU

	leave()
	ending, cancel := context.WithTimeout(ctx, loadJoin)
	defer cancel()
	recordings, err := awaitAll(ending, rest, room, people, document.Recording.Final)
	if err != nil {
		return row, err
	}
	for n, r := range recordings {
		row.count(r, cameras[n].Sent())
	}
	return row, nil
}

// count compares the frames of a recording with those that were sent since its first one.
func (r *loadRow) count(recording document.Recording, sent []time.Time) {
	for _, part := range recording.Parts {
		for _, t := range part.Tracks {
			r.packet += t.PacketsLost
			if t.Kind != "video" {
				continue
			}
			r.frames += t.Frames
			for _, at := range sent {
				if t.FirstFrameAt != nil && at.After(t.FirstFrameAt.Add(-time.Millisecond)) {
					r.sent++
				}
			}
		}
	}
}

// awaitAll returns everybody's recordings, in their order, when all are as wanted.
func awaitAll(
	ctx context.Context, rest stack.REST, room string, people int, wanted func(document.Recording) bool,
) (recordings []document.Recording, err error) {
	for n := range people {
		r, err := rest.AwaitOf(ctx, room, fmt.Sprint("person-", n), wanted)
		if err != nil {
			return nil, err
		}
		recordings = append(recordings, r)
	}
	return recordings, nil
}
