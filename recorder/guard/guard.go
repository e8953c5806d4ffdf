// Package guard keeps a fault in the code of one recording from ending the recorder, and with it all others.
package guard

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/sirupsen/logrus"
)

// ErrPanic says that code has panicked.
var ErrPanic = errors.New("this code has a fault")

// caught counts panics, of the whole process.
var caught atomic.Int64

// Caught is how many panics have been caught so far.
func Caught() int64 { return caught.Load() }

// Run does something. Should that panic, the panic is logged with its stack, and counted, and an [ErrPanic] is
// returned. The caller ends exactly what the fault was in: what it has touched may be in any state. Only what the
// goroutine does itself is caught, not what goroutines do that it starts.
func Run(log logrus.FieldLogger, what string, do func()) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			caught.Add(1)
			err = fmt.Errorf("%s: %w: %v", what, ErrPanic, fault)
			log.WithError(err).WithField("stack", string(debug.Stack())).Error("a fault of the recorder's code was caught")
		}
	}()
	do()
	return nil
}
