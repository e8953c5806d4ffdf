package simulate

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// journal is the merged log of everybody, in virtual time.
type journal struct {
	mu    sync.Mutex
	began time.Time
	lines []string
	// turnedAway is when recorders have turned people away who are not suspect, because of others who are.
	turnedAway map[string][]time.Time
}

func newJournal() *journal { return &journal{began: time.Now(), turnedAway: map[string][]time.Time{}} }

// away is when recorders have turned a person away for the sake of suspects.
func (j *journal) away(who string) []time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.turnedAway[who])
}

func (j *journal) turnAway(who string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.turnedAway[who] = append(j.turnedAway[who], time.Now())
}

// note writes a line of the world's own.
func (j *journal) note(who, format string, args ...any) { j.add(who, "", fmt.Sprintf(format, args...)) }

func (j *journal) add(who, level, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := fmt.Sprintf("%9.3f %-9s %-5s %s", time.Since(j.began).Seconds(), who, level, text)
	j.lines = append(j.lines, line)
}

// all returns every line.
func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// logger makes a logger whose lines go here, for as long as the process lives.
func (j *journal) logger(p *process) *logrus.Entry {
	log := logrus.New()
	log.SetOutput(discard{})
	log.SetFormatter(plain{})
	log.AddHook(&hook{journal: j, process: p})
	return logrus.NewEntry(log)
}

// discard and plain keep logrus from formatting what nobody reads.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

type plain struct{}

// Format implements [logrus.Formatter].
func (plain) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

type hook struct {
	journal *journal
	process *process
}

// Levels implements [logrus.Hook].
func (*hook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements [logrus.Hook].
func (h *hook) Fire(e *logrus.Entry) error {
	if h.process.killed() {
		return nil // it cannot say that any more
	}

	var text strings.Builder
	text.WriteString(e.Message)
	names := make([]string, 0, len(e.Data))
	for name := range e.Data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, " %s=%v", name, e.Data[name])
	}
	if company, said := e.Data["company"].(int); said && company == 0 {
		h.journal.turnAway(fmt.Sprint(e.Data["participant"]))
	}
	h.journal.add(h.process.name, e.Level.String()[:4], text.String())
	return nil
}
