package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/timeline"
)

// Taking over from a killed recorder may last longer than was waited for: the next fault is not to blame for that.
func TestLossesAreBlamedOnTheFaultThatBroughtThem(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	happened := []injected{
		{Fault: Fault{Name: "garbage", Lossless: true}, at: at(100)},
		{Fault: Fault{Name: "kill"}, at: at(110)},
		{Fault: Fault{Name: "terminate", Lossless: true}, at: at(160)},
	}

	for name, c := range map[string]struct {
		from, to int
		want     string
	}{
		"what was lost by the kill":                {102, 140, "kill"},
		"the same, longer than was waited for":     {102, 165, "kill"},
		"the same, with what garbage fell into":    {95, 140, "kill"},
		"what was lost when a recorder ended":      {161, 165, "terminate"},
		"what was lost before a killed one was":    {101, 105, "garbage"},
		"what was lost before anything happened":   {10, 20, ""},
		"what was lost long after the kill healed": {150, 155, "kill"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Report{}
			for _, f := range happened {
				r.Rows = append(r.Rows, Row{Name: f.Name, people: map[*person]bool{}})
			}
			r.missing(&person{}, timeline.Span{From: at(c.from), To: at(c.to)}, happened)

			blamed := ""
			for _, row := range r.Rows {
				if row.Hit > 0 {
					blamed += row.Name
				}
			}
			require.Equal(t, c.want, blamed)
			require.Equal(t, c.want == "", len(r.Faults) > 0)
		})
	}
}
