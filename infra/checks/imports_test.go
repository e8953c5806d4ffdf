// Package checks tests what no compiler does: which package may import which, and that the deployment files are
// sound.
package checks

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "livekit-recorder/"

var root = filepath.Join("..", "..")

// imports returns the packages below a path and what each imports; with all its dependencies if deps is true.
func imports(t *testing.T, path string, deps bool) map[string][]string {
	t.Helper()
	field := "{{.Imports}}"
	if deps {
		field = "{{.Deps}}"
	}
	cmd := exec.Command("go", "list", "-f", "{{.ImportPath}} "+field, "./"+path+"/...")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(line))
		all[strings.TrimPrefix(fields[0], module)] = fields[1:]
	}
	require.NotEmpty(t, all)
	return all
}

// The packages of the recorder in the order in which data meets them: each imports only those further down.
var journey = []string{
	"recorder", "recorder/check", "recorder/health", "recorder/service", "recorder/worker", "recorder/recording",
	"recorder/room", "recorder/recovery", "recorder/joining", "recorder/parts", "recorder/mux", "recorder/track",
	"recorder/upload",
	"recorder/scratch", "recorder/notify", "recorder/protection", "recorder/compose", "recorder/sockets",
	"recorder/retry", "recorder/guard", "recorder/metrics",
	"shared/keys", "shared/queue", "shared/ecs", "shared/ledger", "shared/document", "shared/command", "shared/version",
}

func TestImportsRunOneWay(t *testing.T) {
	rank := map[string]int{}
	for n, name := range journey {
		rank[name] = n
	}
	for _, top := range []string{"recorder", "shared"} {
		for name, imported := range imports(t, top, false) {
			from, ok := rank[name]
			require.True(t, ok, "%s has no place in the journey", name)
			for _, other := range imported {
				if other, ours := strings.CutPrefix(other, module); ours {
					require.Greater(t, rank[other], from, "%s imports %s", name, other)
				}
			}
		}
	}
}

func TestPackagesDoNotKnowWhatTheyMustNot(t *testing.T) {
	for _, c := range []struct {
		path, forbidden string
		deps            bool
	}{
		{"functions", module + "recorder", true},
		{"functions", "github.com/pion/", false},
		{"functions/api", "github.com/aws/aws-lambda-go", true},
		{"shared", "github.com/pion/", false},
		{"recorder/metrics", "github.com/", true},
		{"recorder/track", "github.com/aws/", true},
		{"recorder/mux", "github.com/aws/", true},
		{"recorder/parts", "github.com/aws/", true},
		{"recorder/track", module + "shared/ledger", true},
		{"recorder/mux", module + "shared/ledger", true},
		{"recorder/parts", module + "shared/ledger", true},
		{"recorder/parts", "github.com/livekit/server-sdk-go", true},
		{"recorder/upload", "github.com/livekit/server-sdk-go", true},
		{"recorder/upload", "github.com/pion/", true},
		{"shared/queue", "github.com/livekit/", true},
		{"shared/ledger", "github.com/livekit/server-sdk-go", true},
		{"recorder/worker", module + "recorder/room", true},
		{"recorder/worker", "github.com/livekit/server-sdk-go", true},
	} {
		for name, imported := range imports(t, c.path, c.deps) {
			for _, other := range imported {
				require.False(t, strings.HasPrefix(other, c.forbidden), "%s knows %s", name, other)
			}
		}
	}
}

func TestPionIsNamedInTwoPackagesOnly(t *testing.T) {
	for name, imported := range imports(t, "recorder", false) {
		for _, other := range imported {
			if strings.HasPrefix(other, "github.com/pion/") {
				require.Contains(t, []string{"recorder/room", "recorder/track"}, name)
			}
		}
	}
}
