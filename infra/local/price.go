package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/price"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/document"
)

const (
	priceRoom = "price"
	// priceSettle is how long everybody is recorded before requests are counted, and how long the last ones may take. By
	// then there is the first part of an upload: of 5 MiB, 24 s of a camera.
	priceSettle = 30 * time.Second
	// priceJoin bounds the coming and going of everybody.
	priceJoin = 3 * time.Minute
	// fewest and most are the recordings of which requests are counted: what one alone costs its recorder, and what one of
	// many does.
	fewest, most = 1, 20
)

// cost counts the requests of real recordings, and prints what an hour of a participant costs.
func cost(ctx context.Context) error {
	assumed, minutes, err := priceSettings()
	if err != nil {
		return err
	}

	counter := &price.Counter{}
	return inSystem(ctx, "price", priceRoom+"*/*", func(s *stack.Stack, _, media string) error {
		for _, camera := range []bool{true, false} {
			var measured [2]price.Measured
			for n, people := range []int{fewest, most} {
				step("%s, %d at once, for %s", what(camera), people, minutes)
				if measured[n], err = (&hour{s, counter, people, camera}).measure(ctx, media, minutes); err != nil {
					return err
				}
			}
			kind := assumed
			if !camera {
				kind.Bits = microphoneBits
			}
			printRequests(what(camera), measured)
			printPrices(what(camera), measured, kind)
		}
		return nil
	}, func(o *stack.Options) { o.Requests = counter })
}

// Bits a second that participants send: a camera with its microphone, or a microphone alone (32 kbit/s of Opus).
const cameraBits, microphoneBits = 1.75e6, 40e3

// priceSettings reads what can be set. Defaults are what has been measured (infra/MEASURED.md), and what is deployed.
func priceSettings() (a price.Assumed, minutes time.Duration, err error) {
	number := func(name string, value float64) float64 {
		text := os.Getenv(name)
		if text == "" {
			return value
		}
		n, parsing := strconv.ParseFloat(text, 64)
		if parsing != nil || !(n > 0) || math.IsInf(n, 0) {
			err = errors.Join(err, fmt.Errorf("%s must be a number above 0", name))
		}
		return n
	}

	a = price.Assumed{
		CPU:    number("CPU_SECONDS", 0.7),
		Memory: number("MEMORY_MIB", 5),
		Most:   int(math.Ceil(number("MAX_RECORDINGS", 60))),
		Call:   time.Duration(number("CALL_MINUTES", 60) * float64(time.Minute)),
		Bits:   cameraBits,
	}
	return a, time.Duration(number("MINUTES", 5) * float64(time.Minute)), err
}

func what(camera bool) string {
	if camera {
		return "audio and video"
	}
	return "audio only"
}

// hour is a run from which an hour is inferred.
type hour struct {
	*stack.Stack
	counter *price.Counter
	people  int
	camera  bool
}

// mark is what had been counted at a time.
type mark struct {
	at     time.Time
	counts price.Counts
	log    float64 // bytes
}

func (h *hour) mark(recorder *stack.Process) (m mark, err error) {
	log, err := os.Stat(recorder.LogPath)
	if err != nil {
		return m, fmt.Errorf("measure log: %w", err)
	}
	return mark{time.Now(), h.counter.Counts(), float64(log.Size())}, nil
}

// measure has one recorder record people, who stay for so long.
func (h *hour) measure(ctx context.Context, media string, stay time.Duration) (m price.Measured, err error) {
	recorder, err := h.StartRecorder(ctx, "LOG_LEVEL=info")
	if err != nil {
		return m, err
	}
	defer recorder.Stop()

	room := fmt.Sprintf("%s-%d-%t", priceRoom, h.people, h.camera)
	var all []*participant.Participant
	leave := func() {
		for _, p := range all {
			p.Leave()
		}
	}
	defer leave()

	var marks [4]mark
	steps := []func() error{
		func() error {
			all, err = h.join(room, media)
			return errors.Join(err, h.await(ctx, room, func(r document.Recording) bool { return r.State == document.Active }))
		},
		func() error { return stack.Pass(ctx, stay) },
		func() error {
			leave()
			return h.await(ctx, room, document.Recording.Final)
		},
	}
	if marks[0], err = h.mark(recorder); err != nil {
		return m, err
	}
	for n, step := range steps {
		if err = step(); err != nil {
			return m, err
		}
		if n != 1 { // the hour itself ends when it does
			if err = stack.Pass(ctx, priceSettle); err != nil {
				return m, err
			}
		}
		if marks[n+1], err = h.mark(recorder); err != nil {
			return m, err
		}
	}
	return h.infer(marks), nil
}

// infer makes an hour of what was counted while everybody stayed. What is beyond that in the times before and behind is
// for their coming and going.
func (h *hour) infer(marks [4]mark) price.Measured {
	hours := func(n int) float64 { return marks[n+1].at.Sub(marks[n].at).Hours() }
	counts := func(n int) price.Counts { return marks[n+1].counts.Minus(marks[n].counts) }
	logged := func(n int) float64 { return marks[n+1].log - marks[n].log }

	around := hours(0) + hours(2)
	m := price.Measured{Recordings: h.people, Hourly: counts(1).Times(1 / hours(1)), LogBytes: logged(1) / hours(1)}
	m.Once = counts(0).Plus(counts(2)).Minus(m.Hourly.Times(around))
	m.LogOnce = max(0, logged(0)+logged(2)-around*m.LogBytes)
	return m
}

func (h *hour) join(room, media string) (all []*participant.Participant, err error) {
	for n := range h.people {
		p, err := participant.Join(h.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, fmt.Sprint("person-", n), media)
		if err != nil {
			return all, err
		}
		all = append(all, p)
		if h.camera {
			if _, err := p.Camera(loadSignal); err != nil {
				return all, err
			}
		}
		if _, err := p.Microphone(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// await waits until everybody's recording is as wanted. It reads the bucket's files as such: no request is made.
func (h *hour) await(ctx context.Context, room string, wanted func(document.Recording) bool) error {
	ctx, cancel := context.WithTimeout(ctx, priceJoin)
	defer cancel()
	for {
		documents, err := h.Documents(room)
		if err != nil {
			return err
		}
		ready := 0
		for _, r := range documents {
			if wanted(r) {
				ready++
			}
		}
		if ready == h.people {
			return nil
		}
		if err := stack.Pass(ctx, time.Second); err != nil {
			return fmt.Errorf("%d of %d recordings are as they should be: %w", ready, h.people, cmp.Or(context.Cause(ctx), err))
		}
	}
}
