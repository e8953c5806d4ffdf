package scaling

import (
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	minute = 60.0
	hour   = 60 * minute
	// stay is how long people stay, on average.
	stay = 45 * minute
)

func read(t *testing.T) *Template {
	t.Helper()
	template, err := Read("../../../template.yaml")
	require.NoError(t, err)
	return template
}

// usual is what AWS usually takes, as far as can be seen from outside. Phases are chance.
func usual(random *rand.Rand) timing {
	return timing{
		metricPhase: random.Float64() * 59,
		metricSkew:  random.Float64() * 2,
		metricDelay: 30,
		alarmPhase:  random.Float64() * 59,
		reaction:    5,
		taskStart:   40,
		taskVaries:  10,
	}
}

// crowd are people who come within a time and stay.
func crowd(random *rand.Rand, n int, from, within float64, stays func() float64) (visits []*visit) {
	for range n {
		arrives := from + random.Float64()*within
		visits = append(visits, &visit{arrives: arrives, leaves: arrives + stays()})
	}
	return visits
}

// stream are people who come so that so many are there, on average.
func stream(random *rand.Rand, from, until float64, there func(at float64) float64) (visits []*visit) {
	for at := from; at < until; at++ {
		rate := there(at) / stay
		for more := random.ExpFloat64(); more < rate; more += random.ExpFloat64() {
			arrives := at + random.Float64()
			visits = append(visits, &visit{arrives: arrives, leaves: arrives + random.ExpFloat64()*stay})
		}
	}
	return visits
}

func inOrder(visits []*visit) []*visit {
	slices.SortFunc(visits, func(a, b *visit) int { return int(math.Copysign(1, a.arrives-b.arrives)) })
	return visits
}

// quantile of numbers, which it sorts.
func quantile(of []float64, share float64) float64 {
	slices.Sort(of)
	return of[min(len(of)-1, int(share*float64(len(of))))]
}

// needed is how many recorders a number of recordings needs.
func needed(p Parameters, recordings int) int {
	return int(math.Ceil(float64(100*recordings) / float64(p["RecordingsPerRecorder"]*(100-p["Headroom"]))))
}

// burst is what becomes of 500 people who come within a minute, to a fleet of one recorder, by chance of how AWS's minutes
// lie.
func burst(template *Template, parameters Parameters, seed uint64) (report, error) {
	random := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(template, parameters, usual(random), seed)
	visits := crowd(random, 500, 5*minute, minute, func() float64 { return 10 * hour })
	return w.play(inOrder(visits), 20*minute)
}

func TestFiveHundredInAMinute(t *testing.T) {
	template := read(t)
	for name, c := range map[string]struct {
		perRecorder, headroom int
		within                float64 // seconds, 95 of 100 starts
	}{
		"by default":         {60, 25, 180},
		"smaller recorders":  {20, 25, 180},
		"with less headroom": {60, 10, 185},
		"without headroom":   {60, 0, 190},
	} {
		t.Run(name, func(t *testing.T) {
			parameters := maps.Clone(template.Defaults)
			parameters["RecordingsPerRecorder"], parameters["Headroom"] = c.perRecorder, c.headroom
			parameters["MaxRecorders"] = 50
			var all []float64
			worst, most := 0.0, 0
			for seed := range uint64(20) {
				got, err := burst(template, parameters, seed)
				require.NoError(t, err)
				require.Len(t, got.waits, 500, "everybody is recorded")
				require.Zero(t, got.inWhileFull)
				require.Zero(t, got.occupiedStopped)
				most, worst = max(most, got.mostRecorders), max(worst, quantile(got.waits, 0.95))
				all = append(all, got.waits...)
			}

			p95, wanted := quantile(all, 0.95), needed(parameters, 500)
			t.Logf("95 of 100 are taken within %.0f s (%.0f s by the worst chance), %d recorders at most, %d are needed",
				p95, worst, most, wanted)
			require.LessOrEqual(t, p95, c.within)
			require.LessOrEqual(t, float64(most), 1.2*float64(wanted))
		})
	}
}

// The default maximum is enough for that: 400 of 500 people waited for as long as others stayed.
func TestTheDefaultMaximumIsEnough(t *testing.T) {
	defaults := read(t).Defaults
	require.GreaterOrEqual(t, defaults["MaxRecorders"], needed(defaults, 500))
}

// A day with a peak of 500 in its first hour, then ever fewer, 60 from the ninth hour on; stays are of 45 minutes.
func TestADay(t *testing.T) {
	template := read(t)
	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(template, template.Defaults, usual(random), seed)
		visits := crowd(random, 500, 5*minute, minute, func() float64 { return random.ExpFloat64() * stay })
		visits = append(visits, stream(random, 6*minute, 11*hour, func(at float64) float64 {
			return max(60, min(500, 500-440*(at-hour)/(8*hour)))
		})...)
		got, err := w.play(inOrder(visits), 11*hour)
		require.NoError(t, err)

		excess := 0
		for at := range got.recorders[60:] {
			minute := 60 + at
			excess += got.recorders[minute] - needed(template.Defaults, got.recordings[minute])
			if minute%60 == 0 {
				t.Logf("hour %2d: %3d recordings, %2d recorders, %2d are needed", minute/60, got.recordings[minute],
					got.recorders[minute], needed(template.Defaults, got.recordings[minute]))
			}
		}
		average := float64(excess) / float64(len(got.recorders)-60)
		t.Logf("%d starts, the latest while somebody had room %.2f s late; %d tasks started, %.1f more recorders than needed",
			len(got.waits), got.latestWithRoom, got.started, average)

		require.Zero(t, got.occupiedStopped)
		require.Zero(t, got.inWhileFull)
		require.LessOrEqual(t, got.latestWithRoom, 1.0)
		require.LessOrEqual(t, average, 4.0, "it was 9 when all recorders asked alike")
		require.LessOrEqual(t, got.recorders[len(got.recorders)-1], 8, "and 14 to 17 were left in the end")
	}
}

func TestWhenEverybodyLeavesAtOnceTheMinimumIsLeft(t *testing.T) {
	template := read(t)
	for least := range 3 {
		parameters := maps.Clone(template.Defaults)
		parameters["MinRecorders"] = least
		random := rand.New(rand.NewPCG(uint64(least), 4))
		timing := usual(random)
		timing.wakes = true
		w := newWorld(template, parameters, timing, 1)
		visits := crowd(random, 200, minute, minute, func() float64 { return hour })
		got, err := w.play(inOrder(visits), 2*hour)
		require.NoError(t, err)
		require.GreaterOrEqual(t, got.recorders[50], needed(parameters, 200))
		require.Equal(t, least, got.recorders[len(got.recorders)-1])
		require.Zero(t, got.occupiedStopped)
	}
}

// The function starts the first recorder. Scaling, whose metrics are late, must not stop it again.
func TestFromZero(t *testing.T) {
	template := read(t)
	parameters := maps.Clone(template.Defaults)
	parameters["MinRecorders"] = 0
	for name, silent := range map[string]float64{"of a queue in use": 0, "of one that nobody used": hour + 15*minute} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				random := rand.New(rand.NewPCG(seed, 5))
				timing := usual(random)
				timing.wakes, timing.silent = true, silent
				w := newWorld(template, parameters, timing, seed)
				visits := crowd(random, 20, hour, minute, func() float64 { return hour })
				got, err := w.play(inOrder(visits), 2*hour)
				require.NoError(t, err)
				require.Len(t, got.waits, 20)
				require.LessOrEqual(t, slices.Max(got.waits), 65.0)
				require.Equal(t, 1, got.started, "it is not stopped, and started again")
			}
		})
	}
}

// wrongStep is the first number of recordings for which there are too few recorders, or a fifth too many.
func wrongStep(template *Template) (recordings int, err error) {
	parameters := maps.Clone(template.Defaults)
	parameters["MinRecorders"], parameters["MaxRecorders"] = 1, 50
	for recordings := 1; recordings <= 50*30; recordings++ {
		c := cloud{template: template, parameters: parameters, history: map[string][]datum{}}
		c.put(0, "AWS/SQS ApproximateNumberOfMessagesVisible", float64(recordings/3))
		c.put(0, "AWS/SQS ApproximateNumberOfMessagesNotVisible", float64(recordings-recordings/3))
		c.put(0, "AWS/ECS CPUUtilization", 1)
		wanted := needed(parameters, recordings)
		for _, before := range []int{0, 1, 50} {
			c.scaled = map[string]float64{}
			got, err := c.look(0, before)
			if err != nil || got < wanted || float64(got) > 1.2*float64(wanted) {
				return recordings, err
			}
		}
	}
	return 0, nil
}

func TestEveryStep(t *testing.T) {
	template := read(t)
	require.Empty(t, template.DesiredCount, "each deployment would set back what scaling has set")
	wrong, err := wrongStep(template)
	require.NoError(t, err)
	require.Zero(t, wrong)
}

// What an operator, or whoever edits the template, may get wrong.
func TestWrongPoliciesAreFound(t *testing.T) {
	content, err := os.ReadFile("../../../template.yaml")
	require.NoError(t, err)
	for name, c := range map[string]struct{ from, to string }{
		"what is recorded is not counted":  {"CEIL((visible + held) * 100", "CEIL(visible * 100"},
		"what waits is not counted":        {"CEIL((visible + held) * 100", "CEIL(held * 100"},
		"the headroom is the share in use": {"(100 - ${Headroom})", "${Headroom}"},
		"places are a constant":            {"${RecordingsPerRecorder} * (100", "160 * (100"},
		"steps are added":                  {"AdjustmentType: ExactCapacity", "AdjustmentType: ChangeInCapacity"},
		"the alarm waits for five minutes": {"EvaluationPeriods: 1\n", "EvaluationPeriods: 5\n"},
		"steps are counted from zero":      {"      Threshold: 1\n", "      Threshold: 0\n"},
		"steps end early":                  {"UpperBound: 10, ScalingAdjustment: 10}", "UpperBound: 10, ScalingAdjustment: 1}"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(content), c.from)
			template, err := parse([]byte(strings.ReplaceAll(string(content), c.from, c.to)))
			require.NoError(t, err)
			recordings, err := wrongStep(template)
			require.NoError(t, err)
			wrong := recordings > 0
			for seed := range uint64(5) {
				got, err := burst(template, template.Defaults, seed)
				require.NoError(t, err)
				most, wanted := float64(got.mostRecorders), float64(needed(template.Defaults, 500))
				wrong = wrong || len(got.waits) < 500 || quantile(got.waits, 0.95) > 200 || got.inWhileFull > 0 ||
					got.occupiedStopped > 0 || most < wanted || most > 1.2*wanted
			}
			require.True(t, wrong)
		})
	}

	for name, c := range map[string]struct{ from, to, complaint string }{
		"a policy of another kind":        {"PolicyType: StepScaling", "PolicyType: TargetTrackingScaling", "not modelled"},
		"an alarm that scales nothing":    {"AlarmActions: [!Ref KeepHeadroom]", "AlarmActions: []", ""},
		"alarms below their thresholds":   {"GreaterThanOrEqualToThreshold", "LessThanThreshold", "no alarm"},
		"alarms in alarm without metrics": {"TreatMissingData: notBreaching", "TreatMissingData: breaching", "no alarm"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(content), c.from)
			template, err := parse([]byte(strings.ReplaceAll(string(content), c.from, c.to)))
			if c.complaint != "" {
				require.ErrorContains(t, err, c.complaint)
				return
			}
			require.NoError(t, err)
			got, err := burst(template, template.Defaults, 1)
			require.NoError(t, err)
			require.Less(t, len(got.waits), 500)
		})
	}
}
