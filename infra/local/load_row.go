package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

// loadRow is a row of the table.
type loadRow struct {
	people int
	kind   loadKind
	length time.Duration
	both   bool // the floor receives beside the recorder, too

	floor            [2]time.Duration // the processor time of the floor, before the recorder's and after it
	beside           time.Duration    // and at the same time, or 0
	recorder, ffmpeg time.Duration    // processor time of the recorder, and of its ffmpeg processes
	memory           [2]int64         // of the two, in bytes
	frames, sent     int64            // pictures in the files, and those that were sent meanwhile
	packetsLost      int64            // by the recorder
	floorLost        int64            // by the floor, in all of its measurements
	dropped          int64            // datagrams that the recorder's sockets had no room for
	one, all         time.Duration    // from a stop until that is stored
}

const loadHeader = "| people\t| media\t| CPU s a minute and person: floor\t| beside\t| recorder\t| of it ffmpeg\t| recorder ÷ floor" +
	"\t| memory a person (PSS)\t| recorder\t| ffmpeg, each\t| pictures lost\t| packets lost\t| by the floor\t| datagrams dropped\t| stop → stored: one\t| all\t|\n" +
	"| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|"

func (r loadRow) String() string {
	const mega = 1 << 20
	people, beside := float64(r.people), "–"
	total := r.recorder + r.ffmpeg
	floor := (r.floor[0] + r.floor[1]) / 2
	if r.both {
		floor, beside = r.beside, fmt.Sprintf("%.2f", r.person(r.beside))
	}

	var s strings.Builder
	fmt.Fprintf(&s, "| %d\t| %s\t| %.2f, %.2f\t| %s\t| %.2f\t| %.2f\t| %.2f\t", r.people, r.kind.name,
		r.person(r.floor[0]), r.person(r.floor[1]), beside, r.person(total), r.person(r.ffmpeg),
		total.Seconds()/floor.Seconds())
	fmt.Fprintf(&s, "| %.1f MiB\t| %.1f MiB\t| %.1f MiB\t", float64(r.memory[0]+r.memory[1])/people/mega,
		float64(r.memory[0])/mega, float64(r.memory[1])/people/mega)
	fmt.Fprintf(&s, "| %d of %d\t| %d\t| %d\t| %d\t| %.2f s\t| %.2f s\t|", r.sent-r.frames, r.sent, r.packetsLost,
		r.floorLost, r.dropped, r.one.Seconds(), r.all.Seconds())
	return s.String()
}

// person is a processor time in seconds a minute and person.
func (r loadRow) person(used time.Duration) float64 {
	return used.Minutes() / r.length.Minutes() / float64(r.people) * time.Minute.Seconds()
}

// measure has everybody come, and then the floor, the recorder, and the floor again receive the same of them.
func (r *loadRow) measure(ctx context.Context, s *stack.Stack, recorder *stack.Process, media string) (err error) {
	room := fmt.Sprintf("load-%s-%d", r.kind.name, r.people)
	joining, cancel := context.WithTimeout(ctx, loadJoin)
	defer cancel()
	var here crowd
	defer here.leave()
	if err := here.join(s, room, media, r.kind, r.people); err != nil {
		return err
	}

	if r.floor[0], err = r.receive(ctx, s, room); err != nil {
		return err
	}

	recordings, err := r.begin(joining, s.REST(), room)
	if err != nil {
		return err
	}
	if err := r.record(ctx, s, recorder, room); err != nil {
		return err
	}
	if err := r.stop(ctx, s.REST(), room, recordings); err != nil {
		return err
	}

	if r.floor[1], err = r.receive(ctx, s, room); err != nil {
		return err
	}

	here.leave()
	return r.count(ctx, s.REST(), recordings, here)
}

// receive measures the floor's processor time.
func (r *loadRow) receive(ctx context.Context, s *stack.Stack, room string) (used time.Duration, err error) {
	beginning, cancel := context.WithTimeout(ctx, loadJoin)
	defer cancel()
	floor, err := s.StartFloor(beginning, room, r.people*r.kind.tracks())
	if err != nil {
		return 0, err
	}
	defer floor.Stop()

	before, _, err := floor.Usages()
	if err != nil {
		return 0, err
	}
	if err := stack.Pass(ctx, r.length); err != nil {
		return 0, err
	}
	after, _, err := floor.Usages()
	if err != nil {
		return 0, err
	}

	lost, err := s.StopFloor(beginning, floor)
	r.floorLost += lost
	return after.CPU - before.CPU, err
}

// begin starts everybody's recording, and returns the ids when all run.
func (r *loadRow) begin(ctx context.Context, rest stack.REST, room string) (ids []string, err error) {
	for n := range r.people {
		body := map[string]string{"room": room, "participant": loadName(n), "media": string(r.kind.media())}
		recording, err := rest.Start(ctx, body)
		if err != nil {
			return nil, err
		}
		ids = append(ids, recording.ID)
	}

	active := func(r document.Recording) bool { return r.State == document.Active }
	for _, id := range ids {
		if _, err := rest.Await(ctx, id, active); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// record measures what the recorder takes, and what the floor does beside it, if that is asked for.
func (r *loadRow) record(ctx context.Context, s *stack.Stack, recorder *stack.Process, room string) error {
	receiving, ctx := errgroup.WithContext(ctx)
	if r.both {
		receiving.Go(func() (err error) {
			r.beside, err = r.receive(ctx, s, room)
			return err
		})
	}
	receiving.Go(func() error { return r.use(ctx, recorder) })
	return receiving.Wait()
}

func (r *loadRow) use(ctx context.Context, recorder *stack.Process) error {
	before, beforeFFmpeg, err := recorder.Usages()
	if err != nil {
		return err
	}
	if err := stack.Pass(ctx, r.length); err != nil {
		return err
	}

	after, afterFFmpeg, err := recorder.Usages()
	if err != nil {
		return err
	}
	r.recorder, r.ffmpeg = after.CPU-before.CPU, afterFFmpeg.CPU-beforeFFmpeg.CPU

	drops, err := stack.DroppedDatagrams(recorder.PID())
	if err != nil {
		return err
	}
	for _, count := range drops {
		r.dropped += count
	}

	r.memory[0], r.memory[1], err = recorder.Memory()
	return err
}

// stop stops one recording, and then all others at once.
func (r *loadRow) stop(ctx context.Context, rest stack.REST, room string, ids []string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, loadJoin)
	defer cancel()

	if r.one, err = stopTogether(ctx, rest, room, ids[:1], 1); err != nil || len(ids) == 1 {
		return err
	}
	r.all, err = stopTogether(ctx, rest, room, ids[1:], len(ids))
	return err
}

// stopTogether stops recordings at once, and returns how long it took until so many of the room's were stored.
func stopTogether(ctx context.Context, rest stack.REST, room string, ids []string, final int) (time.Duration, error) {
	began := time.Now()
	stops, stopping := errgroup.WithContext(ctx)
	for _, id := range ids {
		stops.Go(func() error { return rest.Stop(stopping, map[string]string{"id": id}) })
	}
	if err := stops.Wait(); err != nil {
		return 0, err
	}

	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		all, err := rest.All(ctx, room)
		if err != nil {
			return 0, err
		}
		stored := 0
		for _, recording := range all {
			if recording.Final() {
				stored++
			}
		}
		if stored == final {
			return time.Since(began), nil
		}

		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for %d stored recordings of %s: %w, there are %d", final, room, ctx.Err(), stored)
		case <-ticker.C:
		}
	}
}

// count compares the pictures of everybody's recording with those that were sent meanwhile.
func (r *loadRow) count(ctx context.Context, rest stack.REST, ids []string, sent crowd) error {
	for n, id := range ids {
		recording, err := rest.Get(ctx, id)
		if err != nil {
			return err
		}
		if recording.State != document.Completed || len(recording.Parts) != 1 {
			return errors.New("a recording is not one complete file: " + fmt.Sprint(recording))
		}

		for _, t := range recording.Parts[0].Tracks {
			r.packetsLost += t.PacketsLost
			if t.Kind == "video" {
				r.frames += t.Frames
				r.sent += within(sent.cameras[n].Sent(), t)
			}
		}
	}
	return nil
}

// within counts the times that lie in a recorded track.
func within(times []time.Time, t document.TrackReport) (count int64) {
	const tolerance = 10 * time.Millisecond // less than there is between two pictures
	from := t.FirstFrameAt.Add(-tolerance)
	to := t.FirstFrameAt.Add(time.Duration(t.Duration*float64(time.Second)) - tolerance)
	for _, at := range times {
		if !at.Before(from) && at.Before(to) {
			count++
		}
	}
	return count
}
