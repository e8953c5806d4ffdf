package document

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// PartName is what part number n (from 1) of a recording is called where it is stored. The epoch of the owner that
// writes it makes it unique: no two recorders ever write the same name. FILE.webm and FILE.part2.webm are the first
// owner's, FILE.e2.webm and FILE.e2.part2.webm the second one's.
func PartName(file string, epoch, n int, container string) string {
	if epoch > 1 {
		file = fmt.Sprintf("%s.e%d", file, epoch)
	}
	if n > 1 {
		file = fmt.Sprintf("%s.part%d", file, n)
	}
	return file + "." + container
}

// EpochOf is the epoch of the owner that wrote a part of a recording with that file name, by the part's key.
func EpochOf(file, key string) int {
	rest := strings.TrimPrefix(path.Base(key), path.Base(file))
	digits, ok := strings.CutPrefix(rest, ".e")
	digits, _, more := strings.Cut(digits, ".")
	epoch, err := strconv.Atoi(digits)
	if !ok || !more || err != nil || epoch < 2 {
		return 1
	}
	return epoch
}

// partNames are the ends of the names of a recording's parts, behind its file name (also of what is kept beside a
// part).
var partNames = regexp.MustCompile(`^(\.e[0-9]+)?(\.part[0-9]+)?(\.rest[0-9]?)?\.[a-z0-9]+$`)

// IsPart says whether a name could be that of a part of the recording with that file name.
func IsPart(file, name string) bool {
	rest, ok := strings.CutPrefix(name, file)
	return ok && partNames.MatchString(rest) && !strings.HasSuffix(rest, ".json")
}

// restMark is in the names of files that a recorder has stored beside what another one has made of its part.
var restMark = regexp.MustCompile(`\.rest[0-9]?(\.[a-z0-9]+)$`)

// RestOf is the name of the part that a file is the rest of: FILE.rest.webm is that of FILE.webm. Other names stay.
func RestOf(name string) string { return restMark.ReplaceAllString(name, "$1") }
