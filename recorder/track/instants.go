package track

import "time"

// UntilInstant is how long it is until the next of the instants that lie so far apart. Whoever lets things come
// together does so until one of them: a process that serves many people wakes then once for all of them.
func UntilInstant(apart time.Duration) time.Duration {
	return apart - time.Duration(time.Now().UnixNano())%apart
}
