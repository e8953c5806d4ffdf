package track

import "time"

// asking is which missing packets are to be asked for, and when. Each is in one of the three: due, or in a list whose
// times only grow. What has come, or was given up, may still be in a list, and is passed over.
type asking struct {
	noted int64   // what is missing up to here (exclusive) is in one of these:
	holes []hole  // has not been asked for yet
	again []asked // has
	due   marks   // is to be asked for now
}

// hole is what is missing from a number up to another (exclusive).
type hole struct {
	from, to int64
	due      time.Time
}

// asked is a packet that was asked for, and will be again.
type asked struct {
	number int64
	due    time.Time
}

// ripen finds what is due by now, but for what is not missing.
func (a *asking) ripen(now time.Time, missing func(number int64) bool) {
	note := func(number int64) {
		if missing(number) {
			a.due.add(number)
		}
	}

	for len(a.holes) > 0 && !now.Before(a.holes[0].due) {
		for number := a.holes[0].from; number < a.holes[0].to; number++ {
			note(number)
		}
		a.holes = a.holes[1:]
	}
	for len(a.again) > 0 && !now.Before(a.again[0].due) {
		note(a.again[0].number)
		a.again = a.again[1:]
	}
}

// take takes the first numbers that are due, from one on, and notes that they are to be asked for again.
func (a *asking) take(from int64, now time.Time) (numbers []uint16) {
	for len(numbers) < maxAsked {
		number, found := a.due.from(from)
		if !found {
			break
		}
		a.due.remove(number)
		a.again = append(a.again, asked{number, now.Add(askInterval)})
		numbers = append(numbers, uint16(number))
	}
	return numbers
}

// note notes what is missing up to a number (exclusive), and from one on, unless that was noted before.
func (a *asking) note(from, to int64, due time.Time) {
	if from = max(from, a.noted); from < to {
		a.holes = append(a.holes, hole{from, to, due})
		a.noted = to
	}
}

// pass forgets what is due from a number up to another (exclusive).
func (a *asking) pass(from, to int64) {
	for {
		number, found := a.due.from(from)
		if !found || number >= to {
			return
		}
		a.due.remove(number)
	}
}
