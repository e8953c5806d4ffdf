package ledger

import (
	"slices"
	"time"

	"livekit-recorder/shared/command"
)

// A recording may kill whoever records it: by a want of memory, or a fault that no code can catch. All recordings of
// that recorder die with it, and the ledger cannot tell which of them it was. What it knows is who has tried a
// recording and never said that this had ended. How often a message was received says nothing of that: full recorders,
// a queue whose answers get lost and a LiveKit that is away raise that number, too.
//
// So a recording whose recorders died, three of them within half an hour, is a suspect. Suspects are kept away from
// others, and among themselves in groups that get smaller with every death: 10 may be together, then 3, then one is
// alone. A group that lives for a minute is cleared, and its recorder takes others again. Culprit and neighbours have
// died equally often at first; a group that lives has no culprit, and in the end the culprit alone goes on dying.
//
// What has died twice with nothing else there is quarantined: it stays wanted, for recorders may die of something else
// all the same, but after each death nobody tries it for a while, and that gets longer. So what kills costs its fleet
// one recorder at a time, less and less often, and what does not is recorded in the end.
//
// Why groups: of 40 suspects each alone, with one recorder, the last one would wait for 40 minutes. In groups of 10 it
// waits for 4, and for some more if the culprit is in one of the first. A death costs those who are in the group about
// half a minute.
//
// A busy fleet may have no recorder without recordings. A suspect that has waited for one joins others after half a
// minute: one suspect, or few, among those that are cleared. If it dies so again and again, it is quarantined, too,
// after eight deaths: its neighbours of the first ones have long been in groups that live. What is quarantined joins
// others only when it has waited twice as long as it must: it would be recorded never otherwise where no recorder is
// ever free.
const (
	// suspectAfter is how many deaths make a suspect.
	suspectAfter = 3
	// quarantineAlone is how many deaths with nothing else there quarantine a recording, quarantineMixed how many others.
	quarantineAlone = 2
	quarantineMixed = 8
	// firstPause is how long nobody tries a recording when it is quarantined, longestPause how long at most.
	firstPause   = time.Minute
	longestPause = 15 * time.Minute
	// rememberDeaths is how long a death in company counts, rememberAlone one with nothing else there: a recording may go
	// on for months.
	rememberDeaths = 30 * time.Minute
	rememberAlone  = 12 * time.Hour
	// isolationPatience is how long a suspect waits for a recorder that has nothing else.
	isolationPatience = 30 * time.Second
	// maxTrials bounds the list for one recording.
	maxTrials = 20
)

// Observation is how long suspects must have lived to be cleared. What kills, kills by its first packets; longer would
// be a longer wait for all other suspects.
const Observation = time.Minute

// Trial is an attempt of a recorder at a recording, until that recorder says that it has ended without harm.
type Trial struct {
	Recorder string    `json:"recorder"`
	Attempt  string    `json:"attempt"`
	At       time.Time `json:"at"`
	// Alone says that the recorder had nothing else, and took nothing else; or that the recording was in quarantine, and
	// what was beside it was not suspect.
	Alone bool `json:"alone,omitempty"`
	// Closing says that the recording was not wanted any more: its parts were to be recovered, which may kill as well.
	Closing bool `json:"closing,omitempty"`
	// Dead is when another recorder came to take the recording up and did not know that the attempt had ended.
	Dead time.Time `json:"dead,omitzero"`
}

// Suspicion is what the deaths of recorders say of a recording.
type Suspicion struct {
	// Company is how many suspects, this one included, may be on one recorder; 0: it is none.
	Company int
	// Mixed says that it has waited for long enough to be recorded beside recordings that are not suspect.
	Mixed bool
	// Quarantined says that recorders keep dying of it. Pause is for how much longer nobody is to try it.
	Quarantined bool
	Pause       time.Duration
}

// Mourned notes that whoever else has tried the recording, and has not said that this has ended, is dead.
func (e Entry) Mourned(b Bid) Entry {
	return e.withTrials(b.Start.Recording, e.earlier(b))
}

// Tried notes that a recorder is about to try a recording, and what [Entry.Mourned] does.
func (e Entry) Tried(b Bid) Entry {
	own := Trial{
		Recorder: b.Owner,
		Attempt:  b.Attempt,
		At:       b.At,
		Alone:    b.Alone || e.suspicion(b).Quarantined,
		Closing:  e.closes(b.Start.Recording),
	}
	for _, t := range e.Trials[b.Start.Recording] {
		if t.Attempt == b.Attempt {
			own.At = t.At
		}
	}
	trials := append(e.earlier(b), own)
	return e.withTrials(b.Start.Recording, trials[max(0, len(trials)-maxTrials):])
}

// earlier are the trials of others that still count, all of which are dead as far as anybody knows. The recorder that
// asks lives, whatever has become of its own.
func (e Entry) earlier(b Bid) (trials []Trial) {
	for _, t := range e.Trials[b.Start.Recording] {
		if t.Recorder == b.Owner {
			continue
		}
		if t.Dead.IsZero() {
			t.Dead = b.At
		}
		if b.At.Sub(t.Dead) <= t.remembered() {
			trials = append(trials, t)
		}
	}
	return trials
}

// remembered is how long it counts that the recorder died.
func (t Trial) remembered() time.Duration {
	if t.Alone {
		return rememberAlone
	}
	return rememberDeaths
}

// closes says that a recording is not wanted any more, and to be brought to its end.
func (e Entry) closes(recording string) bool {
	claim, claimed := e.Claims[recording]
	return claimed && !claim.Wanted()
}

// suspicion says what the trials so far make of a recording. That recorders died of recording it does not make them die
// of closing it.
func (e Entry) suspicion(b Bid) (s Suspicion) {
	closes := e.closes(b.Start.Recording)
	deaths := slices.DeleteFunc(e.earlier(b), func(t Trial) bool { return closes && !t.Closing })
	alone := 0 // of it alone
	var newest time.Time
	for _, t := range deaths {
		if t.Alone {
			alone++
		}
		if t.Dead.After(newest) {
			newest = t.Dead
		}
	}

	if len(deaths)-alone >= quarantineMixed {
		alone += quarantineAlone
	}
	waited, patience := b.At.Sub(newest), isolationPatience
	s.Company = company(len(deaths))
	if alone >= quarantineAlone {
		pause := Pause(alone)
		s.Quarantined, s.Company, s.Pause = true, 1, min(pause, max(0, pause-waited))
		patience = 2 * pause
	}
	s.Mixed = s.Company > 0 && waited > patience
	return s
}

// Pause is how long nobody tries a recording that is quarantined, after so many deaths with nothing else there.
func Pause(alone int) time.Duration {
	return min(longestPause, firstPause<<min(max(0, alone-quarantineAlone), 10))
}

// company is how many suspects that have died so often may be together; 0: they are none.
func company(deaths int) int {
	switch {
	case deaths < suspectAfter:
		return 0
	case deaths == suspectAfter:
		return 10
	case deaths == suspectAfter+1:
		return 3
	}
	return 1
}

// judged is what a bid comes to that a recording has been granted for, when the deaths of its recorders are looked at.
func (e Entry) judged(b Bid, g Grant) (Entry, Grant) {
	if b.Leaving || g.Verdict != Record && g.Verdict != Close {
		return e, g
	}

	g.Suspicion = e.suspicion(b)
	return e.Tried(b), g
}

// expected is until when somebody may have a recording of which there is nothing yet, or be about to take it up: it may
// wait for its participant for so long, and be quarantined before that. What is not wanted is nobody's.
func (e Entry) expected(start command.Command, waits time.Duration) (until time.Time) {
	if e.closes(start.Recording) {
		return until
	}

	newest, alone := start.RequestedAt, 0
	for _, t := range e.Trials[start.Recording] {
		if t.Alone {
			alone++
		}
		for _, at := range []time.Time{t.At, t.Dead} {
			if at.After(newest) {
				newest = at
			}
		}
	}
	if alone >= quarantineAlone {
		waits += 2 * Pause(alone)
	}
	return newest.Add(waits)
}

// LetGo notes that an attempt has ended, or is about to, and its recorder lives.
func (e Entry) LetGo(recording, attempt string) Entry {
	trials := slices.Clone(e.Trials[recording])
	return e.withTrials(recording, slices.DeleteFunc(trials, func(t Trial) bool { return t.Attempt == attempt }))
}

// Cleared notes that a suspect lives: what had died in company had not died of it. Of what died of it alone, the newest
// still counts: what kills now and then is quarantined sooner the next time. From now on its recorder takes others
// again: should it die, it may be of one of these.
func (e Entry) Cleared(recording, attempt string) Entry {
	var alone, own []Trial
	for _, t := range e.Trials[recording] {
		switch {
		case t.Attempt == attempt:
			t.Alone = false
			own = append(own, t)
		case t.Alone:
			alone = append(alone, t)
		}
	}
	return e.withTrials(recording, append(alone[max(0, len(alone)-1):], own...))
}

func (e Entry) withTrials(recording string, trials []Trial) Entry {
	if slices.Equal(trials, e.Trials[recording]) {
		return e
	}
	next := e.clone()
	next.Trials[recording] = trials
	if len(trials) == 0 {
		delete(next.Trials, recording)
	}
	return next
}

// forgetTrials drops those of recordings that were never claimed, and never will be.
func (e Entry) forgetTrials(before time.Time) {
	for id, trials := range e.Trials {
		_, claimed := e.Claims[id]
		if !claimed && !slices.ContainsFunc(trials, func(t Trial) bool { return t.At.After(before) }) {
			delete(e.Trials, id)
		}
	}
}
