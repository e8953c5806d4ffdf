package recording

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// world is everything around the recorders of a test. Time in it is that of a bubble of synctest.
type world struct {
	t       *testing.T
	livekit *livekit
	bucket  *bucket
	scratch string
	log     *logrus.Logger

	mu      sync.Mutex
	notices []document.Recording
	unsent  bool // notices cannot be sent
}

// story plays something in a world in which alice is in her room, in session S1.
func story(t *testing.T, play func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t:       t,
			livekit: &livekit{recorders: map[string]*Recordings{}},
			bucket:  newBucket(t.TempDir()),
			scratch: t.TempDir(),
			log:     logrus.New(),
		}
		w.log.SetOutput(io.Discard)
		w.livekit.comes("S1")
		play(t, w)
	})
}

// pass lets time pass, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) documents() ledger.Documents { return ledger.Documents{Store: w.bucket} }
func (w *world) ledger() *ledger.Ledger      { return &ledger.Ledger{Store: w.bucket} }

// document is what is written down of a recording.
func (w *world) document(c command.Command) document.Recording {
	w.t.Helper()
	r, err := w.documents().ByID(w.t.Context(), c.Recording)
	require.NoError(w.t, err)
	return r
}

// tell notes what a notice would say if it were delivered at once.
func (w *world) tell(ctx context.Context, about document.Recording) error {
	r, err := w.documents().ByID(ctx, about.ID)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unsent {
		return errors.New("the queue is away")
	}
	w.notices = append(w.notices, r)
	return nil
}

// keepNotices makes notices stay where they are, or ends that.
func (w *world) keepNotices(keep bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsent = keep
}

func (w *world) told() []document.Recording {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notices
}

// recorder is one of the recorders.
type recorder struct {
	*Recordings
	w     *world
	owned *scratch.Owned
}

func (w *world) recorder(name string) *recorder {
	w.t.Helper()
	owned, err := scratch.Open(scratch.OS{}, w.scratch, name)
	require.NoError(w.t, err)
	names := Names{Recorder: name, Bucket: "bucket", FileTemplate: "{room}/{participant}"}
	rescue := &recovery.Recovery{
		Storage:   w.bucket,
		Documents: w.documents(),
		Ledger:    w.ledger(),
		Disk:      scratch.OS{},
		Root:      w.scratch,
		Work:      w.t.TempDir(),
		Repair:    repairMedia,
		New:       names.Document,
		Tell:      w.tell,
		Log:       w.log,
	}
	r := &recorder{w: w, owned: owned, Recordings: &Recordings{
		Names:  names,
		Policy: patient,
		World: World{
			Rooms:     w.livekit,
			Open:      openMedia,
			Storage:   w.bucket,
			Documents: w.documents(),
			Ledger:    w.ledger(),
			Recovery:  rescue.Init(),
			Scratch:   owned,
			Tell:      w.tell,
			Now:       time.Now,
			Log:       w.log,
		},
	}}
	w.livekit.mu.Lock()
	defer w.livekit.mu.Unlock()
	w.livekit.recorders[name] = r.Recordings
	return r
}

// leaves are the files that a recorder has on its disk at the moment.
func (r *recorder) leaves() (files []string) {
	r.w.t.Helper()
	attempts, err := r.owned.Attempts()
	require.NoError(r.w.t, err)
	for _, d := range attempts {
		entries, err := os.ReadDir(d.Path)
		require.NoError(r.w.t, err)
		for _, e := range entries {
			files = append(files, filepath.Join(filepath.Base(d.Path), e.Name()))
		}
	}
	return files
}

// turn is a recorder's turn at a recording, and the message that it holds.
type turn struct {
	t            *testing.T
	message      string
	relinquished chan struct{}
	offers       atomic.Int32
	rests        atomic.Bool // it has no place
	full         atomic.Bool // there is none
	receives     int         // of the message
	busy         bool        // its recorder has other recordings
	suspicion    atomic.Pointer[ledger.Suspicion]
	kill         context.CancelFunc // ends the recorder as far as this recording is concerned
	ended        chan struct{}
	result       Result
}

// Rest and Wake note whether the recording has a place.
func (h *turn) Rest() { h.rests.Store(true) }

func (h *turn) Wake() bool {
	h.rests.Store(h.full.Load() && h.rests.Load())
	return !h.rests.Load()
}

// Admit takes suspects if the recorder has nothing else, or they have waited for that.
func (h *turn) Admit(s ledger.Suspicion) bool {
	h.suspicion.Store(&s)
	return s.Pause == 0 && (s.Company == 0 || !h.busy || s.Mixed)
}

func (h *turn) Alone() bool {
	s := h.suspicion.Load()
	return s != nil && s.Company > 0 && !h.busy
}

func (h *turn) Clear()                        { h.suspicion.Store(&ledger.Suspicion{}) }
func (h *turn) Receives() int                 { return h.receives }
func (h *turn) Message() string               { return h.message }
func (h *turn) Relinquished() <-chan struct{} { return h.relinquished }

func (h *turn) Offer(context.Context) error {
	h.offers.Add(1)
	return nil
}

// record makes a recorder carry a start out.
func (r *recorder) record(c command.Command) *turn { return r.recordAgain(c, 1, false) }

// recordAgain is the same for a start that has been received so often, on a recorder that has others or not.
func (r *recorder) recordAgain(c command.Command, receives int, busy bool) *turn {
	h := &turn{
		receives:     receives,
		busy:         busy,
		t:            r.w.t,
		message:      "message of " + r.Names.Recorder,
		relinquished: make(chan struct{}),
		ended:        make(chan struct{}),
	}
	ctx, kill := context.WithCancel(r.w.t.Context())
	h.kill = kill
	go func() {
		defer close(h.ended)
		h.result = r.Record(ctx, c, h)
	}()
	return h
}

// goesOn says whether the recorder still has the recording.
func (h *turn) goesOn() bool {
	synctest.Wait()
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// within is how the hold has ended, which must not take longer.
func (h *turn) within(limit time.Duration) Result {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(limit):
		require.Fail(h.t, "it goes on")
	}
	return h.result
}

// start is a start for alice's microphone, as REST asks for it.
func start() command.Command {
	c := command.NewStart("room", "alice", time.Now())
	c.Media = command.AudioOnly
	return c
}

// joined is the start that LiveKit's webhook makes of a session.
func joined(session string) command.Command {
	c := start()
	c.Session = session
	return c
}

// byID is the stop of one recording.
func byID(c command.Command) command.Command {
	stop := command.NewStop("", "", time.Now())
	stop.Recording = c.Recording
	return stop
}

// stop stops a recording, by its id.
func (r *recorder) stop(c command.Command) {
	r.w.t.Helper()
	require.NoError(r.w.t, r.Stop(r.w.t.Context(), byID(c)))
}

// states are the states of a document's parts.
func states(r document.Recording) (all []document.State) {
	for _, p := range r.Parts {
		all = append(all, p.State)
	}
	return all
}
