package hostile

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

const (
	// mostMemory is what a recorder may take with its ffmpeg processes, whatever is sent to it.
	mostMemory = 3 << 29 // 1.5 GiB
	// storedWithin is how long it may take until everything is final, and until nothing is left over.
	storedWithin = 2 * time.Minute
	// readyWithin is how soon somebody who comes afterwards must be recorded.
	readyWithin = 15 * time.Second
)

// Row is what one attack did.
type Row struct {
	Attack
	From, To         time.Time
	Recorder, FFmpeg float64 // processors
	Peak             Peak
	Dropped          Dropped
	// Packets is how many of those who attacked have reached the recorder.
	Packets int64
	// Completed and Failed count the recordings of those who attacked, Parts their files.
	Completed, Failed, Parts int
	// Missing is what lacks meanwhile in the honest people's recordings, sound and pictures of all together.
	Missing time.Duration
}

// Report is what came of it.
type Report struct {
	Rows       []Row
	Honest     []Honest
	Peak       Peak
	Tracks     int            // that were published by those who publish many
	Goroutines int            // at most, as the recorder reports them once a minute
	Reasons    map[string]int // of recordings that have failed
	ReadyAfter time.Duration
	Faults     []string // what must not be
	Dropped    Dropped
	// Excused is what lacks because it has not reached the recorder.
	Excused []string
}

func (r *Report) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// lacking notes what is missing in an honest person's recording. It is excused if datagrams for the LiveKit server were
// dropped, and none for the recorder.
func (r *Report) lacking(format string, args ...any) {
	if r.Dropped.LiveKit > 0 && r.Dropped.Recorder == 0 {
		r.Excused = append(r.Excused, fmt.Sprintf(format, args...))
		return
	}
	r.fault(format, args...)
}

// check looks at everything when all have gone.
func (a *arena) check(ctx context.Context) (Report, error) {
	r := Report{
		Rows:    a.rows,
		Tracks:  int(a.published.Load()),
		Reasons: map[string]int{},
		Dropped: a.watch.lost(),
	}

	all, err := a.final(ctx)
	if err != nil {
		return r, err
	}
	for _, recording := range all {
		r.count(recording)
	}
	for _, p := range a.honest {
		if err := a.measure(ctx, &r, p, all); err != nil {
			return r, err
		}
	}

	if err := a.newcomer(ctx, &r); err != nil {
		return r, err
	}
	if all, err = a.final(ctx); err != nil {
		return r, err
	}
	if err := a.leftovers(ctx, &r, all); err != nil {
		return r, err
	}
	if err := a.readLog(&r); err != nil {
		return r, err
	}

	if r.Peak = a.watch.ever(); r.Peak.Memory > mostMemory {
		r.fault("the recorder took %d MiB, at most %d are allowed", r.Peak.Memory>>20, mostMemory>>20)
	}
	return r, nil
}

// final returns all recordings of the room when they have come to their ends.
func (a *arena) final(ctx context.Context) (all []document.Recording, err error) {
	ctx, cancel := context.WithTimeout(ctx, storedWithin)
	defer cancel()
	for {
		if all, err = a.system.REST().All(ctx, Room); err != nil {
			return nil, err
		}
		open := slices.IndexFunc(all, func(r document.Recording) bool { return !r.Final() })
		if open < 0 {
			return all, nil
		}
		if err := stack.Pass(ctx, time.Second); err != nil {
			return nil, fmt.Errorf("wait for all recordings to be final: %w, %s of %q is %s",
				err, all[open].ID, all[open].Participant, all[open].State)
		}
	}
}

// by says whether somebody has taken part in an attack.
func (r Row) by(name string) bool { return r.prefix != "" && strings.HasPrefix(name, r.prefix) }

// count notes how a recording of somebody who attacked has ended.
func (r *Report) count(recording document.Recording) {
	for n := range r.Rows {
		row := &r.Rows[n]
		if !row.by(recording.Participant) {
			continue
		}
		row.Parts += len(recording.Parts)
		if recording.State == document.Completed {
			row.Completed++
			continue
		}
		row.Failed++
		r.Reasons[recording.Reason]++
		if recording.Reason == "" {
			r.fault("%s of %q has failed without a reason", recording.ID, recording.Participant)
		}
	}
}

// newcomer lets somebody come, who must be recorded soon.
func (a *arena) newcomer(ctx context.Context, r *Report) error {
	const name = "newcomer"
	p, err := a.enter(name, participant.Options{})
	if err != nil {
		return err
	}
	defer p.Leave()
	if _, err := p.Microphone(); err != nil {
		return err
	}

	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	_, err = a.system.REST().AwaitOf(waiting, Room, name, func(r document.Recording) bool {
		return r.State == document.Active
	})
	if r.ReadyAfter = time.Since(began); err != nil {
		r.fault("the recorder takes no more starts: %s", err)
	}
	return ctx.Err()
}

// leftovers looks at what must be gone: messages, objects, files on the recorder's disk.
func (a *arena) leftovers(ctx context.Context, r *Report, all []document.Recording) error {
	queues := []string{a.system.StartQueue, a.system.ControlQueue}
	for _, queue := range []string{queues[0], queues[1], stack.Dead(queues[0]), stack.Dead(queues[1])} {
		left, err := a.emptied(ctx, queue)
		if err != nil {
			return err
		}
		if left > 0 {
			r.fault("%d messages are left in %s", left, queue)
		}
	}

	left, err := a.system.Leftovers(ctx, all...)
	if err != nil {
		return err
	}
	for _, what := range left {
		r.fault("%s was left behind in the bucket", what)
	}

	disk := filepath.Join(a.system.Work, a.recorder.Name)
	return filepath.WalkDir(disk, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != ".lock" { // which says that the recorder runs
			r.fault("%s was left behind on the disk", path)
		}
		return err
	})
}

// emptied waits a while for a queue to become empty, and says how many messages it has then.
func (a *arena) emptied(ctx context.Context, queue string) (messages int, err error) {
	const attempts = 30
	for range attempts {
		visible, held, err := a.system.Messages(ctx, queue)
		if messages = visible + held; err != nil || messages == 0 {
			return messages, err
		}
		if err := stack.Pass(ctx, time.Second); err != nil {
			return messages, err
		}
	}
	return messages, nil
}

// readLog finds in the recorder's log what must not be there.
func (a *arena) readLog(r *Report) error {
	lines, err := a.recorder.Log()
	if err != nil {
		return err
	}
	for _, line := range lines {
		r.Goroutines = max(r.Goroutines, line.Goroutines)
		if strings.HasPrefix(line.Text, "panic:") || strings.Contains(line.Msg, "fault of the recorder") {
			r.fault("the recorder's log: %s", line.Text)
		}
		for n := range r.Rows {
			if r.Rows[n].by(line.Participant) {
				r.Rows[n].Packets += line.Packets
			}
		}
	}
	return nil
}
