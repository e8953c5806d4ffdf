package recording

import (
	"fmt"
	"strconv"
	"strings"
)

// localName says which part of a recording a file in the scratch directory is.
type localName struct {
	number    int // from 1
	drained   bool
	container string
}

const (
	localPrefix   = "part"
	drainedPrefix = "drained."
)

// String is the name of the file: partN.EXTENSION, or drained.partN.EXTENSION.
func (n localName) String() string {
	name := fmt.Sprintf("%s%d.%s", localPrefix, n.number, n.container)
	if n.drained {
		return drainedPrefix + name
	}
	return name
}

// parseLocal reads the name of a file.
func parseLocal(base string) (n localName, ok bool) {
	base, n.drained = strings.CutPrefix(base, drainedPrefix)
	stem, container, _ := strings.Cut(base, ".")
	digits, ok := strings.CutPrefix(stem, localPrefix)
	var err error
	n.container = container
	n.number, err = strconv.Atoi(digits)
	return n, ok && err == nil && n.number > 0 && container != ""
}

// partOf is what the part is called where it is stored, below the recording's file name: FILE.EXTENSION is the first,
// FILE.part2.EXTENSION the second. What a draining recorder begins is FILE.drained.part2.EXTENSION, because its successor
// may begin its own at the same time.
func (n localName) partOf(file string) string {
	if n.drained {
		file += ".drained"
	}
	if n.number > 1 {
		file = fmt.Sprintf("%s.%s%d", file, localPrefix, n.number)
	}
	return file + "." + n.container
}
