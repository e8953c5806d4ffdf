package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

const (
	// demoLength is how long each participant of the demo stays.
	demoLength = 10 * time.Second
	// storedWithin is how soon after the end a file must be in the bucket.
	storedWithin = 30 * time.Second
	// seam is shorter than what counts as missing.
	seam = 50 * time.Millisecond
	// maxOffset is how far sound may be from the picture.
	maxOffset = 20 * time.Millisecond
	// lastPackets is how much of the very last that somebody sends may be missing: a goodbye takes another way.
	lastPackets = time.Second
)

// demo records one participant because LiveKit's webhook says that they joined, and another because a REST call asks
// for it, under a name of the caller's choice.
func demo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return inSystem(ctx, "demo", "webhook-room/*", func(s *stack.Stack, _, media string) error {
		if _, err := s.StartRecorder(ctx); err != nil {
			return err
		}
		return play(ctx, s, media)
	})
}

func play(ctx context.Context, s *stack.Stack, media string) error {
	client := s.REST()
	for _, codec := range []string{"vp8", "h264", "opus"} {
		step("encoding the test signal: %s", codec)
		if _, err := participant.Make(ctx, media, codec); err != nil {
			return err
		}
	}

	step("alice joins webhook-room with camera (VP8) and microphone: LiveKit's webhook starts the recording")
	alice, err := enter(s, "webhook-room", "alice", "vp8", media)
	if err != nil {
		return err
	}
	defer alice.Leave()

	step("bob joins rest-room with camera (H264) and microphone: " +
		"POST /recordings/start with a file name starts the recording")
	bob, err := enter(s, "rest-room", "bob", "h264", media)
	if err != nil {
		return err
	}
	defer bob.Leave()

	started, err := client.Start(ctx, map[string]string{
		"room":        "rest-room",
		"participant": "bob",
		"file":        "demo/{participant}, by name",
	})
	if err != nil {
		return err
	}

	for left := demoLength; left > 0; left -= time.Second {
		fmt.Printf("\r▸ recording … %2.0f s ", left.Seconds())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}

	fmt.Println()
	step("alice leaves; bob's recording is stopped by POST /recordings/stop")
	alice.Leave()
	if err := client.Stop(ctx, map[string]string{"id": started.ID}); err != nil {
		return err
	}

	step("waiting for the files in the bucket")
	ctx, cancel := context.WithTimeout(ctx, storedWithin)
	defer cancel()
	byWebhook, err1 := client.AwaitOf(ctx, "webhook-room", "alice", document.Recording.Final)
	byREST, err2 := client.Await(ctx, started.ID, document.Recording.Final)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}

	if want := "demo/bob, by name"; byREST.File != want {
		return fmt.Errorf("bob's file was to be named %q and is named %q", want, byREST.File)
	}
	return report(ctx, s, outcome{byWebhook, alice}, outcome{byREST, bob})
}

func enter(s *stack.Stack, room, identity, codec, media string) (*participant.Participant, error) {
	p, err := participant.Join(s.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, identity, media)
	if err != nil {
		return nil, err
	}
	if _, err = p.Microphone(); err == nil {
		_, err = p.Camera(codec)
	}

	if err != nil {
		p.Leave()
		return nil, err
	}
	return p, nil
}

// outcome is a recording that has ended, and whose it is.
type outcome struct {
	document.Recording
	of *participant.Participant
}

// missing is what was sent while it was recorded, and is not in its files.
func (o outcome) missing() []timeline.Span {
	recorded := timeline.Recorded(o.Recording, "audio")
	sent := o.of.Sent("audio")
	if len(recorded) == 0 || len(sent) == 0 {
		return sent
	}

	until := sent[len(sent)-1].To
	if o.EndedAt.Before(until) {
		until = *o.EndedAt
	}
	wanted := timeline.Until(timeline.From(sent, *o.StartedAt), until.Add(-lastPackets))
	return timeline.Longer(timeline.Without(wanted, recorded), seam)
}

// report prints what ffprobe and the analyser find, and fails unless it is right.
func report(ctx context.Context, s *stack.Stack, outcomes ...outcome) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nFILE\tCONTAINER\tCODECS\tDURATION\tA/V OFFSET\t")
	var faults []error
	for _, recording := range outcomes {
		if len(recording.Parts) != 1 {
			faults = append(faults, fmt.Errorf("%s has %d parts: %s", recording.ID, len(recording.Parts), recording.Reason))
			continue
		}

		part := recording.Parts[0]
		path := s.Path(part.Key)
		file, err := analyse.Probe(ctx, path)
		if err != nil {
			return err
		}

		offset, err := analyse.AVOffset(ctx, path)
		if err != nil {
			return err
		}

		offset -= participant.EncoderDelay
		complaints, err := analyse.Decode(ctx, path)
		fmt.Fprintf(table, "%s\t%s\t%s\t%.2f s\t%+.1f ms\t\n", part.Key, part.Container, file.Codecs(),
			file.Duration().Seconds(), float64(offset.Microseconds())/1000)
		if err != nil || complaints != "" {
			faults = append(faults, fmt.Errorf("%s does not decode: %s", part.Key, complaints))
		}

		if offset.Abs() > maxOffset {
			faults = append(faults, fmt.Errorf("%s: audio is %s beside the video", part.Key, offset))
		}
		if missing := recording.missing(); len(missing) > 0 {
			faults = append(faults, fmt.Errorf("%s: %v was sent and is missing", part.Key, missing))
		}
	}

	if err := table.Flush(); err != nil {
		return err
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}

	fmt.Println("\nEvery file decodes without a complaint, and sound and picture are in step.")
	return nil
}
