package simulate

import (
	"cmp"
	"slices"
	"time"
)

const (
	usualHosts  = 3
	usualPeople = 6
	usualLength = 1200 // seconds
	// longOutage is longer than anything the product waits for (30 minutes).
	longOutage = 35 * 60
	// apart is how far LiveKit's clock may be from the others, in seconds.
	apart = 30
)

// Generate makes the plan of a seed: about 20 minutes in which everything goes wrong that may, in bursts, since
// faults that follow each other closely are the ones that nobody has thought of.
func Generate(seed uint64) Plan {
	g := &generator{dice: newDice(seed), more: newDice(^seed), plan: Plan{
		Seed:   seed,
		Hosts:  usualHosts,
		People: usualPeople,
		Length: usualLength,
	}}
	if g.oneIn(4) {
		g.plan.Hold = g.seconds(120, 600)
	}

	if g.more.oneIn(2) {
		g.add(Move{Do: Clock, Service: LiveKit, Seconds: g.more.seconds(-apart, apart)})
	}

	for n := range g.plan.People {
		if !g.oneIn(4) {
			m := Move{
				At:      g.seconds(1, 60),
				Do:      Join,
				Person:  n,
				Webhook: g.hook(),
			}
			g.add(m)
			g.reload(m)
		}
	}

	for at := g.seconds(20, 120); at < usualLength; at += g.seconds(20, 150) {
		for range 1 + g.below(4) {
			g.move(at + g.between(0, 12*time.Second).Seconds())
		}
	}

	slices.SortStableFunc(g.plan.Moves, func(a, b Move) int { return cmp.Compare(a.At, b.At) })
	return g.plan
}

type generator struct {
	*dice
	more *dice // for what is added to the moves of the other one, which stay as they are
	plan Plan
}

func (g *generator) add(m Move) { g.plan.Moves = append(g.plan.Moves, m) }

// hook is what becomes of a webhook: mostly nothing special.
func (d *dice) hook() (h Hook) {
	switch d.below(12) {
	case 0:
		h.Never = true
	case 1:
		h.Twice = true
		h.Late = d.seconds(0, 20)
	case 2, 3:
		h.Late = d.seconds(1, 25) // so that it is behind others
	}
	return h
}

// move adds one move, and what belongs to it.
func (g *generator) move(at float64) {
	m := Move{At: at, Person: g.below(g.plan.People), Host: g.below(g.plan.Hosts)}
	switch n := g.below(100); {
	case n < 38:
		g.person(m, n)
	case n < 58:
		g.process(m, n-38)
	case n < 80:
		g.fault(m)
	case n < 86:
		m.Do = Redeliver
	case n < 90:
		m.Do = Duplicate
	case n < 93:
		m.Do = MuxerDies
	case n < 94:
		m.Do = MuxerHangs
	case n < 95:
		m.Do, m.Seconds = DiskFull, g.seconds(20, 120)
	case n < 98:
		m.Do, m.Seconds = Clock, g.seconds(-10, 10)
	default:
		m.Do, m.Seconds = LiveKitRestarts, g.seconds(1, 40)
	}

	if m.Do != "" {
		g.add(m)
	}
}

// person adds what people and those who call REST do.
func (g *generator) person(m Move, n int) {
	m.Webhook = g.hook()
	switch {
	case n < 9:
		m.Do = Join
	case n < 14:
		m.Do, m.Lost = Leave, g.oneIn(2)
	case n < 23:
		m.Do, m.Lost, m.Seconds = Hop, g.oneIn(2), g.seconds(0, 8)
	case n < 26:
		m.Do, m.Target = Mute, []string{"camera", "microphone"}[g.below(2)]
	case n < 31:
		m.Do, m.Target = StartByREST, []string{"", "", "audio", "video", "camera"}[g.below(5)]
	case n < 35:
		m.Do = StopPerson
	default:
		m.Do = StopRecording
	}

	g.add(m)
	if m.Do == Join || m.Do == Hop {
		g.reload(m)
	}
}

// reload adds what some people do who have just come: they reload. Webhooks of three sessions are on their way then,
// and each may be late.
func (g *generator) reload(m Move) {
	if !g.more.oneIn(4) {
		return
	}
	next := g.more.hook()
	g.add(Move{
		At:      m.At + g.more.seconds(1, 20),
		Do:      Hop,
		Person:  m.Person,
		Seconds: g.more.seconds(0, 8),
		Lost:    g.more.oneIn(2),
		Webhook: g.more.hook(),
		Next:    &next,
	})
}

// process adds the end of a recorder, and mostly its next beginning.
func (g *generator) process(m Move, n int) {
	switch {
	case n < 7:
		m.Do = Kill
	case n < 11:
		m.Do = Vanish
	case n < 18:
		m.Do = Terminate
	default:
		m.Do, m.NewDisk = Boot, g.oneIn(2)
		g.add(m)
		return
	}

	g.add(m)
	if !g.oneIn(5) {
		later := m.At + g.seconds(1, 90)
		g.add(Move{
			At:      later,
			Do:      Boot,
			Host:    m.Host,
			NewDisk: g.oneIn(2),
		})
	}
}

// fault adds a cut or an outage, one in eight of which is longer than anybody waits.
func (g *generator) fault(m Move) {
	m.Do, m.Mode = Cut, Modes[g.below(len(Modes))]
	m.Service = []string{SQS, S3, S3, LiveKit}[g.below(4)]
	if g.oneIn(3) {
		m.Do, m.Service = Outage, []string{SQS, S3, S3, Receiver}[g.below(4)]
	}
	m.Seconds = []float64{g.seconds(1, 20), g.seconds(10, 90), g.seconds(60, 400)}[g.below(3)]
	if g.oneIn(8) {
		m.Seconds = longOutage
	}
	g.add(m)
}
