package recording

import (
	"slices"
	"strings"
	"time"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// measured is what is told to operators of how long things took. The course's goroutine owns it.
type measured struct {
	taken   time.Time     // when this recorder got the start
	waited  time.Duration // how long it had been asked for by then
	came    time.Time     // when the participant was first here
	decided time.Time     // when it was decided how it ends; zero while it goes on
	known   bool          // it has been counted whose it was
}

// granted counts whether it is a new recording or another recorder's.
func (m *measured) granted(g ledger.Grant) {
	if m.known || g.Verdict != ledger.Record && g.Verdict != ledger.Close {
		return
	}
	m.known = true
	if g.Epoch > 1 {
		metrics.TakeOvers.Inc()
	} else {
		metrics.PickUp.Observe(m.waited)
	}
}

func (m *measured) joined() {
	if m.came.IsZero() {
		m.came = time.Now()
	}
}

func (m *measured) firstFrame() {
	since := m.taken
	if m.came.After(since) {
		since = m.came
	}
	metrics.FirstFrame.Observe(time.Since(since))
}

// moved notes when the end was decided, or that this was taken back.
func (m *measured) moved(before, now Ending) {
	switch {
	case now.Outcome == "":
		m.decided = time.Time{}
	case before.Outcome == "":
		m.decided = time.Now()
	}
}

// causes are why recordings end, as operators see it: there are few.
var causes = map[string]string{
	reasonLeft:               "left",
	reasonStopped:            "stopped",
	reasonRoomClosed:         "room_closed",
	reasonMaximum:            "max_duration",
	reasonWriting:            "writing",
	document.ReasonNotJoined: "not_joined",
	document.ReasonUnsteady:  "unsteady",
	document.ReasonGivenUp:   "given_up",
}

// cause says in one word why a recording has ended that way. A failed one whose participant left, or was stopped, had
// nothing to record.
func cause(final document.Recording, reason string) string {
	word, known := causes[reason]
	switch {
	case !known:
		word = "other"
	case final.State == document.Completed:
	case final.Reason == string(document.UnrecordedEncrypted):
		return "encrypted"
	case slices.Contains(failures, reason):
	case len(final.Parts) > 0:
		return "parts_failed"
	case len(final.Unrecorded) > 0:
		return "unrecordable"
	case reason != reasonWriting:
		return "no_media"
	}
	return word
}

// failures are reasons of which nothing else is to be said.
var failures = []string{document.ReasonNotJoined, document.ReasonUnsteady, document.ReasonGivenUp}

// refusal says in one word why a start was not wanted.
func refusal(reason string) string {
	if strings.HasPrefix(reason, reasonDuplicate) {
		return "duplicate"
	}
	return "void"
}
