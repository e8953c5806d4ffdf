package scaling

import (
	"fmt"
	"math"
)

// cloud is CloudWatch and Application Auto Scaling.
type cloud struct {
	template   *Template
	parameters Parameters
	timing     timing

	history map[string][]datum // of metrics, by name
	scaled  map[string]float64 // when a policy has last decreased the number of tasks
}

// datum is what a metric was in one minute; it can be seen later.
type datum struct{ seen, value float64 }

// put takes a metric's value for a minute.
func (c *cloud) put(now float64, name string, value float64) {
	c.history[name] = append(c.history[name], datum{now + c.timing.metricDelay, value})
}

// look evaluates all alarms, and returns how many tasks there are to be.
func (c *cloud) look(now float64, tasks int) (int, error) {
	for _, a := range c.template.alarms {
		value, breaching, err := c.evaluate(now, a)
		if err != nil {
			return tasks, fmt.Errorf("evaluate %s: %w", a.name, err)
		}
		if !breaching {
			continue
		}
		for _, name := range a.policies {
			tasks = c.scale(now, name, value-a.threshold, tasks)
		}
	}
	return tasks, nil
}

// evaluate says whether an alarm is in alarm, and what its expression is now.
func (c *cloud) evaluate(now float64, a alarm) (value float64, breaching bool, err error) {
	for period := range a.periods {
		with := values{}
		for id, m := range a.metrics {
			with[id] = c.datum(now, m.name, period)
		}
		result, err := calculate(c.parameters.fill(a.expression), with)
		if err != nil {
			return 0, false, err
		}
		if math.IsNaN(result) || result < a.threshold {
			return 0, false, nil
		}
		if period == 0 {
			value = result
		}
	}
	return value, true, nil
}

// datum is what was seen so many minutes ago.
func (c *cloud) datum(now float64, name string, ago int) float64 {
	all := c.history[name]
	for n := len(all) - 1; n >= 0; n-- {
		if all[n].seen > now {
			continue
		}
		if ago == 0 {
			return all[n].value
		}
		ago--
	}
	return missing
}

// scale applies a policy. Increases do not wait for its cooldown, and put an end to it; decreases do.
func (c *cloud) scale(now float64, name string, breach float64, tasks int) int {
	p := c.template.policies[name]
	for _, s := range p.steps {
		if s.Lower != nil && breach < *s.Lower || s.Upper != nil && breach >= *s.Upper {
			continue
		}

		wanted := s.Adjustment
		if p.adjustment == "ChangeInCapacity" {
			wanted += tasks
		}
		wanted = min(max(wanted, c.parameters["MinRecorders"]), c.parameters["MaxRecorders"])
		last, once := c.scaled[name]
		switch {
		case wanted > tasks:
			delete(c.scaled, name)
		case wanted < tasks && once && now-last < float64(p.cooldown):
			return tasks
		case wanted < tasks:
			c.scaled[name] = now
		}
		return wanted
	}
	return tasks
}
