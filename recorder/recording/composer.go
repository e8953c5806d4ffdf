package recording

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/ledger"
)

const (
	// gather is how long the first frames are kept in memory while a kind of track that is wanted has not begun: a
	// camera that comes a moment after the microphone belongs into the same file.
	gather = 5 * time.Second
	// lateAudio is how long audio that a part has no stream for waits for video's next key frame, where a new part can begin.
	lateAudio = 3 * time.Second
	// reportInterval is how often it is written down how far a part has come.
	reportInterval = 5 * time.Second
	// maxFailures is how many parts may fail before a recording is given up: a full disk does not get better by trying.
	maxFailures = 10
	// closeTimeout bounds ffmpeg's finishing of a file: it writes an index, and nothing grows with the recording's length.
	closeTimeout = 30 * time.Second
)

// Tail is a part's file on its way to where it is kept.
type Tail interface {
	// Finish returns the size in bytes when the file is safely there.
	Finish(ctx context.Context) (int64, error)
}

// Storage keeps parts.
type Storage interface {
	Key(name string) string
	Begin(path, name, container string) Tail
	// Recover makes a file appear that another recorder was storing when it disappeared. It returns its size in bytes, and
	// whether the recorder had finished it; [ledger.ErrNotFound] if nothing of it had been stored.
	Recover(ctx context.Context, name, container string) (size int64, whole bool, err error)
	// Resume goes on with the storing of a file that does not grow any more, whose recorder was killed on this disk.
	// [ledger.ErrSuperseded] says that another recorder has recovered it.
	Resume(ctx context.Context, path, name, container string) (Tail, error)
	// Fetch copies a stored file to path.
	Fetch(ctx context.Context, name, path string) error
}

// composer makes parts of the frames of one recording: it decides where one part ends and the next begins.
type composer struct {
	ffmpeg  mux.FFmpeg
	storage Storage
	scratch string // directory for growing files
	file    string // the recording's file name, without extension; empty until it has one
	kinds   []track.Kind
	log     logrus.FieldLogger
	// opened is called when a part has begun.
	opened func()
	// repair gives a file that ffmpeg could not finish a duration and an index.
	repair func(ctx context.Context, part *ledger.Part, name string) error

	frames   interleaver[*room.Track]
	pending  []unit              // frames before the first part, or of a kind that the part has no stream for
	order    map[*room.Track]int // in which tracks began
	feeding  map[track.Kind]*room.Track
	failures int  // parts that could not be written
	needKey  bool // after a part that failed: video begins anew
	mutes    mutes
	draining bool      // another recorder is about to go on
	reported time.Time // when the open part was last reported on
	part     *openPart
	number   int         // of the newest part of the whole recording, from 1
	unnamed  []*openPart // that began before the recording had a name
	unwanted bool        // it will have none

	finishing sync.WaitGroup
	mu        sync.Mutex
	parts     []ledger.Part // those of this recorder
}

// openPart is the part that frames go to at the moment.
type openPart struct {
	*writer
	part  *mux.Part
	tail  Tail
	name  string
	index int // in composer.parts
}

func (c *composer) init() *composer {
	c.order, c.feeding, c.mutes = map[*room.Track]int{}, map[track.Kind]*room.Track{}, mutes{}
	return c
}

// begin notes a track whose frames will come.
func (c *composer) begin(t *room.Track) {
	c.order[t] = len(c.order)
	c.frames.begin(t, time.Now())
}

// current says whether a track feeds its kind: a newer one takes over at its first frame, for good. After a reconnect
// of the participant both exist for a while.
func (c *composer) current(t *room.Track) bool {
	if fed := c.feeding[t.Codec.Kind]; fed == nil || c.order[t] > c.order[fed] {
		c.feeding[t.Codec.Kind] = t
	}
	return c.feeding[t.Codec.Kind] == t
}

// advance moves every frame that is due into a part. It is called after each push and at every tick.
func (c *composer) advance(now time.Time, all bool) {
	for {
		q, ok := c.frames.pop(now, all)
		if !ok {
			break
		}
		c.place(q)
	}
	c.openWhenReady(now, all)
	if c.part != nil && now.Sub(c.reported) >= reportInterval {
		c.reported = now
		c.report(c.part)
	}
}

// report writes down how far a part has come.
func (c *composer) report(p *openPart) {
	reports, length := p.reports()
	c.update(p.index, func(part *ledger.Part) { part.Tracks, part.Duration = reports, length.Seconds() })
}

// place puts a frame into the part it belongs to.
func (c *composer) place(q unit) {
	kind := q.track.Codec.Kind
	if !c.current(q.track) {
		return
	}
	if kind == track.Video && c.needKey {
		if !q.frame.Key {
			return
		}
		c.needKey = false
	}
	if c.part == nil {
		c.pending = append(c.pending, q)
		return
	}
	s := c.part.streams[kind]
	switch {
	case s == nil && kind == track.Audio:
		if len(c.pending) == 0 {
			c.requestKeyFrame()
		}
		c.pending = append(c.pending, q)
		if q.time.Sub(c.pending[0].time) > lateAudio {
			c.roll("audio began", nil)
		}
		return
	case s == nil && !q.frame.Key:
		c.needKey = true
		c.requestKeyFrame()
		return
	case s == nil:
		c.roll("video began", &q)
		return
	case q.frame.Key && !fits(s, q):
		c.roll("the "+string(kind)+" format changed", &q)
		return
	case q.frame.Key && kind == track.Video && len(c.pending) > 0:
		c.roll("audio began", &q)
		return
	}
	c.write(q)
}

// fits says whether a part's stream can go on with a frame. Video of all codecs carries what a decoder needs in each key
// frame (VP8's and VP9's size, H264's parameter sets, AV1's sequence header), so that only another codec does not fit.
// Opus' header says how many channels are decoded.
func fits(s *stream, q unit) bool {
	if s.report.Codec != "" && s.report.Codec != q.track.Codec.Name {
		return false
	}
	return q.track.Codec.Kind == track.Video || s.config.Equal(q.frame.Config)
}

func (c *composer) write(q unit) {
	if err := c.part.write(q); err != nil {
		c.log.WithError(err).Error("part failed, going on with a new one")
		c.failures++
		c.closePart("ffmpeg failed: " + err.Error())
		c.needKey = true
		c.requestKeyFrame()
		c.place(q)
	}
}

func (c *composer) requestKeyFrame() {
	if t := c.feeding[track.Video]; t != nil {
		t.RequestKeyFrame()
	}
}

// roll ends the part and begins the next one with frame first, and the frames that wait. Without any video to begin
// with, the next part has audio only.
func (c *composer) roll(reason string, first *unit) {
	hadAudio := c.part.streams[track.Audio]
	c.closePart(reason)
	if first != nil {
		c.pending = append(c.pending, *first)
	}
	var audio *mux.Stream // stays in the file even if none of its frames are here yet
	if hadAudio != nil && first != nil && first.track.Codec.Kind == track.Video {
		audio = &mux.Stream{Codec: hadAudio.track.Codec, Config: hadAudio.config}
	}
	c.open(audio)
}

// openWhenReady begins the first part (or the one after a failure) once every wanted kind has come, or long enough after
// the first frame.
func (c *composer) openWhenReady(now time.Time, all bool) {
	if c.part != nil || len(c.pending) == 0 {
		return
	}
	seen := map[track.Kind]bool{}
	for _, q := range c.pending {
		seen[q.track.Codec.Kind] = true
	}
	if all || len(seen) == len(c.kinds) || now.Sub(c.pending[0].at) >= gather && !c.frames.expecting(now) {
		c.open(nil)
	}
}

// open begins a part with the pending frames.
func (c *composer) open(extra *mux.Stream) {
	var streams []mux.Stream
	w := &writer{origin: c.pending[0].time, streams: map[track.Kind]*stream{}, mutes: c.mutes}
	add := func(codec track.Codec, config track.Config) {
		w.streams[codec.Kind] = &stream{index: len(streams), config: config}
		streams = append(streams, mux.Stream{Codec: codec, Config: config})
	}
	for _, kind := range []track.Kind{track.Video, track.Audio} { // players expect video first
		if q := header(c.pending, kind); q != nil {
			q.frame.Config.Reorders = q.frame.Config.Reorders || reorders(c.pending, kind)
			if q.frame.Config.Reorders {
				w.origin = c.pending[0].time.Add(-mux.ReorderDelay)
			}
			add(q.track.Codec, q.frame.Config)
		}
	}
	if extra != nil && w.streams[extra.Codec.Kind] == nil {
		add(extra.Codec, extra.Config)
	}
	c.number++
	local := localName{number: c.number, drained: c.draining, container: string(mux.ContainerOf(streams))}
	name, key, state := "", "", ledger.Active
	if c.file != "" {
		name = local.partOf(c.file)
		key = c.storage.Key(name)
	}
	if c.draining {
		state = ledger.Draining
	}
	path := filepath.Join(c.scratch, local.String())
	started := w.origin.UTC()
	c.mu.Lock()
	c.parts = append(c.parts, ledger.Part{
		Key: key, Container: local.container, State: state, StartedAt: &started,
		Tracks: []ledger.TrackReport{},
	})
	index := len(c.parts) - 1
	c.mu.Unlock()
	part, err := mux.Open(c.ffmpeg, path, streams)
	if err != nil {
		c.log.WithError(err).Error("part could not be begun")
		c.failures++
		c.update(index, func(p *ledger.Part) { p.State, p.Reason = ledger.Failed, err.Error() })
		c.needKey = true
		c.pending = nil
		return
	}
	w.sink = part
	c.part = &openPart{writer: w, part: part, name: name, index: index}
	c.part.tail = c.tail(c.part)
	c.log.WithFields(logrus.Fields{"part": c.number, "key": key}).Info("part begun")
	c.opened()
	pending := c.pending
	c.pending = nil
	for _, q := range pending {
		c.place(q)
	}
}
