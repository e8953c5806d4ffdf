package track

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	// keyFrameInterval is the least time between two key-frame requests for one track.
	keyFrameInterval = time.Second
	// readTimeout is how often a stream is looked after of which packets wait for others, and silentTimeout how often any
	// other one is, whose key frame may be missing.
	readTimeout   = 50 * time.Millisecond
	silentTimeout = 250 * time.Millisecond
	// atOnce is how long reading takes at most if a packet was there already.
	atOnce = 500 * time.Microsecond
)

// Source is where a track's packets come from.
type Source interface {
	// ReadRTP returns the next packet, a [net.Error] that is a timeout at the deadline, or io.EOF when the track has
	// ended.
	ReadRTP() (*rtp.Packet, error)
	SetReadDeadline(time.Time) error
	// Gather is for how long packets may be let come before they are read together; 0 for not at all.
	Gather() time.Duration
	// Reuse gives the payload of a packet back, of which nothing is needed any more. It need not be called.
	Reuse(payload []byte)
}

// Frame is one complete frame that can be decoded, given the frames before it since the last key frame.
type Frame struct {
	Data     []byte
	Key      bool
	Duration time.Duration // of audio; 0 for video
	// Timestamp is the extended RTP timestamp. [Receiver.Time] says what time that is.
	Timestamp int64
	Config    Config
	// AfterLoss says that packets before this frame were lost, and frames with them.
	AfterLoss bool
}

// frameCost is what it costs to remember a frame, beside its data.
const frameCost = 512

// Cost is how many bytes of memory a frame takes: all of the buffers that it lies in.
func (f Frame) Cost() int { return frameCost + cap(f.Data) + cap(f.Config.Private) }

// Stats count what a receiver has seen.
type Stats struct {
	Frames, KeyFrames, Dropped int64
	PacketsReceived            int64
	PacketsLost                int64
}

// Receiver turns the packets of one track into frames.
type Receiver struct {
	Codec  Codec
	Source Source
	// Stereo says that the publisher has announced two channels. Without that, the first stereo packet says so.
	Stereo bool
	// Base is shared by all tracks of the participant.
	Base *Timebase
	// RequestKeyFrame asks the publisher for a key frame. It is called at most once a second.
	RequestKeyFrame func()
	// Retransmit asks for packets again.
	Retransmit func(sequenceNumbers []uint16)
	// Emit gets every frame, in order. It is called from Run.
	Emit func(Frame)
	// Warn reports a fault of a frame: the stream goes on without it.
	Warn func(error)

	mu      sync.Mutex // guards times and packets: reports come on a goroutine of their own
	times   times
	packets packets
	reading reading
}

// reading is what Run alone knows.
type reading struct {
	asked   time.Time // when a key frame was last requested
	waiting bool      // packets wait for others
}

// packets are what has come, on its way into frames.
type packets struct {
	ssrc      uint32
	sequencer sequencer
	assembler *assembler
	share     *Share
}

// weigh has them let go of what is too much for all recordings together.
func (p *packets) weigh() {
	p.share.Set(p.sequencer.cost + p.assembler.open.cost)
	p.sequencer.hurried = p.share.TooMuch()
	p.assembler.most = maxFrame
	if p.sequencer.hurried {
		p.assembler.most = FairShare
	}
}

// Init must be called before Run and HandleRTCP.
func (r *Receiver) Init() {
	r.times.clock = NewClock(r.Codec.ClockRate, slew[r.Codec.Kind], r.Base)
	r.packets.sequencer.kind = r.Codec.Kind
	r.packets.assembler = newAssembler(r.Codec)
	r.packets.share = NewShare()
	if r.Source != nil {
		r.packets.assembler.open.reuse = r.Source.Reuse
	}
	if r.Stereo {
		r.packets.assembler.config.Channels = 2
	}
}

// Run reads until the track ends or ctx is done, and emits what it still holds then.
func (r *Receiver) Run(ctx context.Context) error {
	var deadline time.Time
	now := time.Now()
	for ctx.Err() == nil {
		within := silentTimeout
		if r.reading.waiting {
			within = readTimeout
		}
		if left := deadline.Sub(now); left < within/2 || left > within { // a timer is not set anew for every packet
			deadline = now.Add(within)
			if err := r.Source.SetReadDeadline(deadline); err != nil {
				return err
			}
		}

		began := now
		p, err := r.Source.ReadRTP()
		now = time.Now()
		switch {
		case err == nil:
			r.receive(p, now)
		case errors.Is(err, io.EOF):
			r.drain(now.Add(patience))
			return nil
		case !isTimeout(err):
			r.drain(now.Add(patience))
			return err
		}

		if r.drain(now); err == nil && now.Sub(began) > atOnce {
			r.gather(ctx)
			now = time.Now()
		}
	}

	r.drain(time.Now().Add(patience))
	return nil
}

// gather lets packets come behind one that had to be waited for, unless some are missing before it: those that are here
// together are read without a wait. The clock is told of them when they are read: it goes by the one that comes with
// the least delay, which is that first one.
func (r *Receiver) gather(ctx context.Context) {
	apart := r.Source.Gather()
	if apart == 0 || r.reading.waiting {
		return
	}

	timer := time.NewTimer(UntilInstant(apart))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// HandleRTCP takes the track's sender reports; other packets are ignored, as are other tracks' reports, which come in
// the same compound packet.
func (r *Receiver) HandleRTCP(packet rtcp.Packet) {
	report, ok := packet.(*rtcp.SenderReport)
	if !ok || report.NTPTime == 0 {
		return
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if !r.packets.assembler.clock.started || report.SSRC != r.packets.ssrc {
		return // without a packet there is nothing to extend its timestamp by
	}

	r.times.float()
	rtp := r.packets.assembler.clock.near(report.RTPTime + r.times.shift)
	r.times.clock.Report(rtp, ntpTime(report.NTPTime), steady(time.Now()), r.times.latest, r.times.settled)
}

// Synced says that times are exact: a sender report has been seen. LiveKit sends one every 3 seconds.
func (r *Receiver) Synced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times.clock.Synced()
}

// Time is when a frame was captured, by the publisher's clock. It may still change until [Receiver.Settle].
func (r *Receiver) Time(timestamp int64) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times.float()
	return r.times.clock.At(timestamp)
}

// Settle returns the same, for good: times up to this one will not change any more.
func (r *Receiver) Settle(timestamp int64) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times.float()
	if !r.times.settled {
		r.times.clock.base.fix()
	}
	if !r.times.settled || timestamp > r.times.latest {
		r.times.settled, r.times.latest = true, timestamp
	}
	return r.times.clock.At(timestamp)
}

// Stats returns the counts so far.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{
		Frames:          r.packets.assembler.frames,
		KeyFrames:       r.packets.assembler.keyFrames,
		Dropped:         r.packets.assembler.dropped,
		PacketsReceived: r.packets.sequencer.received,
		PacketsLost:     r.packets.sequencer.lost,
	}
}

func (r *Receiver) receive(p *rtp.Packet, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.packets.ssrc = p.SSRC
	p.Timestamp += r.times.shift
	if r.packets.sequencer.push(p, now) && !isPadding(p.Payload) {
		r.arrived(p, steady(now))
	}
	r.packets.weigh()
}

// arrived tells the clock of a packet, whose timestamp is changed if it has nothing to do with those before. Of a
// frame's packets, the first one tells: however long the others take, they are of the same time.
func (r *Receiver) arrived(p *rtp.Packet, at time.Time) {
	extend := &r.packets.assembler.clock
	if !extend.started {
		extend.extend(p.Timestamp)
	} else if r.times.within && p.Timestamp == r.times.newest {
		r.times.within = !p.Marker
		return
	}

	r.times.float()
	ahead := r.times.clock.Ahead(extend.near(p.Timestamp), at)
	if r.times.catchesUp(ahead, int64(int32(p.Timestamp-r.times.newest)), r.Codec.ClockRate) {
		return
	}
	by := uint32(ahead)
	p.Timestamp -= by
	r.times.shift -= by
	r.times.newest, r.times.within = p.Timestamp, r.Codec.Kind == Video && !p.Marker
	r.times.clock.Arrived(extend.near(p.Timestamp), at, r.times.settled)
}

// drain moves packets into frames, and frames out.
func (r *Receiver) drain(now time.Time) {
	due := r.due(now)
	r.reading.waiting = due.waiting
	for _, warning := range due.warnings {
		r.Warn(warning)
	}

	if len(due.missing) > 0 {
		r.Retransmit(due.missing)
	}
	if due.needKey && now.Sub(r.reading.asked) >= keyFrameInterval {
		r.reading.asked = now
		r.RequestKeyFrame()
	}

	for _, f := range due.frames {
		r.Emit(Frame{
			Data:      f.data,
			Key:       f.key,
			Config:    f.config,
			Timestamp: f.timestamp,
			AfterLoss: f.afterLoss,
			Duration:  time.Duration(f.duration) * time.Second / time.Duration(r.Codec.ClockRate),
		})
	}
}

// due is what is to be done at some time.
type due struct {
	frames   []assembled // to be emitted
	warnings []error
	missing  []uint16 // packets to be asked for
	needKey  bool
	waiting  bool // packets wait for others
}

func (r *Receiver) due(now time.Time) (d due) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for {
		p, hole, ok := r.packets.sequencer.pop(now)
		if !ok {
			break
		}
		complete, err := r.packets.assembler.push(p, hole)
		if err != nil {
			d.warnings = append(d.warnings, err)
		}
		d.frames = append(d.frames, complete...)
	}

	r.packets.weigh()
	d.needKey = r.packets.assembler.needKey && r.packets.sequencer.received > 0
	d.missing = r.packets.sequencer.missing(now)
	d.waiting = len(r.packets.sequencer.held) > 0
	return d
}
