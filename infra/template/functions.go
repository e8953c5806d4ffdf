package template

import (
	"fmt"
	"strconv"
	"strings"
)

func (d *Deployment) condition(name string) (bool, error) {
	condition, ok := d.Section("Conditions")[name]
	if !ok {
		return false, fmt.Errorf("condition %s, which there is not", name)
	}
	return d.holds(condition)
}

// holds calculates a condition.
func (d *Deployment) holds(condition any) (bool, error) {
	value, err := d.Resolve(condition)
	if err != nil {
		return false, err
	}
	result, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("%v is no condition", condition)
	}
	return result, nil
}

func (d *Deployment) named(argument any) (any, error) { return d.condition(fmt.Sprint(argument)) }

func (d *Deployment) choose(argument any) (any, error) {
	all, err := arguments(argument, 3)
	if err != nil {
		return nil, err
	}
	holds, err := d.condition(fmt.Sprint(all[0]))
	switch {
	case err != nil:
		return nil, err
	case holds:
		return d.Resolve(all[1])
	}
	return d.Resolve(all[2])
}

func (d *Deployment) equals(argument any) (any, error) {
	all, err := arguments(argument, 2)
	if err != nil {
		return nil, err
	}
	a, err := d.Resolve(all[0])
	if err != nil {
		return nil, err
	}
	b, err := d.Resolve(all[1])
	return fmt.Sprint(a) == fmt.Sprint(b), err
}

func (d *Deployment) not(argument any) (any, error) {
	all, err := arguments(argument, 1)
	if err != nil {
		return nil, err
	}
	holds, err := d.holds(all[0])
	return !holds, err
}

// both makes Fn::And of true, and Fn::Or of false.
func (d *Deployment) both(all bool) func(any) (any, error) {
	return func(argument any) (any, error) {
		conditions, ok := argument.([]any)
		if !ok {
			return nil, fmt.Errorf("%v are no conditions", argument)
		}
		for _, condition := range conditions {
			holds, err := d.holds(condition)
			if err != nil {
				return nil, err
			}
			if holds != all {
				return !all, nil
			}
		}
		return all, nil
	}
}

// arguments checks how many a function has.
func arguments(argument any, n int) ([]any, error) {
	all, ok := argument.([]any)
	if !ok || len(all) != n {
		return nil, fmt.Errorf("a function wants %d arguments, not %v", n, argument)
	}
	return all, nil
}

func (d *Deployment) find(argument any) (any, error) {
	resolved, err := d.Resolve(argument)
	if err != nil {
		return nil, err
	}
	keys, err := arguments(resolved, 3)
	if err != nil {
		return nil, err
	}

	var value any = d.Section("Mappings")
	for _, key := range keys {
		from, _ := value.(Node)
		if value = from[fmt.Sprint(key)]; value == nil {
			return nil, fmt.Errorf("nothing is mapped to %v", keys)
		}
	}
	return value, nil
}

func (d *Deployment) join(argument any) (any, error) {
	resolved, err := d.Resolve(argument)
	if err != nil {
		return nil, err
	}
	parts, err := arguments(resolved, 2)
	if err != nil {
		return nil, err
	}
	var texts []string
	items, _ := parts[1].([]any)
	for _, item := range items {
		texts = append(texts, fmt.Sprint(item))
	}
	return strings.Join(texts, fmt.Sprint(parts[0])), nil
}

func (d *Deployment) split(argument any) (any, error) {
	resolved, err := d.Resolve(argument)
	if err != nil {
		return nil, err
	}
	parts, err := arguments(resolved, 2)
	if err != nil {
		return nil, err
	}
	return list(strings.Split(fmt.Sprint(parts[1]), fmt.Sprint(parts[0]))), nil
}

func (d *Deployment) pick(argument any) (any, error) {
	resolved, err := d.Resolve(argument)
	if err != nil {
		return nil, err
	}
	parts, err := arguments(resolved, 2)
	if err != nil {
		return nil, err
	}
	items, _ := parts[1].([]any)
	n, err := strconv.Atoi(fmt.Sprint(parts[0]))
	if err != nil || n < 0 || n >= len(items) {
		return nil, fmt.Errorf("number %v of %d items, which there is not", parts[0], len(items))
	}
	return items[n], nil
}
