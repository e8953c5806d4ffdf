// Package version says which build of the programs this is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker: -ldflags "-X livekit-recorder/shared/version.version=v1.2.3 -X
// livekit-recorder/shared/version.commit=0123abc".
var version, commit string

// unknown stands for what nobody has told the linker, and Go has not noted either.
const unknown = "unknown"

// Version is the released version, like v1.2.3, or what stands for it in a build between two releases.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return unknown
}

// Commit is the commit of the source.
func Commit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return unknown
}

// String is all of it in one line.
func String() string {
	return fmt.Sprintf("%s (commit %s, %s, %s/%s)", Version(), Commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
