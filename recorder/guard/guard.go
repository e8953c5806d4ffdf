// Package guard keeps a fault in the code of one recording from ending the recorder, and with it all others.
package guard

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/sirupsen/logrus"
)

// ErrPanic says that code has panicked.
var ErrPanic = errors.New("this code has a fault")

// Run does something. Should that panic, the panic is logged with its stack, and an [ErrPanic] is returned.
func Run(log logrus.FieldLogger, what string, do func()) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s: %w: %v", what, ErrPanic, fault)
			log.WithError(err).WithField("stack", string(debug.Stack())).Error("a fault of the recorder's code was caught")
		}
	}()
	do()
	return nil
}
