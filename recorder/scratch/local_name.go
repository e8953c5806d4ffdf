package scratch

import (
	"fmt"
	"strconv"
	"strings"
)

// LocalName says which part of an attempt a file in its directory is.
type LocalName struct {
	Number    int // from 1
	Container string
}

const localPrefix = "part"

// String is the name of the file: partN.EXTENSION.
func (n LocalName) String() string { return fmt.Sprintf("%s%d.%s", localPrefix, n.Number, n.Container) }

// ParseLocalName reads the name of a file.
func ParseLocalName(base string) (n LocalName, ok bool) {
	stem, container, _ := strings.Cut(base, ".")
	digits, ok := strings.CutPrefix(stem, localPrefix)
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || number < 1 || container == "" || strings.Contains(container, ".") {
		return n, false
	}
	return LocalName{Number: number, Container: container}, true
}
